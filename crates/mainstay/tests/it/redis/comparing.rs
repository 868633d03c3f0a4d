//! Comparison of a Redis store by the real processes. What differs was changed by the test itself,
//! past Mainstay; that nothing else does follows from the link, which stands for itself elsewhere.

use super::{LONG, Sites};
use mainstay_testkit::{RedisKind, Reply, wait_for};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A standby that compares every minute has done so by then.
const BY_ITSELF: Duration = Duration::from_secs(150);

impl Sites {
    /// Whether the command said so with its status, and what it said.
    fn compare(&self, site: &str) -> (bool, Value) {
        let output = self.command(site, &["compare", "shop", "--output", "json"]).output();
        let output = output.expect("it runs");
        let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.success(), said)
    }

    fn equality(&self, site: &str) -> Value {
        self.status(site)["applications"][0]["equality"][0].clone()
    }
}

/// Clients that write all the time: a counter as fast as it goes, and keys that come and go.
fn load(sites: &Sites, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (mut client, stop) = (sites.servers["east"].client(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut count = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            client.run(&["INCR", "busy"]);
            client.run(&["SET", &format!("short {}", count % 50), "x", "PX", "3"]);
            client.run(&["SET", "comes and goes", "x"]);
            client.run(&["DEL", "comes and goes"]);
        }
    })
}

/// `key kind what`, in order.
fn differing(said: &Value) -> Vec<String> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let differing = said["differing"].as_array().expect("a comparison");
    let mut shown: Vec<String> = differing
        .iter()
        .map(|one| ["key", "kind", "what"].map(|name| text(one, name)).join(" "))
        .collect();
    shown.sort();
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_changed_at_the_standby_are_named_while_clients_write_and_nothing_else() {
    let sites = Sites::start([RedisKind::Redis7, RedisKind::Valkey9]);
    sites.must("east", &["SET", "first", "x"]).await;
    let set = |n: u32| ["SET", &format!("still {n}"), "a-value"].map(|it| it.into()).to_vec();
    sites.servers["east"].client().pipeline(&(0..3000).map(set).collect::<Vec<_>>());
    sites.arrives("west", "still 2999", "a-value").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = load(&sites, &stop);
    for asked in ["west", "east", "west"] {
        let (equal, said) = sites.compare(asked);
        assert!(equal, "{said}");
        assert_eq!((&said["kind"], &said["equal"]), (&"redis".into(), &true.into()), "{said}");
        assert!(said["from"]["offset"].as_u64() < said["to"]["offset"].as_u64(), "{said}");
    }
    wait_for("the standby told it", LONG, async || {
        let equality = sites.equality("east");
        equality["equality"] == "equal" && equality["since"].as_u64().is_some()
    })
    .await;

    let mut west = sites.servers["west"].client();
    let extra = [b"SET".to_vec(), b"\xffextra".to_vec(), b"b-value".to_vec()].to_vec();
    west.pipeline(&[extra]);
    west.run(&["SET", "still 7", "b-value"]);
    west.run(&["DEL", "still 8"]);
    west.run(&["PEXPIREAT", "still 9", "4102444800000"]);
    let (equal, said) = sites.compare("east");
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer ends");
    assert!(!equal, "{said}");
    let wanted = [
        "\\xffextra extra only one side has it",
        "still 7 different its value",
        "still 8 missing only one side has it",
        "still 9 different when it expires",
    ];
    assert_eq!(differing(&said), wanted, "{said}");
    let told = sites.command("west", &["compare"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("\\xffextra") && told.contains("still 8"), "{told}");
    assert!(!told.contains("-value"), "a value is shown: {told}");
    let wrong = "cache at west differs from east in 4 keys as of";
    wait_for("people are told", LONG, async || sites.run("east", &["status"]).contains(wrong))
        .await;

    // What the guide says to type.
    west.run(&["FLUSHALL"]);
    wait_for("it is compared again by itself", BY_ITSELF, async || {
        sites.equality("west")["equality"] == "equal"
    })
    .await;
    wait_for("people are told", LONG, async || !sites.run("east", &["status"]).contains("differs"))
        .await;
    assert_eq!(sites.at("west", &["GET", "still 8"]), Reply::Text("a-value".into()));
    let direct = west.ask(&["AUTH", "app", "word"]);
    assert!(matches!(direct, Reply::Error(_)), "west is not fenced: {direct:?}");
    wait_for("it may be switched over", LONG, async || {
        let moved = sites.command("east", &["switchover", "--to", "west"]).output();
        moved.expect("it runs").status.success()
    })
    .await;
    assert_eq!(sites.must("east", &["GET", "still 9"]).await, "a-value");
    sites.run("west", &["ledger", "verify"]);
}
