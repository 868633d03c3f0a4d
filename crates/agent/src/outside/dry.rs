//! A look at the means before they are needed: a site that runs must not be called stopped. Nothing
//! is stopped by it.

use super::Target;
use mainstay_core::estate::{Application, Estate, FenceMeans};
use mainstay_core::{Epoch, Finding, Severity, SiteName};
use std::time::Duration;
use tokio::net::TcpStream;

/// The code of a means that would call a site fenced which is not.
pub const CALLS_A_RUNNING_SITE_STOPPED: &str = "MS-CFG-029";
/// An agent that runs takes a connection well within this.
const ANSWERS: Duration = Duration::from_secs(3);

/// Asks each `confirm` once about each site whose agent answers.
pub async fn estate(estate: &Estate) -> Vec<Finding> {
    let mut findings = Vec::new();
    for application in estate.applications.values() {
        for (site, means) in &application.fencing {
            let place = format!("applications.{}.fencing.{site}", application.name);
            let Some(agent) = estate.sites.get(site).map(|it| it.agent.as_str()) else { continue };
            match runs(agent).await {
                true => {
                    for means in means {
                        findings.extend(asked(application, site, estate, means, &place).await);
                    }
                }
                false => findings.push(not_asked(&place, site, agent)),
            }
        }
    }
    findings
}

async fn runs(agent: &str) -> bool {
    matches!(tokio::time::timeout(ANSWERS, TcpStream::connect(agent)).await, Ok(Ok(_)))
}

async fn asked(
    application: &Application,
    site: &SiteName,
    estate: &Estate,
    means: &FenceMeans,
    place: &str,
) -> Option<Finding> {
    let (name, epoch) = (&application.name, Epoch::default());
    let target = Target { application: name, site, epoch, by: &estate.here };
    let (stopped, ran) = target.ask(means, means.timeout).await;
    let program = means.confirm.first().map_or("confirm", String::as_str);
    let code = CALLS_A_RUNNING_SITE_STOPPED;
    if stopped {
        let what = format!("{program} says that {site} is stopped, and its agent answers");
        let advice = "a fence by it proves nothing, and both sites could accept writes: correct \
                      `confirm` or `expect` so that it names the machines of that site";
        return Some(Finding::error(code, place, what, advice));
    }
    ran.hindered().then(|| {
        let what = format!("{program} cannot tell whether {site} is stopped: {}", ran.said("it"));
        let advice = "until it can, a failover waits for the lease";
        Finding::warning(code, place, what, advice)
    })
}

fn not_asked(place: &str, site: &SiteName, agent: &str) -> Finding {
    Finding {
        severity: Severity::Note,
        ..Finding::warning(
            CALLS_A_RUNNING_SITE_STOPPED,
            place,
            format!(
                "whether `confirm` tells that {site} runs was not tried: nothing answers at {agent}"
            ),
            "type the same while the agent of that site runs",
        )
    }
}
