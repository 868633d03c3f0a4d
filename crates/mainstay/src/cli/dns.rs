//! `mainstay dns`: the applications' names, and what each server answers.

use super::dns_keys::{self, Key};
use super::failure::code;
use super::output::{BAD, CARE, GOOD, STRONG, styled};
use super::text::{moment, seconds};
use super::{Context, Failure};
use mainstay_agent::types::{AnswerView, NameView, ServerView, SignedView, Trace, keys_in_words};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What each of the zone's servers, and its resolvers, answer for a name now
    Trace {
        /// The name, such as www.example.org
        name: String,
    },
    /// The key that Mainstay's own DNS server signs a zone with (DNSSEC)
    #[command(subcommand)]
    Key(Key),
    /// The DS records of a zone's keys, for the parent zone
    Ds {
        /// The zone, such as app.example.org
        zone: String,
    },
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Trace { name } => trace(&name, context).await,
        Command::Key(Key::New { zone, out }) => dns_keys::new(&zone, &out, context),
        Command::Ds { zone } => dns_keys::ds(&zone, context),
    }
}

async fn trace(name: &str, context: &Context) -> Result<ExitCode, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !name.chars().all(plain) {
        let what = format!("{name:?} is not a name in DNS");
        return Err(Failure::new(code::WORTHLESS_VALUE, what, "write one such as www.example.org"));
    }
    let client = context.client().await?;
    let trace: Trace = client.get(&format!("/v1/dns/trace?name={name}")).await?;
    context.show(&trace, text)?;
    Ok(if trace.name.right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(trace: &Trace) -> String {
    let name = &trace.name;
    let addresses: Vec<String> = name.addresses.iter().map(ToString::to_string).collect();
    let mut out = format!(
        "{} is to lead to {} in epoch {}: {}\n",
        styled(STRONG, &name.name),
        name.site,
        name.epoch,
        addresses.join(", ")
    );
    for (kind, list) in [("server", &name.servers), ("resolver", &trace.resolvers)] {
        for one in list {
            out += &format!("  {kind:<8} {}\n", server(one));
        }
    }
    if let Some(moved) = name.moved_s {
        out += &format!("every server said so {} after the epoch began\n", seconds(moved));
    }
    out
}

/// `ns1.example.org:53: 192.0.2.10 for east in epoch 7, TTL 30 s, since 2026-11-22 02:00:00`
fn server(one: &ServerView) -> String {
    let AnswerView { addresses, ttl, epoch, site, signed, error } = &one.answer;
    let style = match (one.right, error) {
        (true, _) => GOOD,
        (false, None) => CARE,
        (false, Some(_)) => BAD,
    };
    if let Some(error) = error {
        return format!("{}: {}", one.server, styled(style, error));
    }
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let mut text = if addresses.is_empty() { "nothing".into() } else { addresses.join(", ") };
    if let (Some(site), Some(epoch)) = (site, epoch) {
        text += &format!(" for {site} in epoch {epoch}");
    }
    if let Some(ttl) = ttl {
        text += &format!(", TTL {ttl} s");
    }
    text += &signed.as_ref().map_or_else(String::new, signature);
    let since = one.since_micros.map_or_else(String::new, |at| format!(", since {}", moment(at)));
    format!("{}: {}{since}", one.server, styled(style, text))
}

/// `, signed by key 12345 until 2026-11-23 05:00:00`
fn signature(signed: &SignedView) -> String {
    let holds = if signed.held { "" } else { " (which does not hold now)" };
    format!(
        ", signed by {} until {}{holds}",
        keys_in_words(&signed.keys),
        moment(signed.until_micros)
    )
}

/// `  name bank.example.org: leads to east at 2 of 2 servers, after 0.12 s`
pub fn line(name: &NameView) -> String {
    let right = name.servers.iter().filter(|server| server.right).count();
    let style = if name.right { GOOD } else { BAD };
    let all = name.servers.len();
    let took = name.moved_s.map_or_else(String::new, |took| format!(", after {}", seconds(took)));
    let text = format!("leads to {} at {right} of {all} servers", name.site);
    format!("  name {}: {}{took}\n", name.name, styled(style, text))
}
