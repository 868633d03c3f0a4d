//! `mainstay compare`: whether two sites hold the same, and at which position.

use super::context::Side;
use super::output::{BAD, GOOD, STRONG, styled};
use super::text::{count, seconds, table};
use super::{Context, Failure, comparing};
use mainstay_agent::stores::Compared;
use mainstay_agent::types::{CompareRequest, ComparisonView};
use mainstay_core::{ApplicationName, StoreName};
use mainstay_stores::postgres::compare::{Comparison, Kind, SequenceDifference, TableComparison};
use std::collections::BTreeMap;
use std::process::ExitCode;

mod keys;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
    /// The store; without it, all stores one after the other
    store: Option<StoreName>,
}

/// Begins a comparison or joins the one under way, and follows it; without a store, of one store
/// after the other. Success only when both sites were equal.
pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    // The link that a comparison follows runs at the standby.
    let client = context.client_of(Side::Standby).await?;
    let mut request = CompareRequest { application: args.application, store: args.store };
    let begun: ComparisonView = client.post("/v1/compare", &request).await?;
    let (first, mut others) = (begun.store.clone(), begun.others.clone().into_iter());
    let Some(compared) = comparing::follow(begun, &client, context).await? else {
        return Ok(ExitCode::FAILURE);
    };
    if others.len() == 0 {
        context.show(&compared, text)?;
        return Ok(code(compared.is_equal()));
    }
    let mut all = BTreeMap::from([(first, compared)]);
    for store in others.by_ref() {
        request.store = Some(store.clone());
        let begun = client.post("/v1/compare", &request).await?;
        let Some(compared) = comparing::follow(begun, &client, context).await? else {
            return Ok(ExitCode::FAILURE);
        };
        all.insert(store, compared);
    }
    context.show(&all, |all| {
        let each = all.iter().map(|(store, it)| format!("{}: {}", styled(STRONG, store), text(it)));
        each.collect()
    })?;
    Ok(code(all.values().all(Compared::is_equal)))
}

fn code(equal: bool) -> ExitCode {
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn text(compared: &Compared) -> String {
    match compared {
        Compared::Postgres(comparison) => rows(comparison),
        Compared::Redis(comparison) => keys::text(comparison),
    }
}

fn rows(comparison: &Comparison) -> String {
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
                one.unlike.clone().unwrap_or_else(|| such_as(one)),
            ]
        }),
    )
}

fn such_as(table: &TableComparison) -> String {
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
