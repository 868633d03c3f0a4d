//! The servers themselves.

mod postgres;
mod redis;
