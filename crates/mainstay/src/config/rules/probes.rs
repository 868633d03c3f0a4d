//! Probes: what each kind needs and may have, and whether a loss is noticed while the lease waits.

use super::{entries, is_witness, one_each, unknown_site};
use crate::config::duration;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, File, Probe};
use crate::config::values::{Address, Count, ProbeKind};
use mainstay_core::lease::Lease;
use mainstay_core::watch::Cadence;
use mainstay_core::{StoreName, Tick};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// More often, and the probe is the load.
const SHORTEST: Duration = Duration::from_millis(100);
const THRESHOLDS: std::ops::RangeInclusive<u32> = 1..=100;

pub fn check(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    for (_, probe) in entries(&application.probes) {
        let Some(kind) = probe.value.kind.as_ref().map(|kind| kind.value) else { continue };
        keys(probe, kind, problems);
        places(file, probe, kind, problems);
        link_local(&probe.value, problems);
        times(probe, application.lease.as_ref().map(|lease| lease.value), problems);
        store(application, &probe.value, problems);
        command(file, &probe.value, problems);
    }
    witness(file, application, problems);
}

/// What is written of the keys that only some kinds have.
fn written(probe: &Probe) -> [(&'static str, Option<Blame<'_>>, &'static [ProbeKind]); 12] {
    use ProbeKind::{Command, Http, Postgres, Redis, Tcp};
    let p = probe;
    [
        ("addresses", blame(&p.addresses), &[Http, Tcp, Postgres, Redis]),
        ("path", blame(&p.path), &[Http]),
        ("status", blame(&p.status), &[Http]),
        ("body", blame(&p.body), &[Http]),
        ("body-matches", blame(&p.body_matches), &[Http]),
        ("authority", blame(&p.authority), &[Http, Redis]),
        ("store", blame(&p.store), &[Postgres]),
        ("statement", blame(&p.statement), &[Postgres]),
        ("user", blame(&p.user), &[Postgres, Redis]),
        ("password", blame(&p.password), &[Postgres, Redis]),
        ("write", blame(&p.write), &[Redis]),
        ("command", blame(&p.command), &[Command]),
    ]
}

type Blame<'a> = Box<dyn Fn(Problem) -> Problem + 'a>;

fn blame<T>(at: &Option<At<T>>) -> Option<Blame<'_>> {
    let at = at.as_ref()?;
    Some(Box::new(move |problem| at.blame(problem)))
}

fn keys(probe: &At<Probe>, kind: ProbeKind, problems: &mut Vec<Problem>) {
    let keys = written(&probe.value);
    for (key, written, kinds) in &keys {
        let Some(blame) = written.as_ref().filter(|_| !kinds.contains(&kind)) else { continue };
        let what = format!("`{key}` means nothing with `kind = \"{}\"`", kind.word());
        let known = keys.iter().filter(|(_, _, kinds)| kinds.contains(&kind));
        let known: Vec<&str> = known.map(|(key, _, _)| *key).collect();
        let advice = format!("remove it; this kind has: {}", known.join(", "));
        problems
            .push(blame(Problem::error(code::UNKNOWN_KEY, what, advice).label("of another kind")));
    }
    let needed = match kind {
        ProbeKind::Http | ProbeKind::Tcp | ProbeKind::Redis => "addresses",
        ProbeKind::Postgres => "store",
        ProbeKind::Command => "command",
    };
    if keys.iter().any(|(key, written, _)| *key == needed && written.is_none()) {
        let what = format!("`{needed}` is missing in {}", probe.place);
        let advice = format!("add `{needed}`: a probe of this kind needs it");
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(probe.blame(problem.label(format!("`{needed}` is missing"))));
    }
    if let (Some(_), Some(second)) = (&probe.value.body, &probe.value.body_matches) {
        let what = "`body` and `body-matches` are both written";
        let problem = Problem::error(code::UNKNOWN_KEY, what, "keep one of them");
        problems.push(second.blame(problem.label("the second")));
    }
    if kind == ProbeKind::Postgres {
        return as_a_client(probe, problems);
    }
    if let (Some(user), None) = (&probe.value.user, &probe.value.password) {
        let what = "`user` is written, and `password` is not";
        let advice = "add `password = \"env:NAME\"`, or remove `user`";
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(user.blame(problem.label("`password` is missing")));
    }
}

