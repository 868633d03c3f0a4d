//! `mainstay compare`: whether two sites hold the same, and at which position.

use super::context::Side;
use super::output::{BAD, GOOD, styled};
use super::text::{count, seconds, table};
use super::{Context, Failure, comparing};
use mainstay_agent::api::types::{CompareRequest, ComparisonView};
use mainstay_core::{ApplicationName, StoreName};
use mainstay_stores::postgres::compare::{Comparison, Kind, SequenceDifference, TableComparison};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
    /// The store; not needed when there is only one
    store: Option<StoreName>,
}

/// Begins a comparison or joins the one under way, and follows it. Success only when both sites
/// were equal.
pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let request = CompareRequest { application: args.application, store: args.store };
    // The link that is held for it runs at the standby.
    let client = context.client_of(Side::Standby).await?;
    let begun: ComparisonView = client.post("/v1/compare", &request).await?;
    let Some(comparison) = comparing::follow(begun, &client, context).await? else {
        return Ok(ExitCode::FAILURE);
    };
    context.show(&comparison, text)?;
    Ok(if comparison.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(comparison: &Comparison) -> String {
    let Comparison { position, tables, seconds: took, .. } = comparison;
    let verdict = match comparison.equal {
        true => styled(GOOD, format!("equal at position {position}")),
        false => styled(BAD, format!("different at position {position}")),
    };
    let rows = tables.iter().map(|table| table.rows_source).sum();
    let scope = format!("{} with {}", count(tables.len() as u64, "table"), count(rows, "row"));
    let head = format!("{verdict}: {scope} read at both sites in {}\n", seconds(*took));
    let different: Vec<_> = tables.iter().filter(|table| !table.is_equal()).collect();
    let listed = if different.is_empty() { String::new() } else { listing(&different) };
    let sequences: String = comparison.sequences.iter().map(sequence).collect();
    let notes: String = comparison.notes.iter().map(|note| format!("note: {note}\n")).collect();
    head + &listed + &sequences + &notes
}

/// The first keys of each table that differs; more of them are in the JSON.
fn listing(different: &[&TableComparison]) -> String {
    table(
        ["table", "rows at source", "rows at target", "differences", "such as"],
        different.iter().map(|one| {
            [
                one.table.clone(),
                one.rows_source.to_string(),
                one.rows_target.to_string(),
                one.differences.to_string(),
                one.unlike.clone().unwrap_or_else(|| keys(one)),
            ]
        }),
    )
}

fn keys(table: &TableComparison) -> String {
    let shown = table.differing.iter().take(3).map(|difference| {
        let kind = match difference.kind {
            Kind::OnlyAtSource => "only at source",
            Kind::OnlyAtTarget => "only at target",
            Kind::Differs => "differs",
        };
        format!("{} {kind}", difference.key.join("/"))
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn sequence(one: &SequenceDifference) -> String {
    let target = one.target.map_or_else(|| "missing".to_owned(), |value| format!("at {value}"));
    let name = &one.sequence;
    format!("sequence {name} is at {} at the source, {target} at the target\n", one.source)
}
