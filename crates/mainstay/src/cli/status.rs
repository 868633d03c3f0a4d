//! `mainstay status`: five lines for each application, at three in the morning.

use super::output::{BAD, CARE, DIM, GOOD, STRONG, styled};
use super::text::{count, moment, seconds};
use super::{Context, Failure};
use mainstay_agent::coordinator::etcd::Member;
use mainstay_agent::types::{
    ApplicationStatus, Equality, EqualityView, Execution, ExecutionState, LinkView, PauseView,
    Problem, ProvedAt, ReadsView, Recheck, Rechecks, Return, ReturnPhase, SiteView, Status,
    StepState,
};
use mainstay_core::{ApplicationName, LinkPhase, SiteName};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this application
    pub application: Option<ApplicationName>,
    /// Every link and every problem, not only the worst
    #[arg(long)]
    pub all: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    let mut status: Status = client.get("/v1/status").await?;
    if let Some(wanted) = &args.application {
        status.applications.retain(|application| application.name == *wanted);
        if status.applications.is_empty() {
            return Err(super::failure::not_found(
                "application",
                wanted.as_str(),
                "mainstay status",
            ));
        }
    }
    context.show(&status, |status| text(status, args.all))?;
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Status, all: bool) -> String {
    let blocks: Vec<String> =
        status.applications.iter().map(|app| application(status, app, all)).collect();
    blocks.join("\n")
}

fn application(status: &Status, app: &ApplicationStatus, all: bool) -> String {
    let mut out = line(app.name.as_str(), &active(status, app));
    if let Some(pause) = &app.pause {
        out += &line("paused", &styled(CARE, paused(pause)));
    }
    out += &line("behind", &behind(app));
    if !app.reads.is_empty() {
        out += &line("reads", &app.reads.iter().map(read).collect::<Vec<_>>().join("; "));
    }
    out += &line("sites", &sites(status, app));
    out += &line("wrong", &wrong(app));
    out += &line("next", &styled(STRONG, next(app)));
    if all {
        out += &details(app);
        out.extend(status.coordinator.members.iter().map(member));
    }
    out
}

fn line(head: &str, text: &str) -> String {
    format!("{} {text}\n", styled(STRONG, format!("{head:<8}")))
}

/// Where it runs, and what this agent is in that.
fn active(status: &Status, app: &ApplicationStatus) -> String {
    let seen = styled(DIM, format!("(seen from {}: {})", status.here, app.state));
    if let Some(execution) = running(app) {
        return format!("{} {seen}", styled(CARE, under_way(execution)));
    }
    let Some(active) = &app.active else {
        return format!("{} {seen}", styled(BAD, "no active site is known"));
    };
    let open = match (*active == status.here, app.serving) {
        (true, true) => styled(GOOD, ", accepting writes"),
        (true, false) => styled(BAD, ", accepting no writes"),
        (false, _) => String::new(),
    };
    format!("active at {}, epoch {}{open} {seen}", styled(GOOD, active), app.epoch)
}

fn running(app: &ApplicationStatus) -> Option<&Execution> {
    app.execution.as_ref().filter(|execution| execution.state == ExecutionState::Running)
}

fn under_way(execution: &Execution) -> String {
    let done = execution.steps.iter().filter(|step| step.state == StepState::Done).count();
    let now = execution.steps.iter().find(|step| step.state != StepState::Done);
    format!(
        "{} under way, epoch {}: {} of {} steps done{}",
        super::executions::title(execution),
        execution.epoch,
        done,
        execution.steps.len(),
        now.map_or_else(String::new, |step| format!(", now {}", step.name)),
    )
}

/// It is no problem: somebody wants it so. But whoever looks must not miss it.
fn paused(PauseView { by, site, reason, since_micros, left_s }: &PauseView) -> String {
    let (since, left) = (moment(*since_micros), seconds(*left_s));
    format!("no failover begins by itself for another {left}: {reason} ({by} at {site}, {since})")
}

