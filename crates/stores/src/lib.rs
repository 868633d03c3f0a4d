//! The stores of an application and the links that keep them replicated: one folder a kind.

pub mod postgres;
