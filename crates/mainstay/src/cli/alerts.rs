//! `mainstay alerts`: who is told of what is wrong, and whether it arrives.

use super::output::{BAD, CARE, DIM, GOOD, STRONG, styled};
use super::text::{count, moment, seconds};
use super::{Context, Failure};
use mainstay_agent::types::{Alerts, NotifierView, TestRequest, Tested, Tried};
use mainstay_core::NotifierName;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Send a marked test from this site by one notifier, or by each of them
    Test {
        /// The notifier; each of them when left out
        notifier: Option<NotifierName>,
    },
    /// What waits to be delivered from this site, and what was delivered last
    List,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    match command {
        Command::Test { notifier } => {
            let tested: Tested = client.post("/v1/alerts/test", &TestRequest { notifier }).await?;
            context.show(&tested, |tested| tested.tried.iter().map(tried).collect())?;
            let arrived = tested.tried.iter().all(|it| it.failed.is_none());
            Ok(if arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::List => {
            let alerts: Alerts = client.get("/v1/alerts").await?;
            context.show(&alerts, list)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn tried(it: &Tried) -> String {
    let Tried { name, kind, place, took_s, failed } = it;
    let head = format!("{} {}", styled(STRONG, name), styled(DIM, format!("({kind}, {place})")));
    match failed {
        None => format!("{head} {} after {}\n", styled(GOOD, "took it"), seconds(*took_s)),
        Some(why) => format!(
            "{head} {}: {why}\n  {} see MS-ALERT-002\n",
            styled(BAD, "failed"),
            styled(STRONG, "next:")
        ),
    }
}

fn list(alerts: &Alerts) -> String {
    if alerts.notifiers.is_empty() {
        return format!(
            "nobody is told of anything by the agent of {}\n{} add [alerts.<name>] to the \
             configuration; see `mainstay config reference`\n",
            alerts.here,
            styled(STRONG, "next:")
        );
    }
    alerts.notifiers.iter().map(notifier).collect()
}

fn notifier(it: &NotifierView) -> String {
    let head = styled(DIM, format!("({}, {})", it.kind, it.place));
    let state = match &it.trouble {
        None => styled(GOOD, "works"),
        Some(trouble) => styled(
            BAD,
            format!(
                "fails since {}, {}: {}",
                moment(trouble.since_micros),
                count(u64::from(trouble.failures), "time"),
                trouble.why
            ),
        ),
    };
    let mut out = format!("{} {head} {state}\n", styled(STRONG, &it.name));
    for one in &it.pending {
        let since = moment(one.since_micros);
        let (status, word) = (one.status.name(), styled(CARE, "waits"));
        out += &format!("  {word}     {since} {status:<8} {}\n", one.what);
    }
    for one in &it.delivered {
        let (at, status) = (moment(one.micros), one.status.name());
        out += &format!("  delivered {at} {status:<8} {}\n", one.what);
    }
    if it.counts.left_out > 0 {
        out += &format!("  {} dropped: too many waited\n", count(it.counts.left_out, "alert"));
    }
    out
}
