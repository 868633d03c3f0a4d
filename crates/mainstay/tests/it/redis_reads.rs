//! Readers of a Redis store at their own address, by the real processes. Whoever reads or writes is
//! redis-cli; which server answered, and when, is what that server says.

use crate::redis::{LONG, READER, Sites};
use mainstay_testkit::{RedisKind, Reply, wait_blocking, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `max-lag` of the store.
const BOUND: f64 = 5.0;

/// What one reader was told once.
#[derive(Debug, Clone)]
struct Answer {
    n: u64,
    /// The site whose server it was.
    place: String,
    /// Seconds since the Unix epoch, on this machine, just before it was read.
    began: f64,
    /// A key that only a lost site had.
    lost: bool,
}

#[derive(Default)]
struct Load {
    stop: AtomicBool,
    /// Each write, and when it was known to be acknowledged.
    acknowledged: Mutex<Vec<(u64, f64)>>,
    /// By the site at whose address they were asked for.
    answers: Mutex<Vec<(&'static str, Answer)>>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn writes(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    fn write(&self, sites: &Sites) {
        while self.goes_on() {
            let said = sites.through("east", &["INCR", "clock"]);
            if let Some(n) = said.and_then(|said| said.parse().ok()) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                self.acknowledged.lock().expect("no panic").push((n, now.as_secs_f64()));
            }
        }
    }

    /// Sessions that ask ten times a second, for some seconds: one that was led elsewhere stays
    /// there. A new one when one is ended.
    fn read(&self, sites: &Sites, gate: &'static str) {
        while self.goes_on() {
            let mut cli = sites.servers["east"].cli();
            cli.args(["-p", &sites.reads[gate].to_string(), "--user", "reader"]);
            cli.args(["--pass", "word", "--no-auth-warning"]).stdin(Stdio::piped());
            // Its errors too: in place of an answer nothing else would come.
            let (told, tells) = std::io::pipe().expect("a pipe");
            cli.stdout(tells.try_clone().expect("a pipe")).stderr(tells);
            let mut session = cli.spawn().expect("redis-cli");
            drop(cli);
            let mut input = session.stdin.take().expect("piped");
            let mut output = BufReader::new(told);
            for _ in 0..30 {
                let Some(answer) = ask(&mut input, &mut output) else { break };
                self.answers.lock().expect("no panic").push((gate, answer));
                if !self.goes_on() {
                    break;
                }
                // How often it asks; nothing is waited for.
                std::thread::sleep(Duration::from_millis(100));
            }
            let _ = session.kill();
            let _ = session.wait();
        }
    }

    fn last(&self, gate: &str) -> Option<Answer> {
        let answers = self.answers.lock().expect("no panic");
        answers.iter().rev().find(|(at, _)| *at == gate).map(|(_, answer)| answer.clone())
    }

    fn is_answered_by(&self, gate: &str, site: &str) -> bool {
        self.last(gate).is_some_and(|last| last.place == site)
    }

    fn until_answered_by(&self, gate: &str, site: &str) {
        let what = format!("readers at {gate} are answered by {site}");
        wait_until(&what, || self.is_answered_by(gate, site));
    }

    /// Nobody was told less than what had been acknowledged `max-lag` before the server was asked.
    fn judge(&self) {
        let acknowledged = self.acknowledged.lock().expect("no panic");
        let answers = self.answers.lock().expect("no panic");
        assert!(!acknowledged.is_empty() && !answers.is_empty());
        for (gate, answer) in answers.iter() {
            let old = |(_, at): &&(u64, f64)| *at < answer.began - BOUND;
            let due = acknowledged.iter().take_while(old).map(|(n, _)| *n).max().unwrap_or(0);
            assert!(answer.n >= due, "at {gate}: {answer:?}, and {due} was due");
            assert!(!answer.lost, "at {gate}: what only a lost site had: {answer:?}");
        }
    }
}

/// All at one instant of one server; none when the session is over.
fn ask(input: &mut ChildStdin, output: &mut impl BufRead) -> Option<Answer> {
    input
        .write_all(b"MULTI\nTIME\nGET clock\nEXISTS only-west\nGET mainstay:place\nEXEC\n")
        .ok()?;
    input.flush().ok()?;
    let mut line = || {
        let mut line = String::new();
        output.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim().to_owned())
    };
    let mut first = line()?;
    let queued = ["OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED"];
    for wanted in queued {
        if first != wanted {
            return None;
        }
        first = line()?;
    }
    let [seconds, micros] = [first, line()?].map(|it| it.parse::<f64>().ok());
    let (n, lost, place) = (line()?, line()?, line()?);
    Some(Answer { n: n.parse().ok()?, place, began: seconds? + micros? / 1e6, lost: lost != "0" })
}

