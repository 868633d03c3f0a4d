//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use super::plot::{self, escape};
use super::{Report, SiteBooks, grouped, seconds};
use std::fmt::Write;

pub fn html(report: &Report) -> String {
    let (class, headline, verdict) = match report.missed.len() {
        0 => (
            "good",
            "A site was killed, and the bank went on.",
            "Every objective was met.".to_owned(),
        ),
        _ => ("bad", "A site was killed.", format!("Missed: {}.", report.missed.join("; "))),
    };
    let Report { version, seed, scenario_s, .. } = report;
    let accounts = grouped(&report.accounts.to_string());
    let sections =
        [figures(report), stories(report), books(report), lost(report), objectives(report)]
            .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Mainstay lab, seed {seed}</title>\n<style>{}</style>\n<main>\n\
         <header><p class=\"eyebrow\">Mainstay {version} · lab</p>\
         <h1>{headline}</h1>\
         <p class=\"lede\">Two sites and a witness, {accounts} accounts, clients that log every \
         acknowledged transfer. {scenario_s:.0} s, seed <code>{seed}</code>.</p>\
         <p class=\"verdict {class}\">{}</p></header>\n{sections}\
         <footer>Measured figures come from the clients’ logs and from both databases, asked \
         directly; stated ones from Mainstay. Again with the same choices: \
         <code>mainstay lab --seed {seed}</code></footer>\n</main></html>\n",
        include_str!("page.css"),
        escape(&verdict)
    )
}

fn figures(report: &Report) -> String {
    let card = |name: &str, value: String, note: String| {
        format!(
            "<div class=\"card\"><h2>{name}</h2><p class=\"figure\">{value}</p><p class=\"note\">{}</p></div>",
            escape(&note)
        )
    };
    let rpo_note = format!(
        "stated {}; bound before the failover {}",
        seconds(report.rpo_stated_s),
        seconds(report.rpo_bound_s)
    );
    let kept = format!("of {} acknowledged", grouped(&report.acknowledged.to_string()));
    let retried = format!("{} requests failed for good", report.failed_for_good);
    [
        "<section class=\"cards\">".to_owned(),
        card("RTO", seconds(report.rto_s), format!("stated {}", seconds(report.rto_stated_s))),
        card("RPO", seconds(Some(report.rpo_s)), rpo_note),
        card("Switchover pause", seconds(report.switchover_pause_s), retried),
        card("Unaccounted for", report.unaccounted.to_string(), kept),
        "</section>\n".to_owned(),
    ]
    .concat()
}

fn stories(report: &Report) -> String {
    format!(
        "<section><h2>Failover</h2><p class=\"note\">Seconds since the kill.</p>{}</section>\n\
         <section><h2>Switchover home</h2><p class=\"note\">Seconds since it was asked for.</p>{}</section>\n\
         <section><h2>Acknowledged writes per second</h2>{}</section>\n\
         <section><h2>Lag</h2><p class=\"note\">At the receiving site: {}. Shaded where it is \
         unknown.</p>{}</section>\n",
        plot::timeline("Failover", &report.timeline),
        plot::timeline("Switchover home", &report.switchover_timeline),
        plot::writes(report),
        legend(&report.sites),
        plot::lag(report)
    )
}

fn legend(sites: &[SiteBooks]) -> String {
    let name = |(number, books): (usize, &SiteBooks)| {
        format!("<span class=\"key key{number}\">{}</span>", escape(&books.site))
    };
    sites.iter().enumerate().map(name).collect::<Vec<_>>().join(" ")
}

fn books(report: &Report) -> String {
    let mut rows = String::new();
    for (name, count, numbers) in [
        ("acknowledged", report.acknowledged, None),
        ("lost at the failover", report.lost, Some(&report.lost_numbers)),
        ("salvaged", report.salvaged, Some(&report.salvaged_numbers)),
        ("replayed", report.replayed, None),
        ("left to a person", report.left_to_a_person, None),
        ("lost and returned", report.returned, None),
        ("unaccounted for", report.unaccounted, Some(&report.unaccounted_numbers)),
        ("tried more than once", report.retried, None),
        ("failed for good", report.failed_for_good, None),
    ] {
        let numbers = numbers.map_or_else(String::new, |numbers| list(numbers));
        let count = grouped(&count.to_string());
        let _ = write!(
            rows,
            "<tr><td>{name}</td><td class=\"n\">{count}</td><td class=\"dim\">{numbers}</td></tr>"
        );
    }
    let mut sides = String::new();
    for SiteBooks { site, transfers, balance, balanced } in &report.sites {
        let (transfers, balance) = (grouped(&transfers.to_string()), grouped(balance));
        let word = if *balanced { "adds up" } else { "does not add up" };
        let _ = write!(
            sides,
            "<tr><td>{}</td><td class=\"n\">{transfers}</td><td class=\"n\">{balance}</td><td>{word}</td></tr>",
            escape(site)
        );
    }
    format!(
        "<section><h2>Transfers</h2><table><thead><tr><th>what<th class=\"n\">count<th>by number\
         </thead><tbody>{rows}</tbody></table></section>\n\
         <section><h2>The books</h2><table><thead><tr><th>site<th class=\"n\">transfers\
         <th class=\"n\">all balances<th></thead><tbody>{sides}</tbody></table>\
         <p class=\"note\">Mainstay’s comparison: {}.</p></section>\n",
        escape(&super::compared(report))
    )
}

/// With `--lost`.
fn lost(report: &Report) -> String {
    let Some(lost) = &report.never_arrived else { return String::new() };
    let row = |(what, told): (&str, String)| {
        format!("<tr><td>{what}</td><td>{}</td></tr>", escape(&told))
    };
    let rows: String = lost.lines().into_iter().map(row).collect();
    format!(
        "<section><h2>Never arrived</h2><table><thead><tr><th>what<th>by the clients’ own \
         logs</thead><tbody>{rows}</tbody></table></section>\n"
    )
}

/// At most 40 numbers: the JSON document has them all.
fn list(numbers: &[i64]) -> String {
    let shown: Vec<String> = numbers.iter().take(40).map(i64::to_string).collect();
    let more = if numbers.len() > shown.len() { ", …" } else { "" };
    shown.join(", ") + more
}

fn objectives(report: &Report) -> String {
    let row = |objective: &super::Objective| {
        let (class, word) = if objective.met { ("good", "met") } else { ("bad", "missed") };
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"{class}\">{word}</td></tr>",
            objective.name,
            escape(&objective.objective),
            escape(&objective.measured)
        )
    };
    let rows: String = report.objectives.iter().map(row).collect();
    format!(
        "<section><h2>Objectives</h2><table><thead><tr><th>what<th class=\"n\">objective\
         <th class=\"n\">measured<th></thead><tbody>{rows}</tbody></table></section>\n"
    )
}
