//! The report on one screen.

use super::blocks;
use super::{Happened, Report, grouped, seconds};
use std::fmt::Write;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";
/// The agents sample the lag this often.
const LAG_EVERY_S: f64 = 0.5;
/// Columns of the plots.
const WIDTH: usize = 64;

pub fn terminal(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, report);
    text
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { version, seed, coordinator, scenario_s, .. } = report;
    writeln!(
        out,
        "\n{BOLD}Mainstay {version}: the lab{PLAIN}  {DIM}seed {seed}, coordinator {coordinator}, {scenario_s:.0} s{PLAIN}\n"
    )?;
    write_timeline(out, "Failover", "seconds since the kill", &report.timeline)?;
    write_timeline(
        out,
        "Switchover home",
        "seconds since it was asked for",
        &report.switchover_timeline,
    )?;
    write_figures(out, report)?;
    write_disasters(out, report)?;
    write_counts(out, report)?;
    write_never_arrived(out, report)?;
    write_plots(out, report)?;
    write_verdict(out, report)
}

fn write_timeline(
    out: &mut String,
    title: &str,
    unit: &str,
    timeline: &[Happened],
) -> std::fmt::Result {
    writeln!(out, "{BOLD}{title}{PLAIN}  {DIM}{unit}{PLAIN}")?;
    for Happened { at_s, what, detail, .. } in timeline {
        writeln!(out, "  {at_s:7.3}  {what:<14} {DIM}{}{PLAIN}", shortened(detail, 70))?;
    }
    writeln!(out)
}

fn write_figures(out: &mut String, report: &Report) -> std::fmt::Result {
    let bound = format!("(bound before the failover: {})", seconds(report.rpo_bound_s));
    writeln!(out, "{BOLD}{:<18} {:>12} {:>12}{PLAIN}", "", "by clients", "by Mainstay")?;
    writeln!(
        out,
        "{:<18} {:>12} {:>12}",
        "RTO",
        seconds(report.rto_s),
        seconds(report.rto_stated_s)
    )?;
    let (measured, stated) = (seconds(Some(report.rpo_s)), seconds(report.rpo_stated_s));
    writeln!(out, "{:<18} {measured:>12} {stated:>12}  {DIM}{bound}{PLAIN}", "RPO")?;
    writeln!(out, "{:<18} {:>12}\n", "switchover pause", seconds(report.switchover_pause_s))
}

/// One line each, when there were several.
fn write_disasters(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.disasters.len() < 2 {
        return Ok(());
    }
    writeln!(out, "{BOLD}Disasters{PLAIN}  {DIM}the figures above are the worst of them{PLAIN}")?;
    for it in &report.disasters {
        let by = if it.ordered { "a person" } else { "the agents" };
        writeln!(
            out,
            "  {:7.1}  {} lost: RTO {}, RPO {}, {} lost, {} salvaged, {} replayed, {} returned; \
             failover by {by}",
            it.kill_at_s,
            it.lost_site,
            seconds(it.rto_s),
            seconds(Some(it.rpo_s)),
            it.lost,
            it.salvaged,
            it.replayed,
            it.returned
        )?;
    }
    writeln!(out)
}

fn write_counts(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { lost, salvaged, replayed, returned, unaccounted, .. } = report;
    let acknowledged = grouped(&report.acknowledged.to_string());
    writeln!(
        out,
        "{BOLD}Transfers{PLAIN}  {acknowledged} acknowledged, {lost} lost at the failover, {salvaged} \
         salvaged, {replayed} replayed\n           and {} left to a person; {returned} of {lost} returned, {unaccounted} unaccounted \
         for;\n           {} tried more than once, {} failed for good",
        report.left_to_a_person, report.retried, report.failed_for_good
    )?;
    write_numbers(out, "lost", &report.lost_numbers)?;
    write_numbers(out, "salvaged", &report.salvaged_numbers)?;
    write_numbers(out, "unaccounted", &report.unaccounted_numbers)?;
    for books in &report.sites {
        let sum = if books.balanced { "which adds up" } else { "which does NOT add up" };
        writeln!(
            out,
            "  {:<8} {} transfers, all balances together {}, {sum}",
            books.site,
            grouped(&books.transfers.to_string()),
            grouped(&books.balance)
        )?;
    }
    writeln!(out, "  Mainstay's comparison: {}\n", super::compared(report))
}

