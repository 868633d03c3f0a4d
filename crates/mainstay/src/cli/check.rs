//! `mainstay check`: everything that is wrong with a configuration, before anything is touched.

use super::{Context, Failure, output};
use crate::config::{self, Checked, duration};
use mainstay_core::estate::{Application, Estate, FailoverMode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: as for --config]
    pub file: Option<PathBuf>,
    /// Look at the text only, not for secrets and certificates
    #[arg(long)]
    pub file_only: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let path = args.file.unwrap_or_else(|| context.configuration());
    let checked = context.check(&path, !args.file_only);
    if context.json() {
        let findings: Vec<Value> =
            checked.problems.iter().map(|p| config::finding(p, &checked.source)).collect();
        let result = json!({ "ok": checked.ok(), "findings": findings });
        output::say(&format!("{result:#}\n"));
    } else {
        output::say(&text(&checked));
    }
    Ok(if checked.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(checked: &Checked) -> String {
    let problems = checked.problems.iter().map(|p| config::render(p, &checked.source) + "\n");
    let summary = match &checked.estate {
        Some(estate) => summary(estate),
        None => verdict(checked),
    };
    problems.collect::<String>() + &summary
}

fn verdict(checked: &Checked) -> String {
    let errors = checked.problems.iter().filter(|problem| problem.is_error()).count();
    let plural = if errors == 1 { "" } else { "s" };
    format!("{}: {errors} error{plural}; nothing was touched\n", checked.source.path.display())
}

/// One line for each application.
fn summary(estate: &Estate) -> String {
    estate.applications.values().map(|application| line(estate, application)).collect()
}

fn line(estate: &Estate, application: &Application) -> String {
    let standby: Vec<&str> = estate
        .sites
        .iter()
        .filter(|(name, site)| !site.witness && **name != application.home)
        .map(|(name, _)| name.as_str())
        .collect();
    let stores: Vec<&str> = application.stores.keys().map(|name| name.as_str()).collect();
    let mode = match application.failover {
        FailoverMode::Automatic => "automatic",
        FailoverMode::Approve => "approved",
        FailoverMode::Manual => "manual",
    };
    format!(
        "{}: home {}, standby {}; {mode} failover, lease {}; objectives RTO {}, RPO {}; stores: {}\n",
        application.name,
        application.home,
        standby.join(", "),
        duration::write(application.lease),
        duration::write(application.objectives.rto),
        duration::write(application.objectives.rpo),
        stores.join(", "),
    )
}