/// A statement of the application's own user goes the way that clients take: a standby's database
/// refuses that user.
fn as_a_client(probe: &At<Probe>, problems: &mut Vec<Problem>) {
    let p = &probe.value;
    let keys = [
        ("statement", p.statement.is_some()),
        ("user", p.user.is_some()),
        ("password", p.password.is_some()),
    ];
    if keys.iter().all(|(_, written)| !written) {
        return;
    }
    for (key, _) in keys.iter().filter(|(_, written)| !written) {
        let what = format!("`{key}` is missing in {}", probe.place);
        let advice = "a write as the application makes it takes `statement`, `user`, `password` \
                      and `addresses`, such as the gates'";
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(probe.blame(problem.label(format!("`{key}` is missing"))));
    }
}

/// Each site that holds data is looked at; a write to PostgreSQL goes to the store's own endpoint
/// where nothing else is written.
fn places(file: &File, probe: &At<Probe>, kind: ProbeKind, problems: &mut Vec<Problem>) {
    if kind != ProbeKind::Postgres || probe.value.statement.is_some() {
        let why = "and has nothing that could be looked at";
        return one_each(file, &probe.value.addresses, "an address", why, problems);
    }
    for (site, address) in entries(&probe.value.addresses) {
        problems.extend(unknown_site(file, site).map(|problem| address.blame(problem)));
    }
}

fn link_local(probe: &Probe, problems: &mut Vec<Problem>) {
    if probe.link_local.as_ref().is_some_and(|told| told.value) {
        return;
    }
    for (_, address) in entries(&probe.addresses).filter(|(_, at)| is_link_local(&at.value)) {
        let what = format!("{} is an address of the link itself", address.value);
        let advice = "there clouds hand out a machine's own credentials; if nothing of the kind is \
                      there, write `link-local = true`";
        let problem = Problem::error(code::LINK_LOCAL, what, advice);
        problems.push(address.blame(problem.label("link-local")));
    }
}

fn is_link_local(address: &Address) -> bool {
    match address.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(v4)) => v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// A loss that is noticed only after the lease has run out delays every failover.
fn times(probe: &At<Probe>, lease: Option<Duration>, problems: &mut Vec<Problem>) {
    let typed = &probe.value;
    let times = [("interval", &typed.interval), ("timeout", &typed.timeout)];
    for (key, at) in times.iter().filter_map(|(key, at)| Some((key, at.as_ref()?))) {
        if at.value < SHORTEST {
            let what = format!("`{key}` of {} is too short", duration::write(at.value));
            let advice = "write 100ms or more: oftener, and the probe itself is the load";
            let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
            problems.push(at.blame(problem.label("shorter than 100ms")));
        }
    }
    if let Some(at) = typed.threshold.as_ref().filter(|at| !THRESHOLDS.contains(&at.value.0)) {
        let what = format!("a threshold of {} is out of range", at.value.0);
        let advice =
            "write 1 to 100: so many looks in a row change what is concluded; 2 suits most";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        return problems.push(at.blame(problem.label("not within 1 to 100")));
    }
    let Some(lease) = lease.map(Lease::new) else { return };
    let cadence = cadence(typed, lease);
    let start = Tick::from_millis(0);
    let (notices, waits) = (cadence.notices_within(), lease.runs_out_at(start).since(start));
    if notices >= waits {
        problems.push(probe.blame(too_slow(cadence, notices, waits)));
    }
}

fn too_slow(cadence: Cadence, notices: Duration, waits: Duration) -> Problem {
    let Cadence { interval, timeout, threshold } = cadence;
    let [interval, timeout, notices, waits] =
        [interval, timeout, notices, waits].map(duration::write);
    let what = format!(
        "this probe notices a loss only after {notices} (every {interval}, {threshold} times in a \
         row, each up to {timeout}), and a failover is decided {waits} after the last sign of life"
    );
    let advice = "shorten `interval` or `timeout`, lower `threshold`, or lengthen `lease`: until \
                  it notices, it still calls the lost site healthy, and nothing fails over";
    Problem::error(code::PROBE_TOO_SLOW, what, advice).label("too slow for the lease")
}

