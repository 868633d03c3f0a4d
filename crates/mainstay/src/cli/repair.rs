//! `mainstay repair`: rows of a standby that differ become those of the active site.

use super::context::Side;
use super::output::{BAD, CARE, DIM, GOOD, STRONG, remark, styled};
use super::text::{between, count, moment, seconds, table};
use super::{Context, Failure, failure, link};
use crate::client::Client;
use mainstay_agent::types::{RepairRequest, RepairState, RepairSummary, UndoRequest};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);
/// Lines of the progress, when it is not drawn anew.
const TELL_EVERY: u32 = 25;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    repair: Repair,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The repairs and dry runs so far
    List,
    /// What one changed, or would change, row by row: run it where the repaired site's agent is
    Show {
        id: String,
        /// How many rows are shown
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Bring back each row that is still as the repair left it
    Undo {
        id: String,
        /// Why, for the ledger
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Repair {
    /// The store, as APPLICATION/STORE; not needed when there is only one
    #[arg(value_name = "STORE")]
    store: Option<String>,
    /// Tell what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// For a link that has stopped: end it, make the sites equal without it, begin it anew there
    #[arg(long, conflicts_with = "tables")]
    relink: bool,
    /// Only this table, such as public.account; may be given more than once
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client_of(Side::Standby).await?;
    match args.command {
        None => repair(args.repair, &client, context).await,
        Some(Command::List) => {
            let all: Vec<RepairSummary> = client.get("/v1/repairs").await?;
            context.show(&all, |all| listing(all))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Show { id, limit }) => {
            show(&client, &failure::id(id)?, limit, context).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Undo { id, reason }) => {
            let request = UndoRequest { id: failure::id(id)?, reason: failure::plain(reason)? };
            let summary: RepairSummary = client.post("/v1/repair/undo", &request).await?;
            context.show(&summary, undone)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Success only when it came to its end, and nothing was beyond repair.
async fn repair(args: Repair, client: &Client, context: &Context) -> Result<ExitCode, Failure> {
    let (application, store) = link::names(args.store.as_deref())?;
    let (tables, dry_run, reason) = (args.tables, args.dry_run, failure::plain(args.reason)?);
    let relink = args.relink;
    let request = RepairRequest { application, store, tables, dry_run, relink, reason };
    let mut summary: RepairSummary = client.post("/v1/repair", &request).await?;
    let path = format!("/v1/repairs/{}", summary.id);
    for beat in 0u32.. {
        if summary.ended_micros.is_some() || summary.state == RepairState::Failed {
            break;
        }
        if beat % TELL_EVERY == 0 && !context.json() {
            remark(&progress(&summary));
        }
        tokio::time::sleep(EVERY).await;
        summary = client.get(&path).await?;
    }
    context.show(&summary, outcome)?;
    let good = summary.state == RepairState::Done && summary.repaired.refused.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn progress(summary: &RepairSummary) -> String {
    match summary.differences {
        None => styled(DIM, "comparing; the repair goes on when this command is left"),
        Some(all) => {
            let done = summary.repaired.swapped() + summary.repaired.equal_by_now;
            styled(DIM, format!("{done} of {}", count(all, "row")))
        }
    }
}

fn outcome(summary: &RepairSummary) -> String {
    let RepairSummary { repaired, site, from, .. } = summary;
    let took = between(Some(summary.started_micros), summary.ended_micros);
    let took = took.map_or_else(String::new, |took| format!(" in {}", seconds(took)));
    let (style, did) = match (summary.state, summary.dry_run) {
        (RepairState::Failed, _) => (BAD, "stopped"),
        (_, true) => (CARE, "would be repaired"),
        (_, false) => (GOOD, "repaired"),
    };
    let rows = count(repaired.swapped(), "row");
    let at = repaired.position.map_or_else(String::new, |at| format!(", as of {at}"));
    let mut text = format!(
        "{}: {rows} of {} at {site}, {} inserted, {} updated, {} deleted to be as at {from}{at}{took}\n",
        styled(style, did),
        summary.store,
        repaired.inserted,
        repaired.updated,
        repaired.deleted,
    );
    if repaired.equal_by_now > 0 {
        text += &format!("equal by now, and left alone: {}\n", count(repaired.equal_by_now, "row"));
    }
    for (name, why) in &repaired.refused {
        text += &format!("{} {name}: {why}\n", styled(BAD, "beyond repair"));
    }
    if let Some(why) = &summary.why {
        text += &format!("{why}\n");
    }
    text + &next(summary)
}

fn next(summary: &RepairSummary) -> String {
    let id = &summary.id;
    match (summary.dry_run, summary.repaired.swapped()) {
        (_, 0) => String::new(),
        (true, _) => format!("each row: mainstay repair show {id}\n"),
        (false, _) => {
            format!(
                "each row: mainstay repair show {id}; to take it back: mainstay repair undo {id}\n"
            )
        }
    }
}

fn undone(summary: &RepairSummary) -> String {
    let Some(undone) = summary.undone else { return String::new() };
    let left = match undone.left {
        0 => String::new(),
        left => format!("; changed since, and left alone: {}", count(left, "row")),
    };
    format!(
        "{}: {} of {} at {} are as they were before {}{left}\n",
        styled(CARE, "undone"),
        count(undone.restored, "row"),
        summary.store,
        summary.site,
        summary.id
    )
}

fn listing(all: &[RepairSummary]) -> String {
    if all.is_empty() {
        return "nothing was repaired so far\n".to_owned();
    }
    let state = |one: &RepairSummary| match (one.state, one.dry_run, &one.undone_by) {
        (_, _, Some(by)) => format!("undone by {by}"),
        _ if one.undone.is_some() => "undone".to_owned(),
        (RepairState::Comparing, _, _) => "comparing".to_owned(),
        (RepairState::Repairing, _, _) => "under way".to_owned(),
        (RepairState::Failed, _, _) => "stopped".to_owned(),
        (RepairState::Done, true, _) => "dry run".to_owned(),
        (RepairState::Done, false, _) => "done".to_owned(),
    };
    table(
        ["id", "store", "at", "as at", "began", "by", "differences", "rows", "state"],
        all.iter().map(|one| {
            [
                one.id.clone(),
                format!("{}/{}", one.application, one.store),
                one.site.to_string(),
                one.from.to_string(),
                moment(one.started_micros),
                one.by.clone(),
                one.differences.map_or_else(|| "unknown".to_owned(), |found| found.to_string()),
                one.repaired.swapped().to_string(),
                state(one),
            ]
        }),
    )
}

/// Holds only the rows that it shows.
async fn show(client: &Client, id: &str, limit: usize, context: &Context) -> Result<(), Failure> {
    let (rows, total) = client.lines(&format!("/v1/repairs/{id}/rows"), limit).await?;
    context.show(&rows, |rows| {
        let shown: String = rows.iter().map(row).collect();
        match total.saturating_sub(rows.len()) {
            0 => shown,
            hidden => format!("{shown}{hidden} more; see --limit\n"),
        }
    })
}

pub fn row(line: &Value) -> String {
    let name = line["table"].as_str().unwrap_or("?");
    let side = |sign: char, side: &Value| match side.is_object() {
        true => format!("  {sign} {side}\n"),
        false => String::new(),
    };
    let head = styled(STRONG, format!("{name} {}", line["key"]));
    format!("{head}\n{}{}", side('-', &line["before"]), side('+', &line["after"]))
}
