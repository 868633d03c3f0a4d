//! The servers themselves.

mod postgres;
