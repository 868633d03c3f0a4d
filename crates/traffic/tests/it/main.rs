//! The gate with real clients, real upstreams, real certificates and a real PostgreSQL.

mod control;
mod cut;
mod dns;
mod encrypted;
mod epoch;
mod http;
mod limits;
mod minute;
mod peer;
mod postgres;
mod probe;
mod probe_redis;
mod speed;
mod start;
mod stopped;
mod support;
mod switch;