/// The link that is furthest behind, and the way back of a site. A link that leads to the active
/// site has done its work.
fn behind(app: &ApplicationStatus) -> String {
    let links: Vec<&LinkView> =
        app.links.iter().filter(|link| app.active.as_ref() != Some(&link.to)).collect();
    let worst = links.iter().max_by(|a, b| badness(a).total_cmp(&badness(b)));
    let link = match (worst, &app.active) {
        (Some(worst), _) => one_link(worst, app.rpo_s) + &more(links.len() - 1),
        (None, Some(active)) => styled(CARE, format!("nothing follows {active}")),
        (None, None) => "no link is known".to_owned(),
    };
    match way_now(app) {
        Some(way) => format!("{}; {link}", styled(CARE, way_back(way, app))),
        None => link,
    }
}

/// `db at west: its own, at most 0.412 s old, 3 readers and 1 led elsewhere`
fn read(of: &ReadsView) -> String {
    let head = format!("{} at {}", of.store, of.site);
    let own = match (&of.refused, of.age_s) {
        (None, Some(age)) => styled(GOOD, format!("its own, at most {age:.1} s old")),
        (why, _) => {
            let why = why.as_deref().unwrap_or("not known");
            styled(CARE, format!("led elsewhere ({why})"))
        }
    };
    format!("{head}: {own}, {} here, {} away", count(of.readers_here, "reader"), of.readers_away)
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more: --all)") }
}

fn badness(link: &LinkView) -> f64 {
    match link.status.phase {
        LinkPhase::Stopped { .. } => f64::INFINITY,
        LinkPhase::Disconnected { .. } => 1e12,
        LinkPhase::Copying { .. } => 1e11,
        LinkPhase::Starting => 1e10,
        LinkPhase::Streaming => link.status.lag.known().map_or(1e9, |age| age.as_secs_f64()),
    }
}

fn one_link(link: &LinkView, rpo_s: f64) -> String {
    let head = format!("{} at {}", link.store, link.to);
    match &link.status.phase {
        LinkPhase::Streaming => format!("{head}: {}", lag(link, rpo_s)),
        LinkPhase::Starting => format!("{head}: {}", styled(CARE, "starting")),
        phase @ LinkPhase::Copying { .. } => {
            format!("{head}: {}", styled(CARE, first_copy(phase)))
        }
        LinkPhase::Disconnected { reason } => {
            let text = format!("disconnected from {}, lag unknown: {reason}", link.from);
            format!("{head}: {}", styled(BAD, text))
        }
        LinkPhase::Stopped { code, reason } => {
            format!("{head}: {}", styled(BAD, format!("stopped, {code}: {reason}")))
        }
    }
}

/// `first copy, 3 of 7 tables, 12345 rows, 1024 MB of 5120 MB, 10 min left`
fn first_copy(phase: &LinkPhase) -> String {
    let LinkPhase::Copying {
        tables_done,
        tables,
        rows,
        bytes,
        total_bytes,
        keys_done,
        keys,
        seconds_left,
    } = phase
    else {
        return String::new();
    };
    let mut text = format!("first copy, {tables_done} of {tables} tables, {rows} rows");
    if bytes < total_bytes {
        text += &format!(", {} MB of {} MB", bytes >> 20, total_bytes >> 20);
    } else if keys_done < keys {
        text += &format!(", {keys_done} of {keys} keys");
    }
    if let Some(left) = seconds_left {
        text += &format!(", {} left", seconds(*left as f64));
    }
    text
}

fn lag(link: &LinkView, rpo_s: f64) -> String {
    match link.status.lag.known() {
        None => styled(CARE, format!("streaming from {}, lag unknown", link.from)),
        Some(age) if age.as_secs_f64() > rpo_s => styled(
            BAD,
            format!("{} behind {}, over the RPO of {}", link.status.lag, link.from, seconds(rpo_s)),
        ),
        Some(_) => styled(GOOD, format!("{} behind {}", link.status.lag, link.from)),
    }
}