/// With `--lost`.
fn write_never_arrived(out: &mut String, report: &Report) -> std::fmt::Result {
    let Some(it) = &report.never_arrived else { return Ok(()) };
    writeln!(out, "{BOLD}Never arrived{PLAIN}  {DIM}by the clients' own logs{PLAIN}")?;
    for (what, told) in it.lines() {
        writeln!(out, "  {what:<22} {told}")?;
    }
    writeln!(out)
}

fn write_numbers(out: &mut String, what: &str, numbers: &[i64]) -> std::fmt::Result {
    if numbers.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = numbers.iter().take(8).map(i64::to_string).collect();
    let more = if numbers.len() > shown.len() { ", …" } else { "" };
    writeln!(out, "  {what} by number: {}{more}", shown.join(", "))
}

fn write_plots(out: &mut String, report: &Report) -> std::fmt::Result {
    let until = report.scenario_s;
    let rate = report.acknowledged_per_second.iter().enumerate();
    let rate =
        blocks::columns(rate.map(|(s, n)| (s as f64, Some(f64::from(*n)))), 1.0, until, WIDTH);
    let most = report.acknowledged_per_second.iter().copied().max().unwrap_or(0);
    writeln!(
        out,
        "{:<12} {}  {DIM}up to {most}{PLAIN}",
        "writes/s",
        blocks::line(&rate, most.into())
    )?;
    for site in report.sites.iter().map(|books| &books.site) {
        let points = || report.lag.iter().filter(|point| point.site == *site);
        let largest = points().filter_map(|point| point.lag_s).fold(0.0, f64::max);
        let columns =
            blocks::columns(points().map(|p| (p.at_s, p.lag_s)), LAG_EVERY_S, until, WIDTH);
        let line = blocks::line(&columns, largest);
        writeln!(out, "{:<12} {line}  {DIM}up to {largest:.2} s{PLAIN}", format!("lag at {site}"))?;
    }
    let marker = markers(report, until);
    writeln!(out, "{:<12} {marker}  {DIM}K: kill, S: switchover, ·: unknown{PLAIN}\n", "")
}

fn markers(report: &Report, until: f64) -> String {
    let mut line = vec![' '; WIDTH];
    let kills = report.disasters.iter().map(|disaster| (disaster.kill_at_s, 'K'));
    for (at_s, mark) in kills.chain(report.switchover_at_s.map(|at_s| (at_s, 'S'))) {
        let column = (at_s / until.max(0.001) * WIDTH as f64) as usize;
        if let Some(place) = line.get_mut(column) {
            *place = mark;
        }
    }
    line.into_iter().collect()
}

fn write_verdict(out: &mut String, report: &Report) -> std::fmt::Result {
    for objective in &report.objectives {
        let (colour, mark) = if objective.met { (GREEN, "met   ") } else { (RED, "MISSED") };
        let (name, wanted, measured) = (objective.name, &objective.objective, &objective.measured);
        writeln!(out, "  {colour}{mark}{PLAIN} {name:<28} {measured:>10}  {DIM}{wanted}{PLAIN}")?;
    }
    match report.missed.len() {
        0 => write!(out, "\n{GREEN}{BOLD}Every objective was met.{PLAIN}"),
        1 => write!(out, "\n{RED}{BOLD}One objective was missed.{PLAIN}"),
        more => write!(out, "\n{RED}{BOLD}{more} objectives were missed.{PLAIN}"),
    }
}

fn shortened(text: &str, longest: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
