//! Writes each site's `mainstay.toml`: the file that a user would write. The sites' files differ
//! only in how the other sites are reached, which is through the lab's network.

use super::folder::{Folder, make_private, write_private};
use super::plan::{DataSite, Fence, HOME, LabPlan, MemberPlan, WITNESS};
use super::secrets::Secrets;
use super::{certificates, postgres};
use crate::error::LabError;
use std::fmt::Write;

/// Objectives of the lab: what the report measures against.
pub const RTO_SECONDS: u32 = 20;
pub const RPO_SECONDS: u32 = 1;
pub const LEASE_SECONDS: u32 = 10;
/// With means to stop a site from outside.
pub const FENCED_RTO_SECONDS: u32 = 8;

/// Writes every site's configuration, certificates and secrets.
pub fn write_configuration(
    plan: &LabPlan,
    folder: &Folder,
    secrets: &Secrets,
) -> Result<(), LabError> {
    for (site, place) in &plan.sites {
        make_private(&folder.state(site))?;
        write_private(&folder.config(site), render(plan, folder, site).as_bytes())?;
        if place.data.is_some() {
            write_private(&folder.database_password(site), secrets.mainstay.as_bytes())?;
        }
    }
    certificates::write_certificates(plan, folder)
}

pub fn render(plan: &LabPlan, folder: &Folder, here: &str) -> String {
    let mut text = format!("# The lab as site {here} sees it.\n\n");
    for (site, place) in &plan.sites {
        let agent = plan.reach(here, site, "agent", place.agent);
        let witness = if place.data.is_none() { "witness = true\n" } else { "" };
        push(&mut text, format_args!("[sites.{site}]\n{witness}agent = \"{agent}\"\n\n"));
    }
    push(&mut text, format_args!("{}", application(plan, folder, here)));
    for (site, place) in plan.data_sites() {
        push(&mut text, format_args!("{}", endpoint(plan, folder, here, site, place)));
        push(&mut text, format_args!("{}", gate(plan, here, site, place)));
        push(&mut text, format_args!("{}", means(plan, folder, site)));
    }
    text += &plan.wanted.added;
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}

fn application(plan: &LabPlan, folder: &Folder, here: &str) -> String {
    let tls = folder.tls(here);
    let cool_down = plan.wanted.cool_down_seconds;
    let coordinator = coordinator(plan, folder, here);
    format!(
        r#"{coordinator}
[tls]
directory = "{}"

[applications.bank]
home = "{HOME}"
failover = "automatic"
# Whoever plays with it is alone.
force = "one"
lease = "{LEASE_SECONDS}s"
cool-down = "{cool_down}s"

[applications.bank.objectives]
rto = "{RTO_SECONDS}s"
rpo = "{RPO_SECONDS}s"

[applications.bank.stores.db]
kind = "postgres"
roles = ["bank"]

# A transfer and a payee are new rows with their own ids: they can be made again. The balances
# follow from the transfers.
[applications.bank.stores.db.salvage]
"public.transfers" = "replay-inserts"
"public.payees" = "replay-inserts"
"public.accounts" = "keep"

"#,
        tls.display()
    )
}

/// How the other sites stop this one: by a command of the lab, which kills its processes.
fn means(plan: &LabPlan, folder: &Folder, site: &str) -> String {
    let Some(fence) = plan.wanted.fence else { return String::new() };
    let (binary, root) = (plan.binary.display(), folder.root().display());
    let words = |what| {
        format!("[\"{binary}\", \"lab\", \"{what}\", \"--folder\", \"{root}\", \"{{site}}\"]")
    };
    let expect = if fence == Fence::Unknown { "what is never printed" } else { "stopped" };
    format!(
        r#"[[applications.bank.fencing.{site}]]
command = {}
confirm = {}
expect = "{expect}"
timeout = "5s"

"#,
        words("fence"),
        words("fenced")
    )
}

fn coordinator(plan: &LabPlan, folder: &Folder, here: &str) -> String {
    let members = plan.members();
    let url = |(site, member): (&str, &MemberPlan)| {
        format!("\"https://{}\"", plan.reach(here, site, "etcd", member.client))
    };
    let urls: Vec<String> = members.map(url).collect();
    if urls.is_empty() {
        return format!("[coordinator]\nkind = \"embedded\"\nsite = \"{WITNESS}\"\n");
    }
    let tls = folder.tls(here);
    let file = |name: &str| tls.join(name).display().to_string();
    format!(
        r#"[coordinator]
kind = "etcd"
endpoints = [{}]
authority = "{}"
certificate = "{}"
key = "{}"
"#,
        urls.join(", "),
        file("ca.pem"),
        file(&format!("{here}.pem")),
        file(&format!("{here}.key")),
    )
}

fn endpoint(plan: &LabPlan, folder: &Folder, here: &str, site: &str, place: &DataSite) -> String {
    let address = plan.reach(here, site, "database", place.postgres);
    let database = postgres::DATABASE;
    let password = folder.database_password(here);
    format!(
        r#"[applications.bank.stores.db.endpoints.{site}]
address = "{address}"
database = "{database}"
user = "mainstay"
password = "file:{}"
tls = "disable"

"#,
        password.display()
    )
}

fn gate(plan: &LabPlan, here: &str, site: &str, place: &DataSite) -> String {
    let peer = plan.reach(here, site, "peer", place.gate_peer);
    let address = plan.reach(here, site, "http", place.gate_http);
    let DataSite { gate_http, gate_peer, gate_database, banks: [one, two], .. } = place;
    format!(
        r#"[applications.bank.gates.{site}]
hold = "10s"
peer = "{peer}"
peer-listen = "{gate_peer}"

[applications.bank.gates.{site}.http]
listen = "{gate_http}"
address = "{address}"
upstreams = ["{one}", "{two}"]
health = "/health"

[applications.bank.gates.{site}.stores]
db = "{gate_database}"

"#
    )
}
