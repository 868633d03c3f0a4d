//! `/metrics` in the Prometheus text format, rendered from what is known at that moment.

use crate::application::Applications;
use crate::context::Context;
use crate::time::tick;
use crate::types::{Equality, EqualityView, Problem, ReadsView, Recheck, Status, WatchingView};
use mainstay_core::{Lag, LinkPhase, Retained, SiteName};
use std::collections::BTreeSet;
use std::fmt::Write;

/// One family after the other, as the format asks (Prometheus, "Text-based exposition format").
pub fn render(context: &Context, applications: &Applications) -> String {
    let status = crate::api::status::status(context, applications);
    let mut families = Families::default();
    for it in &status.applications {
        let app = format!("application=\"{}\"", it.name);
        families.gauge("mainstay_epoch", "Epoch of the application.", &app, it.epoch.number());
        families.gauge("mainstay_serving", "1 while this site serves.", &app, u8::from(it.serving));
        families.gauge(
            "mainstay_coordinator_answers",
            "1 while the coordinator answers this agent.",
            &app,
            u8::from(it.coordinator),
        );
        families.gauge(
            "mainstay_pause_left_seconds",
            "How long no failover begins by itself, by a person's word; 0 when not paused.",
            &app,
            it.pause.as_ref().map_or(0.0, |pause| pause.left_s),
        );
        families.watching(&app, context.here(), &it.watching);
        families.gauge("mainstay_problems", "Problems shown in status.", &app, it.problems.len());
        for reads in it.reads.iter().filter(|reads| reads.site == *context.here()) {
            families.reads(&format!("{app},store=\"{}\"", reads.store), reads);
        }
        for link in it.links.iter().filter(|link| link.to == *context.here()) {
            let labels =
                format!("{app},store=\"{}\",from=\"{}\",to=\"{}\"", link.store, link.from, link.to);
            let phase = link.status.phase.name();
            let phased = format!("{labels},phase=\"{phase}\"");
            families.gauge("mainstay_link_phase", "1 for the link's phase.", &phased, 1);
            families.gauge(
                "mainstay_link_lag_seconds",
                "Age of the oldest change not applied; NaN while unknown.",
                &labels,
                lag(link.status.lag),
            );
            families.gauge(
                "mainstay_link_transactions_total",
                "Source transactions applied since the link began.",
                &labels,
                link.status.transactions,
            );
            if let Some(retained) = link.status.retained {
                families.retained(&labels, retained);
            }
            if let LinkPhase::Copying { bytes, total_bytes, .. } = link.status.phase {
                families.gauge(
                    "mainstay_link_copied_bytes",
                    "Bytes of the source's tables that the first copy has brought.",
                    &labels,
                    bytes,
                );
                families.gauge(
                    "mainstay_link_copy_bytes",
                    "Bytes of the source's tables that the first copy brings in all.",
                    &labels,
                    total_bytes,
                );
            }
        }
    }
    for member in &status.coordinator.members {
        let labels = format!("endpoint=\"{}\"", member.endpoint);
        let help = "1 while this member of etcd answers and knows a leader.";
        families.gauge("mainstay_etcd_member_works", help, &labels, u8::from(member.works()));
    }
    for it in &status.applications {
        let app = format!("application=\"{}\"", it.name);
        for one in it.equality.iter().filter(|one| one.to == *context.here()) {
            let labels =
                format!("{app},store=\"{}\",from=\"{}\",to=\"{}\"", one.store, one.from, one.to);
            families.equality(&labels, one);
            if let Some(last) = &one.rechecks.last {
                families.recheck(&labels, last);
            }
        }
    }
    alerts(context, &status, &mut families);
    families.text()
}

/// What is wrong, by its kind, and whether people were told.
fn alerts(context: &Context, status: &Status, families: &mut Families) {
    for it in &status.applications {
        let labels = |problem: &Problem| {
            format!(
                "application=\"{}\",kind=\"{}\",subject=\"{}\",severity=\"{}\"",
                it.name,
                problem.kind.name(),
                label(&problem.subject),
                problem.severity.name()
            )
        };
        // Prometheus refuses all of a page on which one series stands twice.
        let once: BTreeSet<String> = it.problems.iter().map(labels).collect();
        for labels in once {
            families.gauge("mainstay_problem", "1 while this is wrong.", &labels, 1);
        }
    }
    for view in context.alerts.views(tick()) {
        let labels = format!("notifier=\"{}\"", view.name);
        let counts = view.counts;
        let sent = "Alerts delivered since the agent began.";
        families.gauge("mainstay_alerts_sent_total", sent, &labels, counts.sent);
        let failed = "Deliveries that failed since the agent began; each is tried again.";
        families.gauge("mainstay_alerts_failed_total", failed, &labels, counts.failed);
        let left_out = "Alerts that were dropped, because too many waited.";
        families.gauge("mainstay_alerts_left_out_total", left_out, &labels, counts.left_out);
        let pending = "Alerts that are due and not delivered.";
        families.gauge("mainstay_alerts_pending", pending, &labels, view.pending.len());
    }
}