/// `; east keeps 12 MB for it, 52 MB are left`
fn retained(link: &LinkView) -> String {
    let Some(retained) = link.status.retained else { return String::new() };
    let keeps = format!("{} keeps {} MB for it", link.from, retained.bytes >> 20);
    let text = match retained.left {
        Some(left) => format!("{keeps}, {} MB are left", left >> 20),
        None => keeps,
    };
    format!("; {}", if retained.is_scarce() { styled(BAD, text) } else { text })
}

/// A way back belongs to its epoch: after the next move it is over.
fn way_now(app: &ApplicationStatus) -> Option<&Return> {
    app.returning.as_ref().filter(|way| way.epoch == app.epoch)
}

/// The way back tells no site: it is the one that holds data and is not active.
fn way_back(way: &Return, app: &ApplicationStatus) -> String {
    let idle =
        |(name, view): &(&SiteName, &SiteView)| !view.witness && app.active.as_ref() != Some(*name);
    let site = app.sites.iter().find(idle).map_or_else(String::new, |(name, _)| name.to_string());
    super::way_back::told(&site, way, is_away(app))
}

fn sites(status: &Status, app: &ApplicationStatus) -> String {
    let mut parts: Vec<String> =
        app.sites.iter().map(|(name, view)| site(app, name, view)).collect();
    parts.push(coordinator(status, app));
    parts.join(", ")
}

/// `coordinator answers (etcd, 2 of 3 members)`
fn coordinator(status: &Status, app: &ApplicationStatus) -> String {
    let members = &status.coordinator.members;
    let (style, mut text) = match (app.coordinator, app.coordinator_silent_since_micros) {
        (true, _) if members.iter().all(Member::works) => (GOOD, "answers".to_owned()),
        (true, _) => (CARE, "answers".to_owned()),
        (false, None) => (BAD, "silent".to_owned()),
        (false, Some(since)) => (BAD, format!("silent since {}", moment(since))),
    };
    if !members.is_empty() {
        let working = members.iter().filter(|member| member.works()).count();
        text += &format!(" (etcd, {working} of {} members)", members.len());
    }
    format!("coordinator {}", styled(style, text))
}

/// `  member https://etcd.east:2379: 3.5.21, leads`
fn member(member: &Member) -> String {
    let trouble = member.trouble.as_deref().unwrap_or_default();
    let text = match (&member.version, member.has_leader) {
        (None, _) => styled(BAD, format!("silent: {trouble}")),
        (Some(version), false) => styled(BAD, format!("{version}, knows no leader")),
        (Some(version), true) if member.leads => styled(GOOD, format!("{version}, leads")),
        (Some(version), true) => styled(GOOD, version),
    };
    let alarm = match member.version {
        Some(_) if !trouble.is_empty() => format!(", {}", styled(BAD, trouble)),
        _ => String::new(),
    };
    format!("  member {}: {text}{alarm}\n", member.endpoint)
}

fn site(app: &ApplicationStatus, name: &SiteName, view: &SiteView) -> String {
    let style = match view.verdict.as_str() {
        "healthy" => GOOD,
        "unknown" => CARE,
        _ => BAD,
    };
    let why = if view.verdict == "healthy" || view.why.is_empty() {
        String::new()
    } else {
        format!(" ({})", view.why)
    };
    let gray = super::watching::gray(&app.watching, name);
    format!("{name} {}{why}{gray}", styled(style, &view.verdict))
}

fn wrong(app: &ApplicationStatus) -> String {
    match app.problems.as_slice() {
        [] => styled(GOOD, "nothing"),
        [first, others @ ..] => styled(BAD, &first.what) + &more(others.len()),
    }
}

