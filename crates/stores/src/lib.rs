//! The stores of an application and the links that keep them replicated: one folder a kind.

mod backoff;
mod pace;
pub mod postgres;
pub mod readers;
pub mod redis;
