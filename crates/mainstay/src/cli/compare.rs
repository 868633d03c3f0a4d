//! `mainstay compare`: whether two sites hold the same, and at which position.

use super::output::{BAD, GOOD, styled};
use super::text::{count, seconds, table};
use super::{Context, Failure};
use mainstay_agent::api::types::CompareRequest;
use mainstay_core::{ApplicationName, StoreName};
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
    /// The store; not needed when there is only one
    store: Option<StoreName>,
}

/// Success only when both sites were equal.
pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let request = CompareRequest { application: args.application, store: args.store };
    let client = context.client().await;
    let comparison: Value = client.post_long("/v1/compare", &request).await?;
    context.show(&comparison, text)?;
    let equal = comparison["equal"] == Value::Bool(true);
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(comparison: &Value) -> String {
    let position = comparison["position"].as_str().unwrap_or("unknown");
    let verdict = match comparison["equal"].as_bool() {
        Some(true) => styled(GOOD, format!("equal at position {position}")),
        Some(false) => styled(BAD, format!("different at position {position}")),
        None => styled(BAD, "unknown"),
    };
    let took =
        comparison["seconds"].as_f64().map_or_else(String::new, |s| format!(" in {}", seconds(s)));
    let tables = comparison["tables"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = tables.iter().filter_map(|table| table["rows_source"].as_u64()).sum();
    let summary = format!(
        "{verdict}: {} with {} read at both sites{took}",
        count(tables.len() as u64, "table"),
        count(rows, "row")
    );
    let different: Vec<&Value> = tables.iter().filter(|table| differs(table)).collect();
    if different.is_empty() {
        summary + "\n"
    } else {
        format!("{summary}\n{}", listing(&different))
    }
}

fn differs(table: &Value) -> bool {
    let keys = table["differing"].as_array().is_some_and(|keys| !keys.is_empty());
    keys || table["rows_source"] != table["rows_target"]
}

/// The first few keys of each table that differs; all of what was kept is in the JSON.
fn listing(different: &[&Value]) -> String {
    table(
        ["table", "rows at source", "rows at target", "keys that differ"],
        different.iter().map(|one| {
            let name = one["table"].as_str().unwrap_or("?").to_owned();
            [name, one["rows_source"].to_string(), one["rows_target"].to_string(), keys(one)]
        }),
    )
}

fn keys(table: &Value) -> String {
    let keys = table["differing"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<String> = keys.iter().take(5).map(ToString::to_string).collect();
    let more = if keys.len() > shown.len() { ", ..." } else { "" };
    shown.join(", ") + more
}