/// As the format wants a label's value (Prometheus, "Text-based exposition format").
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn lag(lag: Lag) -> String {
    lag.known().map_or_else(|| "NaN".to_owned(), |age| age.as_secs_f64().to_string())
}

#[derive(Default)]
struct Families(std::collections::BTreeMap<&'static str, String>);

impl Families {
    fn gauge(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &str,
        value: impl std::fmt::Display,
    ) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let family = self
            .0
            .entry(name)
            .or_insert_with(|| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        // Writing to a string cannot fail.
        let _ = writeln!(family, "{name}{{{labels}}} {value}");
    }

    fn retained(&mut self, labels: &str, retained: Retained) {
        self.gauge(
            "mainstay_link_retained_bytes",
            "Bytes of history that the source keeps for the link.",
            labels,
            retained.bytes,
        );
        if let Some(left) = retained.left {
            self.gauge(
                "mainstay_link_retained_left_bytes",
                "Bytes that the source may still write before it drops history the link needs.",
                labels,
                left,
            );
        }
    }

    fn reads(&mut self, labels: &str, reads: &ReadsView) {
        self.gauge(
            "mainstay_reads_own",
            "1 while this site's own database may be read by readers.",
            labels,
            u8::from(reads.refused.is_none()),
        );
        self.gauge(
            "mainstay_reads_age_seconds",
            "How old what is read in this site's own database may be; NaN while unknown.",
            labels,
            reads.age_s.map_or_else(|| "NaN".to_owned(), |age| age.to_string()),
        );
        let help = "Open connections of readers, by what answers them.";
        for (place, readers) in [("here", reads.readers_here), ("away", reads.readers_away)] {
            let labels = format!("{labels},place=\"{place}\"");
            self.gauge("mainstay_readers", help, &labels, readers);
        }
    }

    fn equality(&mut self, labels: &str, one: &EqualityView) {
        let (equal, rows) = match &one.equality {
            Equality::Unknown { .. } => ("NaN", "NaN".to_owned()),
            Equality::Equal(_) => ("1", "0".to_owned()),
            Equality::Different { rows, .. } => ("0", rows.to_string()),
        };
        self.gauge(
            "mainstay_store_equal",
            "1 while the store was proved equal to the active site's, 0 while it differs; NaN while unknown.",
            labels,
            equal,
        );
        self.gauge(
            "mainstay_store_differing_rows",
            "Rows, or keys, that differed in the last comparison; NaN while unknown.",
            labels,
            rows,
        );
        if let Some(at) = &one.last_equal {
            self.gauge(
                "mainstay_store_proved_equal_timestamp_seconds",
                "When the store was last proved equal to the active site's.",
                labels,
                at.micros as f64 / 1e6,
            );
        }
    }

    /// Of this agent's own looks, and of its own gate's clients.
    fn watching(&mut self, app: &str, here: &SiteName, watching: &WatchingView) {
        for one in watching.vantages.iter().filter(|one| one.vantage == *here) {
            for probe in one.probes.iter().filter(|probe| probe.outcome != "unknown") {
                let labels = format!("{app},about=\"{}\",probe=\"{}\"", one.about, probe.probe);
                let help =
                    "1 while the probe passes, as this agent makes it; absent while unknown.";
                let passes = u8::from(probe.outcome == "passes");
                self.gauge("mainstay_probe_passes", help, &labels, passes);
            }
        }
        for one in watching.clients.iter().filter(|one| one.site == *here) {
            let help = "Requests of this gate's clients within the last minute.";
            self.gauge("mainstay_client_requests", help, app, one.minute.requests);
            let help = "Those of them that failed.";
            self.gauge("mainstay_client_requests_failed", help, app, one.minute.failed);
        }
        let help = "How late the active site's next renewal is (φ).";
        if let Some(phi) = watching.phi {
            self.gauge("mainstay_renewal_phi", help, app, phi);
        }
        let help = "How long no failover begins by itself, because health comes and goes.";
        let rest = watching.flapping_s.unwrap_or_default();
        self.gauge("mainstay_flapping_left_seconds", help, app, rest);
    }

    fn recheck(&mut self, labels: &str, last: &Recheck) {
        self.gauge(
            "mainstay_store_rechecked_timestamp_seconds",
            "When rows that the link changed were last compared again.",
            labels,
            last.micros as f64 / 1e6,
        );
        self.gauge(
            "mainstay_store_rechecked_rows",
            "Rows that were compared again then.",
            labels,
            last.of.rows,
        );
        self.gauge(
            "mainstay_store_unchecked_changes",
            "Changes since the time before whose rows were not compared again then.",
            labels,
            last.of.unread,
        );
    }

    fn text(self) -> String {
        self.0.into_values().collect()
    }
}
