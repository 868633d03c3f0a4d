//! `mainstay return`: a lost site on its way back.

use super::context::Side;
use super::{Context, Failure, failure, link};
use mainstay_agent::types::{Return, ReturnRequest};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Let the way back go on although nobody can tell all that the lost site had accepted
    Continue(Continue),
}

#[derive(Debug, clap::Args)]
pub struct Continue {
    /// The store, as APPLICATION/STORE; not needed when there is only one
    #[arg(value_name = "STORE")]
    store: Option<String>,
    /// The history is gone: keep the rows that differ instead of the transactions, then go on
    #[arg(long, required = true)]
    inexact: bool,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let Command::Continue(args) = command;
    let (application, store) = link::names(args.store.as_deref())?;
    let reason = failure::plain(args.reason)?;
    let client = context.client_of(Side::Standby).await?;
    let request = ReturnRequest { application, store, reason };
    let returning: Return = client.post("/v1/return/continue", &request).await?;
    context.show(&returning, |returning| {
        format!(
            "the way back of {} goes on; what is salvaged is not whole, and says so; follow it \
             with: mainstay status\n",
            returning.store
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
