//! The gate with real clients, real upstreams, real certificates and a real PostgreSQL.

mod control;
mod epoch;
mod http;
mod limits;
mod peer;
mod postgres;
mod probe;
mod start;
mod support;
mod switch;
