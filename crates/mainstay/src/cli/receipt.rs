//! How it is known that a site accepts no more writes: each means that was tried, in a line.

use super::output::{BAD, CARE, GOOD, styled};
use super::text::moment;
use mainstay_agent::types::Execution;
use mainstay_core::{FenceResult, Receipt, Tried};

/// Nothing, where the execution has fenced nobody yet.
pub fn of(execution: &Execution) -> String {
    let kept = execution.facts.get("receipt").cloned();
    let Some(receipt) = kept.and_then(|kept| serde_json::from_value::<Receipt>(kept).ok()) else {
        return String::new();
    };
    let Receipt { fenced, epoch, tried } = receipt;
    let lines: String = tried.iter().map(line).collect();
    format!("fence of {fenced}, epoch {epoch}\n{lines}")
}

fn line(tried: &Tried) -> String {
    let Tried { means, outcome, by, micros, detail } = tried;
    let style = match outcome {
        FenceResult::Confirmed => GOOD,
        FenceResult::Refused => BAD,
        FenceResult::Unknown => CARE,
    };
    let word = styled(style, format!("{:<10}", outcome.to_string()));
    let detail = detail.replace('\n', " ");
    format!("  {word} {} {means}, by {by}: {detail}\n", moment(*micros))
}
