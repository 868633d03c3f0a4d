//! `mainstay dns key` and `mainstay dns ds`: the keys that zones are signed with, and what the parent
//! zone has to know of them. Of a private key nothing is ever shown.

use super::{Context, Failure};
use crate::config::Look;
use crate::config::problem::code::UNREADABLE;
use mainstay_core::Finding;
use mainstay_core::estate::{DnsKind, Estate};
use mainstay_traffic::dns::DnsError;
use mainstay_traffic::dns::server::SigningKey;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Make a new key in a new file, and print the DS record for the parent zone
    New {
        /// The zone, such as app.example.org
        zone: String,
        /// The file to write it to; only you will be able to read it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    zone: String,
    keys: Vec<OneKey>,
}

#[derive(Debug, Serialize)]
struct OneKey {
    file: PathBuf,
    tag: u16,
    ds: String,
}

impl OneKey {
    fn of(file: &Path, key: &SigningKey) -> Result<Self, DnsError> {
        Ok(Self { file: file.to_owned(), tag: key.tag, ds: key.ds()? })
    }
}

pub fn new(zone: &str, out: &Path, context: &Context) -> Result<ExitCode, Failure> {
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let key = SigningKey::create(out, &zone).map_err(|error| Failure::told(&error))?;
    let key = OneKey::of(out, &key).map_err(|error| Failure::told(&error))?;
    context.show(&Shown { zone, keys: vec![key] }, |shown| {
        // The configuration may be somewhere else.
        let file = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        let file = file.display();
        let zone = &shown.zone;
        format!(
            "{}made {file}, which only you can read: keep it as you keep passwords\n\
             next: copy it to every site that holds data, name it in mainstay.toml there, and\n\
             restart each gate:\n\
             \x20 [dns.\"{zone}\"]\n\
             \x20 signing-keys = [\"file:{file}\"]\n\
             when `mainstay dns trace` says that every server signs, give the line above to the\n\
             parent zone\n",
            lines(shown)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

pub fn ds(zone: &str, context: &Context) -> Result<ExitCode, Failure> {
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let path = context.configuration();
    let checked = context.check(&path, Look::Nowhere);
    let Some(estate) = checked.estate else {
        let what = format!("{} is not in order", path.display());
        return Err(Failure::new(UNREADABLE, what, format!("mainstay check {}", path.display())));
    };
    let files = files(&estate, &zone);
    if files.is_empty() {
        let what = format!("no zone {zone} with `signing-keys` stands in {}", path.display());
        let advice = format!("make a key: mainstay dns key new {zone} --out FILE");
        return Err(Failure::new("MS-DNS-014", what, advice));
    }
    let read = |file: &PathBuf| OneKey::of(file, &SigningKey::read(file, &zone)?);
    let keys: Result<_, DnsError> = files.iter().map(read).collect();
    let keys = keys.map_err(|error| Failure::told(&error))?;
    context.show(&Shown { zone: zone.clone(), keys }, lines)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(shown: &Shown) -> String {
    shown.keys.iter().map(|key| format!("{}\n", key.ds)).collect()
}

fn files(estate: &Estate, zone: &str) -> Vec<PathBuf> {
    match estate.dns.get(zone).map(|zone| &zone.kind) {
        Some(DnsKind::Own { signing_keys, .. }) => signing_keys.clone(),
        _ => Vec::new(),
    }
}

/// What is wrong with the keys that a configuration names; a witness has none.
pub fn findings(estate: &Estate) -> Vec<Finding> {
    if estate.sites.get(&estate.here).is_some_and(|site| site.witness) {
        return Vec::new();
    }
    let keys = estate.dns.keys().flat_map(|zone| {
        files(estate, zone).into_iter().map(move |file| (zone, SigningKey::read(&file, zone)))
    });
    let wrong = keys.filter_map(|(zone, key)| {
        let Failure { code, what, advice } = Failure::told(&key.err()?);
        Some(Finding::error(&code, format!("dns.{zone}.signing-keys"), what, advice))
    });
    wrong.collect()
}
