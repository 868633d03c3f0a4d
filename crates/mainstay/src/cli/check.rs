//! `mainstay check`: everything that is wrong with a configuration, before anything is touched.

use super::output::{BAD, CARE, DIM, styled};
use super::{Context, Failure, dns_keys, output};
use crate::config::{self, Checked, Look, duration};
use mainstay_agent::coordinator::etcd;
use mainstay_agent::outside;
use mainstay_core::estate::{Application, CoordinatorPlace, Estate, FailoverMode};
use mainstay_core::{Finding, Severity};
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
    /// When the file is good, also look into etcd and the stores, and ask each fence's `confirm`
    /// about the sites that run; this reads and changes nothing
    #[arg(long, conflicts_with = "file_only")]
    pub live: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let path = args.file.unwrap_or_else(|| context.configuration());
    let look = if args.file_only { Look::Nowhere } else { Look::Everywhere };
    let checked = context.check(&path, look);
    let mut seen = match &checked.estate {
        Some(estate) if args.live => live(estate).await?,
        _ => Vec::new(),
    };
    if let Some(estate) = checked.estate.as_ref().filter(|_| !args.file_only) {
        seen.extend(dns_keys::findings(estate));
    }
    let ok = checked.ok() && !seen.iter().any(|finding| finding.severity == Severity::Error);
    if context.json() {
        output::say(&format!("{:#}\n", document(&checked, &seen, ok)));
    } else {
        output::say(&text(&checked, &seen, ok));
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn live(estate: &Estate) -> Result<Vec<Finding>, Failure> {
    let mut seen = match &estate.coordinator {
        CoordinatorPlace::Etcd(etcd) => {
            etcd::inspect(etcd).await.map_err(|error| Failure::told(&error))?
        }
        CoordinatorPlace::Embedded { .. } => Vec::new(),
    };
    seen.extend(mainstay_stores::postgres::check::estate(estate).await);
    seen.extend(outside::dry::estate(estate).await);
    seen.extend(mainstay_stores::redis::check::estate(estate).await);
    Ok(seen)
}

/// What was seen in etcd, in the databases and in keys has a place, and no line.
fn document(checked: &Checked, seen: &[Finding], ok: bool) -> Value {
    let of_file = checked.problems.iter().map(|p| config::finding(p, &checked.source));
    let of_databases = seen.iter().map(|finding| {
        json!({
            "code": finding.code, "severity": finding.severity, "place": finding.place,
            "line": null, "column": null, "what": finding.what, "advice": finding.advice,
        })
    });
    let findings: Vec<Value> = of_file.chain(of_databases).collect();
    json!({ "ok": ok, "findings": findings })
}

fn text(checked: &Checked, seen: &[Finding], ok: bool) -> String {
    let problems = checked.problems.iter().map(|p| config::render(p, &checked.source) + "\n");
    let end = match &checked.estate {
        Some(estate) if ok => summary(estate),
        _ => verdict(checked, seen),
    };
    problems.chain(seen.iter().map(live_finding)).collect::<String>() + &end
}

fn live_finding(finding: &Finding) -> String {
    let (style, word) = match finding.severity {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (CARE, "warning"),
        Severity::Note => (DIM, "note"),
    };
    let Finding { code, place, what, advice, .. } = finding;
    format!("{} {place}\n  {what}\n  next: {advice}\n\n", styled(style, format!("{word} {code}")))
}

fn verdict(checked: &Checked, seen: &[Finding]) -> String {
    let of_file = checked.problems.iter().filter(|problem| problem.is_error()).count();
    let of_databases = seen.iter().filter(|finding| finding.severity == Severity::Error).count();
    let errors = super::text::count((of_file + of_databases) as u64, "error");
    format!("{}: {errors}; nothing was touched\n", checked.source.path.display())
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