/// Also when the test fails.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(wait_blocking(LONG * 2, holds), "waited {:?}, and still not: {what}", LONG * 2);
}

/// While `work` goes on there are a writer and readers at these addresses.
fn under_load(sites: &Sites, gates: &[&'static str], work: impl FnOnce(&Load)) -> Load {
    let load = Load::default();
    std::thread::scope(|scope| {
        let load = &load;
        scope.spawn(move || load.write(sites));
        for gate in gates {
            scope.spawn(move || load.read(sites, gate));
        }
        let _stopping = Stop(load);
        work(load);
    });
    load
}

async fn begin(sites: &Sites) {
    for site in ["east", "west"] {
        // Keys that begin so stay where they are.
        sites.at(site, &["SET", "mainstay:place", site]);
    }
    sites.must("east", &["SET", "clock", "0"]).await;
}

fn state(sites: &Sites, site: &str) -> String {
    sites.status(site)["applications"][0]["state"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn readers_of_redis_are_told_nothing_too_old_through_a_switchover_a_failover_and_a_way_back()
{
    let mut sites = Sites::with([RedisKind::Redis7, RedisKind::Valkey9], |east| east);
    begin(&sites).await;
    let load = under_load(&sites, &["east", "west"], |load| {
        load.until_answered_by("east", "east");
        load.until_answered_by("west", "west");
        wait_until("it is switched over", || {
            let moved = sites.command("east", &["switchover", "--to", "west"]).output();
            moved.expect("it runs").status.success()
        });
        let written = load.writes();
        wait_until("writes go on", || load.writes() > written + 20);
        wait_until("east is back and read", || {
            state(&sites, "east") == "standby" && load.is_answered_by("east", "east")
        });
    });
    load.judge();

    let clock = sites.at("west", &["GET", "clock"]).text();
    sites.arrives("east", "clock", &clock).await;
    sites.kill_site("west");
    sites.must("east", &["INCR", "clock"]).await;
    let west = sites.servers.get_mut("west").expect("it has one");
    west.start_again();
    west.client().run(&["SET", "only-west", "never-sent"]);
    sites.start_site("west");
    let load = under_load(&sites, &["west"], |load| {
        // By east until then, however short that is.
        wait_until("west is back", || state(&sites, "west") == "standby");
        load.until_answered_by("west", "west");
    });
    load.judge();
    let shown = sites.run("west", &["status"]);
    assert!(shown.contains("cache at west: its own"), "{shown}");
}

/// A way between two sites that can be cut: then nothing is heard any more, and no connection ends.
struct Way {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Way {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let here = listener.local_addr().expect("bound").port();
        let cut = Arc::<AtomicBool>::default();
        let is_cut = Arc::clone(&cut);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let ends = [near.try_clone(), far.try_clone()].map(|end| end.expect("a socket"));
                let [again, there] = ends;
                for (from, to) in [(near, there), (far, again)] {
                    let is_cut = Arc::clone(&is_cut);
                    std::thread::spawn(move || carry(from, to, &is_cut));
                }
            }
        });
        Self { port: here, cut }
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        // What was sent into the cut lies there until the test mends it.
        while is_cut.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[tokio::test]
async fn readers_are_led_away_when_the_link_is_cut_and_one_that_could_write_is_told_and_shut_out() {
    let mut way = None;
    let sites =
        Sites::with([RedisKind::Redis6, RedisKind::Redis6], |east| way.insert(Way::to(east)).port);
    let way = way.expect("it was made");
    begin(&sites).await;
    let load = under_load(&sites, &["west"], |load| {
        load.until_answered_by("west", "west");
        way.cut(true);
        load.until_answered_by("west", "east");
        way.cut(false);
        load.until_answered_by("west", "west");
    });
    load.judge();

    let knocks = || sites.servers["west"].client().ask(&["AUTH", "reader", "word"]);
    assert_eq!(knocks(), Reply::Text(b"OK".into()));
    sites.at("west", &["ACL", "SETUSER", "reader", "+set"]);
    wait_for("it is told", LONG, async || {
        let told = sites.run("west", &["status"]);
        told.contains("MS-RD-120") && told.contains("may write (set)")
    })
    .await;
    assert!(matches!(knocks(), Reply::Error(_)), "it is let in");
    let checked = sites.command("west", &["check", "--live"]).output().expect("it runs");
    let checked = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    let told = ["MS-RD-120", "ACL SETUSER reader -@write"].map(|it| checked.contains(it));
    assert_eq!(told, [true, true], "{checked}");
    let rules: Vec<_> = READER.split_ascii_whitespace().skip(3).collect();
    sites.at("west", &[&["ACL", "SETUSER", "reader"], rules.as_slice()].concat());
    wait_for("it is let in again", LONG, async || knocks() == Reply::Text(b"OK".into())).await;
}
