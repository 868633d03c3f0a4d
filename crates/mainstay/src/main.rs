//! Mainstay: disaster recovery as one binary.

mod cli;
mod client;
mod config;
mod logging;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    logging::start(cli.global.log_format);
    install_tls();
    cli.run().await
}

/// All of TLS is rustls with aws-lc-rs. A second installation is refused and changes nothing.
fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
