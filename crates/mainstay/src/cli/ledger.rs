//! `mainstay ledger`: the hash-chained record of every observation, decision and step. It is read
//! from its file, so that it can be verified where no agent runs; an agent elsewhere shows it too.

use super::context::Side;
use super::output::{DIM, GOOD, styled};
use super::text::moment;
use super::{Context, Failure, failure};
use mainstay_agent::ledger::{self, Entry};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check the whole chain, offline
    Verify(Place),
    /// The newest entries
    Show {
        #[command(flatten)]
        place: Place,
        /// How many
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        last: usize,
        /// Only entries of this kind, such as `decision` or `head`
        #[arg(long)]
        kind: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct Place {
    /// The ledger [default: ledger.db in the folder of --state]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(place) => verify(place.path(context).await, context)?,
        Command::Show { place, last, kind } => {
            let entries = match (&place.ledger, &context.global.agent) {
                (None, Some(_)) => told(context, kind.as_deref(), last).await?,
                _ => {
                    let path = place.path(context).await;
                    let entries = ledger::entries(&path, kind.as_deref(), last);
                    entries.map_err(|error| Failure::told(&error))?
                }
            };
            context.show(&entries, |entries| entries.iter().map(line).collect())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    async fn path(self, context: &Context) -> PathBuf {
        match self.ledger {
            Some(path) => path,
            None => context.folder(Side::Active).await.join("ledger.db"),
        }
    }
}

/// From an agent elsewhere, whose file is not at hand.
async fn told(context: &Context, kind: Option<&str>, last: usize) -> Result<Vec<Entry>, Failure> {
    let kind = kind.map(|kind| failure::id(kind.to_owned())).transpose()?;
    let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind}"));
    Ok(context.client().await?.get(&format!("/v1/ledger?last={last}{kind}")).await?)
}

fn verify(path: PathBuf, context: &Context) -> Result<(), Failure> {
    let verified = ledger::verify(&path).map_err(|error| Failure::told(&error))?;
    let entries = if verified.entries == 1 { "entry" } else { "entries" };
    let text = format!(
        "{} {entries}, head {}: {} {}\n",
        verified.entries,
        verified.head,
        path.display(),
        styled(GOOD, "is unbroken"),
    );
    let document = json!({
        "ok": true, "entries": verified.entries, "head": verified.head,
        "ledger": path.display().to_string(),
    });
    context.show(&document, |_| text)
}

fn line(entry: &Entry) -> String {
    let head = format!("{:>6} {} {:<8}", entry.number, moment(entry.micros), entry.site);
    // The body is shown without the quotes and escapes of a text inside a text.
    let body = serde_json::from_str::<Value>(&entry.body);
    let body = body.map_or_else(|_| entry.body.clone(), |body| body.to_string());
    format!("{} {:<14} {} {body}\n", styled(DIM, head), entry.kind, entry.application)
}
