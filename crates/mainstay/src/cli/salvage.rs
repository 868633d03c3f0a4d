//! `mainstay salvage`: what a lost site had accepted and the other never received.

use super::output::{DIM, styled};
use super::text::{count, moment, seconds_or, table};
use super::{Context, Failure, failure};
use crate::client::Client;
use mainstay_agent::api::types::{ReplayRequest, ReplaySummary, SalvageSummary};
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All that was kept
    List,
    /// One salvage: its transactions and their changes
    Show {
        id: String,
        /// How many transactions are shown
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One salvage whole, as JSON lines, one transaction each
    Export { id: String },
    /// Replay at the active site what the store's rules allow; a second replay does nothing twice
    Replay { id: String },
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await;
    match command {
        Command::List => list(&client, context).await?,
        Command::Show { id, limit } => show(&client, &failure::id(id)?, limit, context).await?,
        Command::Export { id } => export(&client, &failure::id(id)?).await?,
        Command::Replay { id } => replay(&client, failure::id(id)?, context).await?,
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
    let replayed = |one: &SalvageSummary| match &one.replay {
        Some(replay) => count(replay.rows_inserted, "row"),
        None => "no".to_owned(),
    };
    table(
        ["id", "store", "from", "epoch", "transactions", "changes", "span lost", "replayed"],
        all.iter().map(|one| {
            [
                one.id.clone(),
                format!("{}/{}", one.application, one.store),
                one.site.to_string(),
                one.epoch.to_string(),
                one.transactions.to_string(),
                one.changes.to_string(),
                seconds_or(one.rpo_exact_s, "unknown"),
                replayed(one),
            ]
        }),
    )
}

async fn export(client: &Client, id: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    Ok(client.stream(&format!("/v1/salvage/{id}"), |data| out.write_all(data)).await?)
}

/// Holds only the lines that it shows.
async fn show(client: &Client, id: &str, limit: usize, context: &Context) -> Result<(), Failure> {
    let (mut lines, mut rest, mut total) = (Vec::new(), Vec::new(), 0usize);
    let each = |data: &[u8]| {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if total < limit {
                rest.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                lines.extend(serde_json::from_slice::<Value>(&std::mem::take(&mut rest)).ok());
                total += 1;
            }
        }
        Ok(())
    };
    client.stream(&format!("/v1/salvage/{id}"), each).await?;
    context.show(&lines, |lines| {
        let shown: String = lines.iter().map(transaction).collect();
        let hidden = total.saturating_sub(lines.len());
        if hidden == 0 {
            return shown;
        };
        format!("{shown}{hidden} more; all of them: mainstay salvage export {id}\n")
    })
}

fn transaction(line: &Value) -> String {
    let at = line["commit_micros"].as_i64().map_or_else(|| "?".to_owned(), moment);
    let head = format!("{} committed {at}", line["commit_lsn"].as_str().unwrap_or("?"));
    let changes = line["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let changes: String = changes.iter().map(change).collect();
    format!("{}\n{changes}", styled(DIM, head))
}

fn change(change: &Value) -> String {
    let field = |name: &str| change[name].as_str().unwrap_or("?").to_owned();
    let row = [&change["new"], &change["old"], &change["key"]];
    let row =
        row.into_iter().find(|row| row.is_object()).map_or_else(String::new, Value::to_string);
    format!("  {:<8} {} {row}\n", field("op"), field("table"))
}

async fn replay(client: &Client, id: String, context: &Context) -> Result<(), Failure> {
    let summary: ReplaySummary = client.post("/v1/salvage/replay", &ReplayRequest { id }).await?;
    context.show(&summary, |summary| {
        format!(
            "{} replayed: {} inserted, {} already there, {} kept by rule; {} for a person to decide\n",
            count(summary.transactions, "transaction"),
            count(summary.rows_inserted, "row"),
            summary.already_there,
            count(summary.kept, "change"),
            count(summary.asked, "transaction"),
        )
    })
}
