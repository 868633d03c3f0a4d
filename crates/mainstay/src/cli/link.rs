//! `mainstay link`: a link that has stopped.

use super::context::Side;
use super::failure::{self, code};
use super::{Context, Failure};
use mainstay_agent::types::{ContinueRequest, Continued};
use mainstay_core::position::Lsn;
use mainstay_core::{ApplicationName, StoreName};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Let a link try again that has stopped, when what stopped it is mended
    Continue(Continue),
}

#[derive(Debug, clap::Args)]
pub struct Continue {
    /// The store, as APPLICATION/STORE; not needed when there is only one
    #[arg(value_name = "STORE")]
    store: Option<String>,
    /// Leave out the one schema change at this position, for good; both sites were made the same
    #[arg(long, value_name = "POSITION")]
    leave_out: Option<Lsn>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let Command::Continue(args) = command;
    let (application, store) = names(args.store.as_deref())?;
    let request = ContinueRequest {
        application,
        store,
        leave_out: args.leave_out.map(|at| at.to_string()),
        reason: failure::plain(args.reason.unwrap_or_default())?,
    };
    let client = context.client_of(Side::Standby).await?;
    let continued: Continued = client.post("/v1/link/continue", &request).await?;
    context.show(&continued, |Continued { application, store, site, left_out }| {
        let without = match left_out {
            Some(at) => format!(" without the schema change at {at}"),
            None => String::new(),
        };
        format!(
            "the link of {application}/{store} at {site} tries again{without}; follow it with: \
             mainstay status\n"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `bank/db`, or `bank` alone.
pub fn names(store: Option<&str>) -> Result<(Option<ApplicationName>, Option<StoreName>), Failure> {
    let Some(text) = store else { return Ok((None, None)) };
    let (application, store) = match text.split_once('/') {
        Some((application, store)) => (application, Some(store)),
        None => (text, None),
    };
    let worthless = || {
        let what = format!("{text:?} does not name a store");
        Failure::new(code::WORTHLESS_VALUE, what, "write APPLICATION/STORE, such as bank/db")
    };
    let application = ApplicationName::new(application).map_err(|_| worthless())?;
    let store = store.map(StoreName::new).transpose().map_err(|_| worthless())?;
    Ok((Some(application), store))
}
