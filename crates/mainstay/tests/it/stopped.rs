//! An agent that is stopped, or killed, while its site is the active one: nobody writes there, past
//! the gate either, from before another site may. The oracle is a client of the database itself
//! that writes down when each of its rows was acknowledged.

use crate::up::UpLab;
use mainstay_testkit::{Signal, signal, wait_for};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

/// Inserts into `public.direct`, past the gate and with new sessions whenever one is cut, until it
/// is killed.
struct Direct(Child);

impl Direct {
    fn at(lab: &UpLab, site: &str) -> Self {
        let loops = "while :; do psql -XAtq -c \"INSERT INTO public.direct (site, at) VALUES ('$WHERE', \
                     clock_timestamp())\"; done 2>/dev/null";
        let psql = lab.tool_as("psql", site, "bank");
        let folder = std::path::Path::new(psql.get_program()).parent().expect("a folder");
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("PATH"));
        let mut shell = Command::new("setsid");
        shell.args(["sh", "-c", loops]).env("WHERE", site);
        shell.envs(psql.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null());
        Self(shell.spawn().expect("sh runs"))
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// First and last moment at which a row was written at a site, in microseconds, by that site.
fn written(lab: &UpLab, at: &str, by: &str) -> (i64, i64) {
    let sql = format!(
        "SELECT coalesce(min(extract(epoch FROM at) * 1000000)::bigint, 0), \
                coalesce(max(extract(epoch FROM at) * 1000000)::bigint, 0) \
         FROM public.direct WHERE site = '{by}'"
    );
    let row = lab.sql(at, &sql);
    let (first, last) = row.split_once('|').expect("two numbers");
    (first.parse().expect("a number"), last.parse().expect("a number"))
}

async fn other_site_takes_over(how: Signal) {
    let lab = UpLab::start();
    lab.sql(
        "east",
        "CREATE TABLE public.direct (site text, at timestamptz, \
             id uuid PRIMARY KEY DEFAULT gen_random_uuid()); \
         GRANT ALL ON public.direct TO bank",
    );
    let there = "SELECT count(*) FROM pg_tables WHERE tablename = 'direct'";
    wait_for("the table is at west", LONG, async || lab.sql("west", there) == "1").await;
    let _east = Direct::at(&lab, "east");
    let _west = Direct::at(&lab, "west");
    let count = "SELECT count(*) > 5 FROM public.direct";
    wait_for("rows are written past the gate", LONG, async || lab.sql("west", count) == "t").await;
    assert_eq!(written(&lab, "west", "west"), (0, 0), "a standby takes none");

    // So that nobody else can fence its database.
    lab.done(&["lab", "cut", "east", "west"]);
    lab.done(&["lab", "cut", "east", "witness"]);
    let agent = lab.pid("east-agent");
    signal(agent, how);
    wait_for("west takes over", LONG, async || written(&lab, "west", "west").0 > 0).await;
    let (first, _) = written(&lab, "west", "west");
    let (_, last) = written(&lab, "east", "east");
    assert!(last < first, "east wrote until {last}, west from {first}");
    eprintln!("east's last row {:.1} s before west's first", (first - last) as f64 / 1e6);

    lab.done(&["lab", "heal"]);
    if how == Signal::SIGSTOP {
        signal(agent, Signal::SIGCONT);
    } else {
        lab.done(&["lab", "start", "east"]);
    }
    wait_for("east is back", LONG, async || {
        lab.json(&["status"])["applications"][0]["equality"].to_string().contains("\"equal\"")
    })
    .await;
    assert!(written(&lab, "east", "east").1 <= last, "it never writes again");
    let ledger = lab.root().join("sites/east/state/ledger.db").display().to_string();
    let kind = "fenced-by-watchdog";
    let entries = lab.done(&["ledger", "show", "--ledger", &ledger, "--kind", kind]);
    assert!(entries.contains(kind), "{entries}");
}

#[tokio::test]
async fn a_stopped_agents_site_takes_no_write_past_its_gate_before_the_other_site_takes_one() {
    other_site_takes_over(Signal::SIGSTOP).await;
}

#[tokio::test]
async fn a_killed_agents_site_takes_no_write_past_its_gate_before_the_other_site_takes_one() {
    other_site_takes_over(Signal::SIGKILL).await;
}