/// What is not written follows from the lease.
pub fn cadence(probe: &Probe, lease: Lease) -> Cadence {
    let usual = Cadence::of(lease);
    let written = |at: &Option<At<Duration>>| at.as_ref().map(|at| at.value);
    let threshold = probe.threshold.as_ref().map(|at| at.value);
    Cadence {
        interval: written(&probe.interval).unwrap_or(usual.interval),
        timeout: written(&probe.timeout).unwrap_or(usual.timeout),
        threshold: threshold.map_or(usual.threshold, |Count(threshold)| threshold),
    }
}

fn store(application: &Application, probe: &Probe, problems: &mut Vec<Problem>) {
    let stores: Vec<&StoreName> = entries(&application.stores).map(|(name, _)| name).collect();
    if let Some(store) = probe.store.as_ref().filter(|store| !stores.contains(&&store.value)) {
        let known: Vec<String> = stores.iter().map(ToString::to_string).collect();
        let what = format!("there is no store `{}` in this application", store.value);
        let advice = format!("stores of this application: {}", known.join(", "));
        let problem = Problem::error(code::UNKNOWN_STORE, what, advice);
        problems.push(store.blame(problem.label("no such store")));
    }
}

/// Whoever may change an application's part of the file may not start whatever he likes.
fn command(file: &File, probe: &Probe, problems: &mut Vec<Problem>) {
    let Some(command) = &probe.command else { return };
    let Some(program) = command.value.first() else {
        let what = format!("{} is empty", command.place);
        let problem = Problem::error(code::MISSING_KEY, what, "write the program first");
        return problems.push(command.blame(problem.label("empty")));
    };
    let allowed = file.probe_commands.iter().flat_map(|list| &list.value);
    let is_allowed = allowed.into_iter().any(|allowed| allowed.value == program.value);
    let whole = |text: &str| Path::new(text).is_absolute() && !text.contains('\0');
    if !whole(&program.value) {
        let what = format!("the program `{}` is not written with its whole path", program.value);
        let advice = "begin it with /: what it is must not depend on where an agent runs";
        let problem = Problem::error(code::COMMAND_NOT_ALLOWED, what, advice);
        problems.push(program.blame(problem.label("not a whole path")));
    } else if !is_allowed {
        let what = format!("the program `{}` is not allowed", program.value);
        let advice =
            format!("add it at the top of the file: probe-commands = [{:?}]", program.value);
        let problem = Problem::error(code::COMMAND_NOT_ALLOWED, what, advice);
        problems.push(program.blame(problem.label("not in `probe-commands`")));
    }
    if let Some(argument) = command.value.iter().find(|argument| argument.value.contains('\0')) {
        let what = format!("{} holds a byte that no argument can hold", argument.place);
        let problem = Problem::error(code::BAD_VALUE, what, "remove \\u0000");
        problems.push(argument.blame(problem.label("a zero byte")));
    }
}

/// A witness that can look at nothing never agrees to a failover.
fn witness(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    let Some(table) = application.probes.as_ref().filter(|table| !table.value.is_empty()) else {
        return;
    };
    let has_witness = entries(&file.sites).any(|(name, _)| is_witness(file, name) == Some(true));
    let secret = |probe: &Probe| {
        let kind = probe.kind.as_ref().map(|kind| kind.value);
        kind == Some(ProbeKind::Postgres) || probe.password.is_some()
    };
    if has_witness && table.value.values().all(|at| secret(&at.value)) {
        let what = "the witness can make none of these probes: each needs credentials, and a \
                    witness holds none";
        let advice = "add a probe that needs none, such as `kind = \"http\"` or `kind = \"tcp\"`: \
                      without the witness's word nothing fails over by itself";
        let problem = Problem::error(code::WITNESS_SEES_NOTHING, what, advice);
        problems.push(table.blame(problem.label("all need credentials")));
    }
}
