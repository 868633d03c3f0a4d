//! The gate with real clients, real upstreams, real certificates and a real PostgreSQL.

mod clients_tls;
mod control;
mod cut;
mod dns;
mod dns_providers;
mod dns_server;
mod encrypted;
mod epoch;
mod hostile;
mod http;
mod limits;
mod minute;
mod peer;
mod plain;
mod postgres;
mod probe;
mod probe_redis;
mod reads;
mod reads_redis;
mod speed;
mod start;
mod stopped;
mod support;
mod switch;
mod web;
