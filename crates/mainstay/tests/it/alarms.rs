//! Comparisons of a busy store for an hour: what differs is found, and nothing else is. The load is
//! pgbench's, the oracle is that nobody but this test changes the standby.

use crate::up::UpLab;
use mainstay_testkit::wait_for;
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Beside pgbench's own transaction: rows that come, move to other keys and go.
const CHURN: &str = "\\set id random(1, 2000)\n\\set other random(2001, 4000)\nBEGIN;\n\
    INSERT INTO public.churn VALUES (:id, repeat(md5(random()::text), 100)) \
        ON CONFLICT (id) DO UPDATE SET n = churn.n + 1;\n\
    UPDATE public.churn SET id = :other WHERE id = :id \
        AND NOT EXISTS (SELECT FROM public.churn WHERE id = :other);\n\
    DELETE FROM public.churn WHERE id = :other AND :other % 3 = 0;\nEND;\n";

fn seconds() -> u64 {
    let asked = std::env::var("MAINSTAY_SOAK_SECONDS").ok();
    asked.map_or(3600, |text| text.parse().expect("MAINSTAY_SOAK_SECONDS is a number"))
}

struct Load(Child);

impl Load {
    fn on(lab: &UpLab, seconds: u64) -> Self {
        let script = lab.root().join("churn.sql");
        std::fs::write(&script, CHURN).expect("a file");
        let churn = format!("{}@1", script.display());
        let seconds = seconds.to_string();
        let rate = std::env::var("MAINSTAY_SOAK_RATE").unwrap_or_else(|_| "400".to_owned());
        let mut pgbench = lab.tool("pgbench", "east");
        pgbench.args(["-n", "-c", "4", "-R", &rate, "-T", &seconds, "-b", "tpcb-like@3", "-f"]);
        pgbench.arg(churn).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self(pgbench.spawn().expect("pgbench runs"))
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("it can be asked").is_none()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// None when it could not be finished: unknown is no alarm.
fn compared(lab: &UpLab) -> Option<(bool, u64, Value)> {
    let found = lab.json(&["compare"]);
    let equal = match found["equal"].as_bool() {
        Some(equal) => equal,
        None => {
            assert_eq!(found["error"]["code"], "MS-AGENT-014", "{found:#}");
            eprintln!("unknown: {}", found["error"]["what"]);
            return None;
        }
    };
    let rows = found["tables"].as_array().expect("tables").iter();
    let rows = rows.map(|table| table["rows_source"].as_u64().expect("a number")).sum();
    Some((equal, rows, found))
}

/// What the standby's agent says by itself, of comparisons and of changed rows that it looks at.
fn alarm(lab: &UpLab) -> Option<String> {
    let status = lab.json(&["status"]);
    let told = status["applications"][0]["equality"].to_string();
    told.contains("\"equality\":\"different\"").then_some(told)
}

#[tokio::test]
async fn soak_an_hour_of_pgbench_gives_no_false_alarm_and_one_spoilt_row_is_found() {
    let lab = UpLab::start();
    let made = lab.tool("pgbench", "east").args(["-i", "-q", "-s", "10"]).output();
    assert!(made.expect("pgbench runs").status.success());
    lab.sql("east", "CREATE TABLE public.churn (id int PRIMARY KEY, big text, n int DEFAULT 0)");
    let arrived = "SELECT count(*) FROM pg_tables WHERE tablename = 'churn'";
    let patience = Duration::from_secs(300);
    wait_for("it arrives", patience, async || lab.sql("west", arrived) == "1").await;
    let mut load = Load::on(&lab, seconds());
    let (began, mut comparisons, mut unknown, mut rows) = (Instant::now(), 0u64, 0u64, 0);
    while load.is_running() {
        match compared(&lab) {
            Some((equal, read, found)) => {
                assert!(equal, "a false alarm after {:?}: {found:#}", began.elapsed());
                (comparisons, rows) = (comparisons + 1, rows + read);
            }
            None => unknown += 1,
        }
        assert_eq!(alarm(&lab), None, "after {:?}", began.elapsed());
        // Time itself is the subject: what the agent finds by itself needs some between these.
        std::thread::sleep(Duration::from_secs(15));
    }
    let transactions = lab.sql("east", "SELECT count(*) FROM public.pgbench_history");
    let churned = lab.sql("east", "SELECT sum(n + 1) FROM public.churn");
    eprintln!(
        "{comparisons} comparisons of {rows} rows in {} s, all equal, {unknown} not finished; beside \
         {transactions} transactions of pgbench, and rows that come, change their keys and go: \
         {churned} changes are left in them",
        began.elapsed().as_secs()
    );
    let status = lab.json(&["status"]);
    eprintln!("rechecks at last: {}", status["applications"][0]["equality"][0]["rechecks"]);
    assert!(comparisons > 0 && transactions != "0");
    lab.sql(
        "west",
        "SET session_replication_role = replica; \
         UPDATE public.pgbench_accounts SET abalance = abalance + 1 WHERE aid = 77",
    );
    let (equal, _, found) = compared(&lab).expect("it is compared to the end");
    assert!(!equal && found.to_string().contains("\"77\""), "{found:#}");
}
