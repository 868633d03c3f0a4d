//! `mainstay salvage`: what a lost site had accepted and the other never received.

mod decide;
mod show;
mod side;

use super::text::{count, moment, seconds_or, table};
use super::{Context, Failure, failure};
use crate::client::Client;
use mainstay_agent::types::SalvageSummary;
use mainstay_core::position::Lsn;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All that was kept, and how much of it waits for a person
    List,
    /// One salvage beside what the active site has now: transactions and their changes
    Show {
        id: String,
        /// How many transactions are shown
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u64,
        /// Only transactions that wait for a person
        #[arg(long)]
        open: bool,
    },
    /// One salvage whole: as JSON lines, one transaction each, or as a script for psql
    Export {
        id: String,
        /// JSON as it was taken, or SQL for psql at the active site
        #[arg(long, value_enum, default_value = "json")]
        form: ExportForm,
        /// With --form sql: only transactions that wait for a person
        #[arg(long)]
        open: bool,
    },
    /// Replay at the active site what the rules allow, or what is named; nothing is done twice
    Replay {
        #[command(flatten)]
        chosen: Chosen,
        /// With --transaction: also rows that the active site changed since
        #[arg(long, requires = "transactions")]
        overwrite: bool,
        /// Why, for the ledger
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Decide that transactions are not replayed; the salvage stays
    Reject {
        #[command(flatten)]
        chosen: Chosen,
        /// Why, for the ledger and for who looks later
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Chosen {
    id: String,
    /// Only this transaction, whatever the rules say; may be given several times
    #[arg(long = "transaction", id = "transactions", value_name = "LSN")]
    transactions: Vec<Lsn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportForm {
    Json,
    Sql,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    match command {
        Command::List => list(&client, context).await?,
        Command::Show { id, limit, open } => {
            show::show(&client, &failure::id(id)?, limit, open, context).await?;
        }
        Command::Export { id, form, open } => {
            export(&client, &failure::id(id)?, form, open).await?;
        }
        Command::Replay { chosen, overwrite, reason } => {
            return decide::replay(&client, chosen, overwrite, reason.unwrap_or_default(), context)
                .await;
        }
        Command::Reject { chosen, reason } => {
            decide::reject(&client, chosen, reason, context).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let all: Vec<SalvageSummary> = client.get("/v1/salvage").await?;
    context.show(&all, |all| listing(all))
}

fn listing(all: &[SalvageSummary]) -> String {
    if all.is_empty() {
        return "nothing was salvaged at this site\n".to_owned();
    }
    let table = table(
        ["id", "store", "from", "epoch", "transactions", "changes", "span lost", "open"],
        all.iter().map(|one| {
            [
                one.id.clone(),
                format!("{}/{}", one.application, one.store),
                one.site.to_string(),
                one.epoch.to_string(),
                match one.inexact {
                    None => one.transactions.to_string(),
                    Some(_) => "not whole".to_owned(),
                },
                one.changes.to_string(),
                seconds_or(one.rpo_exact_s, "unknown"),
                one.states.map_or_else(|| "unknown".to_owned(), |states| states.open.to_string()),
            ]
        }),
    );
    let decided = all.iter().filter_map(decided).collect::<String>();
    format!("{table}{decided}")
}

fn decided(one: &SalvageSummary) -> Option<String> {
    if let Some(inexact) = &one.inexact {
        let after = inexact.after_micros.map_or_else(|| "unknown".to_owned(), moment);
        return Some(format!(
            "{}: not whole, {}: {} only there, {} other there; what is missing is later than \
             {after}; next: mainstay salvage show {}\n",
            one.id,
            inexact.why,
            count(inexact.only_there, "row"),
            count(inexact.other_there, "row"),
            one.id
        ));
    }
    let states = one.states?;
    let (open, id) = (states.open, &one.id);
    let next = match open {
        0 => String::new(),
        _ => format!("; next: mainstay salvage show {id} --open"),
    };
    Some(format!(
        "{id}: {open} open, {} replayed, {} rejected, {} kept by rule{next}\n",
        states.replayed, states.rejected, states.kept
    ))
}

async fn export(client: &Client, id: &str, form: ExportForm, open: bool) -> Result<(), Failure> {
    let path = match form {
        ExportForm::Sql => format!("/v1/salvage/{id}/sql?open={open}"),
        ExportForm::Json if open => {
            let what = "the JSON export is the salvage as it was taken, always whole";
            let advice = format!(
                "mainstay salvage export {id} --form sql --open, or mainstay salvage show {id} \
                 --open --limit 1000000 --output json"
            );
            return Err(Failure::new(failure::code::WORTHLESS_VALUE, what, advice));
        }
        ExportForm::Json => format!("/v1/salvage/{id}"),
    };
    let mut out = std::io::stdout().lock();
    Ok(client.stream(&path, |data| out.write_all(data)).await?)
}
