//! The gate with real clients, real upstreams, real certificates and a real PostgreSQL.

mod control;
mod cut;
mod dns;
mod encrypted;
mod epoch;
mod http;
mod limits;
mod peer;
mod postgres;
mod probe;
mod speed;
mod start;
mod stopped;
mod support;
mod switch;