fn next(app: &ApplicationStatus) -> String {
    match (app.problems.first(), running(app)) {
        (Some(problem), _) => problem.advice.clone(),
        (None, Some(_)) => "mainstay executions --follow".to_owned(),
        (None, None) if app.pause.is_some() => {
            format!("mainstay resume {}, as soon as the reason is gone", app.name)
        }
        (None, None) if is_back(app) => {
            format!("mainstay plan switchover {0}, then mainstay switchover {0}", app.name)
        }
        (None, None) => format!("mainstay plan failover {}", app.name),
    }
}

/// The lost site is back, and the application is not at home yet.
fn is_back(app: &ApplicationStatus) -> bool {
    is_away(app) && way_now(app).is_some_and(|way| way.phase == ReturnPhase::Ready)
}

fn is_away(app: &ApplicationStatus) -> bool {
    app.home.is_none() || app.active != app.home
}

fn details(app: &ApplicationStatus) -> String {
    let links = app.links.iter().map(|link| {
        let position = |p: &Option<mainstay_core::Position>| {
            p.map_or_else(|| "unknown".to_owned(), |position| position.to_string())
        };
        format!(
            "  link {}; applied {}, received {}, source at {}; {}{}\n",
            one_link(link, app.rpo_s),
            position(&link.status.applied),
            position(&link.status.received),
            position(&link.status.source_end),
            count(link.status.transactions, "transaction"),
            retained(link),
        )
    });
    let problem = |p: &Problem| format!("  problem {}\n    next: {}\n", p.what, p.advice);
    let equality = app.equality.iter().map(equality);
    let names = app.names.iter().map(super::dns::line);
    let watching = std::iter::once(super::watching::details(&app.watching));
    let problems = app.problems.iter().map(problem);
    links.chain(equality).chain(names).chain(watching).chain(problems).collect()
}

/// `  compared db at west: equal to east as of 1/6B374D84 (2026-11-22 02:00:00)`
fn equality(one: &EqualityView) -> String {
    let (from, to, store) = (&one.from, &one.to, &one.store);
    let when = |at: &ProvedAt| format!("as of {at} ({})", moment(at.micros));
    let last = match &one.last_equal {
        Some(at) => format!("; last proved equal {}", when(at)),
        None => "; never proved equal in this epoch".to_owned(),
    };
    let text = match &one.equality {
        Equality::Equal(at) => styled(GOOD, format!("equal to {from} {}", when(at))),
        Equality::Different { at, rows, tables } => {
            let rows = if *rows == 0 { count(*tables, "table") } else { count(*rows, at.noun()) };
            styled(BAD, format!("differs from {from} in {rows} {}", when(at))) + &last
        }
        Equality::Unknown { why } => {
            styled(CARE, format!("unknown whether equal to {from}: {why}")) + &last
        }
    };
    let trouble = one.trouble.as_ref();
    let trouble = trouble.map_or_else(String::new, |why| format!("; not finished: {why}"));
    format!("  compared {store} at {to}: {text}{trouble}\n{}", rechecks(one))
}

/// `  rechecked db at west: 42 changed rows as of 1/6B374D84 (2026-11-22 02:00:00), none differs`
fn rechecks(one: &EqualityView) -> String {
    let (Rechecks { last, trouble, .. }, to, store) = (&one.rechecks, &one.to, &one.store);
    let last = last.as_ref().map(|Recheck { micros, of }| {
        let differs = match of.differing_rows {
            0 => "none differs".to_owned(),
            1 => styled(BAD, "1 differs".to_owned()),
            more => styled(BAD, format!("{more} differ")),
        };
        let unread = match of.unread {
            0 => String::new(),
            unread => format!("; {} not looked at", count(unread, "more change")),
        };
        let (rows, at) = (count(of.rows, "changed row"), of.position);
        format!("{rows} as of {at} ({}), {differs}{unread}", moment(*micros))
    });
    let trouble = trouble.as_ref().map(|why| styled(CARE, why.clone()));
    let told: Vec<String> = last.into_iter().chain(trouble).collect();
    if told.is_empty() {
        return String::new();
    }
    format!("  rechecked {store} at {to}: {}\n", told.join("; "))
}
