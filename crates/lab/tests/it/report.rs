use mainstay_lab::report::{
    DisasterFigures, Happened, LagPoint, Limits, NeverArrived, Report, SiteBooks, html, terminal,
};

fn disaster() -> DisasterFigures {
    DisasterFigures {
        lost_site: "east".to_owned(),
        kill_at_s: 20.0,
        ordered: false,
        rto_s: Some(12.345),
        rpo_s: 0.0312,
        lost: 2,
        salvaged: 3,
        replayed: 2,
        left_to_a_person: 1,
        returned: 2,
        crashes: 0,
        pause_s: Some(0.8),
    }
}

/// Made-up figures; no run was like this.
fn sample() -> Report {
    let happened = |at_s: f64, until_s, what: &str, detail: &str| Happened {
        at_s,
        until_s,
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    let books = |site: &str| SiteBooks {
        site: site.to_owned(),
        transfers: 9_001,
        balance: "100000000.00".to_owned(),
        balanced: true,
    };
    let lag = (0..150).map(|half| LagPoint {
        site: if (60..110).contains(&half) { "east" } else { "west" }.to_owned(),
        at_s: f64::from(half) / 2.0,
        lag_s: (!(40..60).contains(&half)).then(|| 0.004 + f64::from(half % 7) / 100.0),
    });
    let mut report = Report {
        version: "0.0.0-sample",
        seed: 7,
        coordinator: "embedded",
        began_micros: 1_795_000_000_000_000,
        scenario_s: 75.0,
        accounts: 100_000,
        rto_s: Some(12.345),
        rto_stated_s: Some(12.5),
        rpo_s: 0.0312,
        rpo_stated_s: Some(0.04),
        rpo_bound_s: Some(0.6),
        switchover_pause_s: Some(0.8),
        acknowledged: 9_001,
        lost: 2,
        lost_numbers: vec![4_001, 4_002],
        salvaged: 3,
        salvaged_numbers: vec![4_001, 4_002, 4_003],
        replayed: 2,
        left_to_a_person: 1,
        returned: 2,
        unaccounted: 0,
        unaccounted_numbers: Vec::new(),
        failed_for_good: 0,
        retried: 31,
        crashes: 0,
        moves: 1,
        stray_moves: 0,
        disasters: vec![disaster()],
        never_arrived: None,
        balanced: true,
        numbers_unique: true,
        sides_equal: true,
        sites: vec![books("east"), books("west")],
        overlap_ms: 0,
        ledger_ok: true,
        comparison: serde_json::json!({ "equal": true, "position": "0/48ECEC0" }),
        objectives: Vec::new(),
        missed: Vec::new(),
        kill_at_s: 20.0,
        switchover_at_s: Some(55.0),
        timeline: vec![
            happened(0.0, None, "kill", "every process of the site: SIGKILL"),
            happened(2.1, None, "detect", "no <renewal> & no answer"),
            happened(11.9, Some(12.0), "promote", "opened at epoch 2"),
            happened(12.345, None, "first success", "a client's write is acknowledged"),
        ],
        switchover_timeline: vec![happened(0.05, Some(0.4), "hold", "both gates hold")],
        lag: lag.collect(),
        acknowledged_per_second: (0..75)
            .map(|s| if (20..32).contains(&s) { 0 } else { 200 })
            .collect(),
    };
    report.judge(&Limits { rto_s: 20.0, rpo_s: 1.0, switchover_pause_s: 3.0, crashes: None });
    report
}

#[test]
fn a_run_that_meets_everything_misses_nothing_and_one_unaccounted_transfer_is_a_miss() {
    let mut report = sample();
    assert_eq!(report.missed, Vec::<String>::new());
    report.unaccounted = 1;
    report.rto_s = None;
    report.judge(&Limits { rto_s: 20.0, rpo_s: 1.0, switchover_pause_s: 3.0, crashes: None });
    assert_eq!(
        report.missed,
        ["writable again: unknown, not under 20 s", "unaccounted transfers: 1, not 0"]
    );
}

#[test]
fn the_document_has_the_promised_fields() {
    let document = serde_json::to_value(sample()).unwrap();
    for field in [
        "rto_s",
        "rpo_s",
        "switchover_pause_s",
        "acknowledged",
        "lost",
        "salvaged",
        "replayed",
        "unaccounted",
        "balanced",
        "overlap_ms",
        "ledger_ok",
        "seed",
        "rto_stated_s",
        "rpo_stated_s",
        "rpo_bound_s",
        "objectives",
        "missed",
        "timeline",
    ] {
        assert!(!document[field].is_null(), "{field}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows() {
    let page = html(&sample());
    for elsewhere in ["http://", "https://", "src=", "<script", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    assert!(page.contains("no &lt;renewal&gt; &amp; no answer"));
    assert!(page.contains("12.35 s") && page.contains("4001, 4002"));
}

#[test]
fn the_terminal_report_fits_on_a_screen_and_names_both_measurements() {
    let text = terminal(&sample());
    assert!(text.lines().count() <= 45, "{}", text.lines().count());
    for expected in [
        "12.35 s",
        "equal at 0/48ECEC0",
        "12.50 s",
        "lost by number: 4001, 4002",
        "Every objective was met.",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn one_transaction_that_never_arrived_and_is_not_in_the_salvage_is_a_miss() {
    let never = NeverArrived {
        wanted: 500,
        programs: 8,
        acknowledged: 500,
        lost_s: 41.5,
        told_s: Some(2.4),
        told_loss_s: 44.2,
        salvaged: 500,
        shown: 500,
        stale_attempts: 300,
        ..NeverArrived::default()
    };
    // A person decides when, so how long it takes is no objective.
    let mut report = Report { rto_s: Some(90.0), never_arrived: Some(never.clone()), ..sample() };
    let limits = Limits { rto_s: 20.0, rpo_s: 1.0, switchover_pause_s: 3.0, crashes: None };
    report.judge(&limits);
    assert_eq!(report.missed, Vec::<String>::new());
    for text in [terminal(&report), html(&report)] {
        let salvaged = "500 of 500 exactly as acknowledged, 0 otherwise, 0 out of order";
        for part in ["Never arrived", salvaged, "a person accepted 45 s", "accepted 0 of 300"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    let worse = NeverArrived { salvaged: 499, stale_accepted: 1, wrong_in_the_end: 2, ..never };
    report.never_arrived = Some(worse);
    report.judge(&limits);
    assert_eq!(
        report.missed,
        [
            "never arrived, salvaged: 499 of 500, not 500 of 500",
            "writes refused on its return: 299 of 300, not all",
            "payees not as acknowledged: 2, not 0",
        ]
    );
}
