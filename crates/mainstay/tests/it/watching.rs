//! What the agents of a lab say of its sites, and what they do not do because of it. The oracle is
//! what this test did to the sites, and a client of the database.

use crate::up::UpLab;
use mainstay_testkit::{Signal, signal, wait_for};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(120);

fn asked(lab: &UpLab, site: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&lab.at(site, arguments).stdout).into_owned()
}

fn status(lab: &UpLab, site: &str) -> Value {
    let told = asked(lab, site, &["status", "--output", "json"]);
    let status: Value = serde_json::from_str(&told).unwrap_or_default();
    status["applications"][0].clone()
}

/// What the agent of `site` concludes of `about`, by its own probes.
fn verdict(lab: &UpLab, site: &str, about: &str) -> String {
    status(lab, site)["sites"][about]["verdict"].as_str().unwrap_or_default().to_owned()
}

fn problems(lab: &UpLab, site: &str) -> String {
    status(lab, site)["problems"].to_string()
}

fn active(lab: &UpLab) -> String {
    status(lab, "west")["active"].as_str().unwrap_or_default().to_owned()
}

/// Adds probes to each site's file, and begins the agents anew.
async fn with_probes(lab: &UpLab, probes: &str) {
    for site in ["witness", "west", "east"] {
        let file = lab.root().join("sites").join(site).join("mainstay.toml");
        let text = std::fs::read_to_string(&file).expect("the site's file");
        let text = format!("probe-commands = [\"/usr/bin/test\"]\n{text}\n{probes}");
        std::fs::write(&file, text).expect("it can be written");
        let checked = lab.run(&["check", &file.display().to_string(), "--file-only"]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        lab.kill_agent(site);
        lab.done(&["lab", "start", site]);
    }
    for site in ["witness", "west", "east"] {
        wait_for("all see east healthy", LONG, async || verdict(lab, site, "east") == "healthy")
            .await;
    }
}

/// Passes while this file is there.
fn file_probe(file: &Path) -> String {
    format!(
        "[applications.bank.probes.file]\nkind = \"command\"\ninterval = \"300ms\"\n\
         threshold = 1\ncommand = [\"/usr/bin/test\", \"-e\", \"{}\"]\n\n\
         [applications.bank.probes.write]\nkind = \"postgres\"\nstore = \"db\"\n",
        file.display()
    )
}

/// The bank's own user, through the gates: a standby's database refuses it.
fn client_probe(lab: &UpLab) -> String {
    let password = lab.root().join("bank.password");
    std::fs::write(&password, lab.password("bank")).expect("a file");
    format!(
        "\n[applications.bank.probes.client]\nkind = \"postgres\"\nstore = \"db\"\n\
         statement = \"SELECT nextval('public.transfer_number')\"\nuser = \"bank\"\n\
         password = \"file:{}\"\naddresses = {{ east = {}, west = {} }}\n",
        password.display(),
        lab.address("east", "gate_database"),
        lab.address("west", "gate_database"),
    )
}

#[tokio::test]
async fn every_vantage_says_which_probe_fails_and_a_site_that_renews_is_not_left_for_it() {
    let lab = UpLab::start();
    let file = lab.root().join("well");
    std::fs::write(&file, "").expect("a file");
    with_probes(&lab, &(file_probe(&file) + &client_probe(&lab))).await;
    let told = asked(&lab, "west", &["status", "--all"]);
    for words in [
        "east from witness: ",
        "probe file ",
        "probe write ",
        "db takes a write in",
        "db takes a write of bank in",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let vantages = status(&lab, "west")["watching"]["vantages"].clone();
    let of_witness = vantages.as_array().into_iter().flatten();
    let of_witness = of_witness.filter(|it| it["vantage"] == "witness").map(|it| &it["probes"]);
    assert!(of_witness.clone().count() > 0, "{vantages:#}");
    assert!(of_witness.clone().all(|it| !it.to_string().contains("write")), "{vantages:#}");

    std::fs::remove_file(&file).expect("it is there");
    for site in ["witness", "west", "east"] {
        wait_for("all see it", LONG, async || verdict(&lab, site, "east") == "unhealthy").await;
    }
    assert!(asked(&lab, "west", &["status"]).contains("probe file: /usr/bin/test: says: exit"));
    // Time itself is the subject: the lease of 10 s would run out, were it not renewed.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(active(&lab), "east", "a verdict alone begins nothing");
    for site in ["witness", "west", "east"] {
        let entries = asked(&lab, site, &["ledger", "show", "--kind", "verdict"]);
        assert!(entries.contains("probe file: /usr/bin/test: says: exit status: 1"), "{entries}");
    }
}

/// As west knows it, of east.
fn all_say(lab: &UpLab, verdict: &str) -> bool {
    let vantages = status(lab, "west")["watching"]["vantages"].clone();
    let mut of_east = vantages.as_array().into_iter().flatten().filter(|it| it["about"] == "east");
    of_east.all(|it| it["verdict"] == verdict)
}

#[tokio::test]
async fn soak_a_site_whose_health_comes_and_goes_is_left_to_a_person_when_it_is_lost() {
    let lab = UpLab::start();
    let file = lab.root().join("well");
    std::fs::write(&file, "").expect("a file");
    with_probes(&lab, &file_probe(&file)).await;
    // A loss counts while no vantage contradicts: not every one of these has to.
    let (began, mut losses) = (Instant::now(), 0);
    while !problems(&lab, "west").contains("keeps coming and going") {
        assert!(began.elapsed() < LONG * 2, "{losses} losses: {}", problems(&lab, "west"));
        std::fs::remove_file(&file).expect("it is there");
        wait_for("all see it", LONG, async || all_say(&lab, "unhealthy")).await;
        std::fs::write(&file, "").expect("a file");
        wait_for("it is back", LONG, async || all_say(&lab, "healthy")).await;
        losses += 1;
    }
    assert!(losses >= 3, "{losses}");
    lab.done(&["lab", "kill", "east"]);
    // Time itself is the subject: the lease of 10 s runs out, and what else takes its time is over.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(active(&lab), "east", "nothing begins by itself");
    let ordered = lab.at("west", &["failover", "--accept-loss", "1m"]);
    assert!(ordered.status.success(), "{}", String::from_utf8_lossy(&ordered.stderr));
    wait_for("west takes over", LONG, async || active(&lab) == "west").await;
    let entries = asked(&lab, "west", &["ledger", "show", "--kind", "flapping"]);
    assert!(entries.contains("\"active\":\"east\""), "{entries}");
}

#[tokio::test]
async fn soak_clients_that_fail_while_probes_pass_are_told_to_a_person_and_move_nothing() {
    let lab = UpLab::start();
    wait_for("east is seen", LONG, async || verdict(&lab, "west", "east") == "healthy").await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                  'BEGIN RAISE EXCEPTION ''no'' USING ERRCODE = ''XX000''; END'; \
                  CREATE TRIGGER refuse BEFORE INSERT ON transfers EXECUTE FUNCTION refuse()";
    lab.sql("east", refuse);
    for site in ["east", "west"] {
        wait_for("it is told", LONG * 2, async || {
            problems(&lab, site).contains("clients fail at east, while every probe passes")
        })
        .await;
    }
    assert!(problems(&lab, "west").contains("mainstay switchover bank"));
    wait_for("it is shown", LONG, async || {
        asked(&lab, "west", &["status"]).contains("east healthy (its clients fail)")
    })
    .await;
    wait_for("it is entered", LONG, async || {
        asked(&lab, "east", &["ledger", "show", "--kind", "clients-fail"]).contains("\"requests\"")
    })
    .await;
    assert_eq!(active(&lab), "east");
}

#[tokio::test]
async fn renewals_that_stay_away_are_told_before_the_lease_is_over() {
    let lab = UpLab::start();
    wait_for("west knows how renewals arrive", LONG, async || {
        status(&lab, "west")["watching"]["phi"].is_number()
    })
    .await;
    signal(lab.pid("east-agent"), Signal::SIGSTOP);
    wait_for("it is told", LONG, async || {
        asked(&lab, "west", &["ledger", "show", "--kind", "renewals-late"]).contains("phi")
    })
    .await;
    assert_eq!(active(&lab), "east", "it warns, and the lease decides");
    signal(lab.pid("east-agent"), Signal::SIGCONT);
}

/// The library that makes a process's clocks run at another rate, when it is on this machine.
fn libfaketime() -> Option<String> {
    let usual = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1".to_owned();
    let path = std::env::var("MAINSTAY_FAKETIME").unwrap_or(usual);
    Path::new(&path).exists().then_some(path)
}

/// The witness's agent begins anew with a clock at another rate, or one that shows another time.
async fn at_another_clock(lab: &UpLab, library: &str, fake: &str) {
    lab.kill_agent("witness");
    let mut start = lab.command(&["lab", "start", "witness"]);
    start.env("LD_PRELOAD", library).env("FAKETIME", fake).env("FAKETIME_NO_CACHE", "1");
    let started = start.output().expect("it runs");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    wait_for("the coordinator answers", LONG, async || status(lab, "west")["coordinator"] == true)
        .await;
}

#[tokio::test]
async fn soak_a_clock_that_runs_too_fast_is_found_named_and_stops_automatic_failover() {
    let Some(library) = libfaketime() else {
        return eprintln!(
            "not tried: libfaketime is not on this machine (apt-get install libfaketime, or name \
             it with MAINSTAY_FAKETIME)"
        );
    };
    let lab = UpLab::start();
    at_another_clock(&lab, &library, "+0 x1.10").await;
    for site in ["east", "west", "witness"] {
        wait_for("the clock is found", LONG * 2, async || {
            problems(&lab, site).contains("the clock of witness runs")
        })
        .await;
        assert!(problems(&lab, site).contains("% too fast"), "{}", problems(&lab, site));
    }
    let entries = asked(&lab, "west", &["ledger", "show", "--kind", "clock-off"]);
    assert!(entries.contains("[\"witness\"]"), "{entries}");
    lab.done(&["lab", "kill", "east"]);
    // Time itself is the subject: the lease of 10 s runs out, and what else takes its time is over.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(active(&lab), "east", "nothing begins by itself");
    assert!(problems(&lab, "west").contains("the lease does not allow for"));
}

/// A day ahead, at the right rate: ticks are not told the time of day.
#[tokio::test]
async fn soak_a_clock_that_shows_another_day_changes_nothing() {
    let Some(library) = libfaketime() else {
        return eprintln!("not tried: libfaketime is not on this machine");
    };
    let lab = UpLab::start();
    at_another_clock(&lab, &library, "+1d").await;
    // Time itself is the subject: a rate is known after a minute.
    tokio::time::sleep(Duration::from_secs(75)).await;
    for site in ["east", "west", "witness"] {
        assert!(!problems(&lab, site).contains("clock"), "{}", problems(&lab, site));
    }
    lab.done(&["lab", "kill", "east"]);
    wait_for("west takes over", LONG, async || active(&lab) == "west").await;
}
