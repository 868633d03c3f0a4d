//! The web side beyond passing requests on.

mod bodies;
mod downgrade;
mod encrypted;
mod handover;
mod log;
mod routes;
mod shares;
mod smuggling;
mod upgrades;
mod websocket;
