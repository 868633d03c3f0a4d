mod bank;
mod clients;
mod configuration;
mod network;
mod processes;
mod report;
mod serving;
