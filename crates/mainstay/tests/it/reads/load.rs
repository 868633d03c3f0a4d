//! Readers and a writer that go on whatever happens, and what they were told.

use super::world::{Answer, READ, World};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Default)]
pub struct Load {
    stop: AtomicBool,
    /// Each write, and when it was known to be acknowledged.
    acknowledged: Mutex<Vec<(u64, f64)>>,
    /// By the site at whose address they were asked for.
    answers: Mutex<Vec<(&'static str, Answer)>>,
    /// Writes of the application's role that a standby itself took.
    taken: Mutex<Vec<String>>,
}

pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

impl Load {
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    pub fn answers(&self) -> Vec<(&'static str, Answer)> {
        self.answers.lock().expect("no panic").clone()
    }

    pub fn last(&self, gate: &str) -> Option<Answer> {
        let answers = self.answers.lock().expect("no panic");
        answers.iter().rev().find(|(at, _)| *at == gate).map(|(_, answer)| answer.clone())
    }

    pub fn writes(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    pub fn write(&self, world: &World) {
        while self.goes_on() {
            if let Some(n) = world.write() {
                self.acknowledged.lock().expect("no panic").push((n, now()));
            }
        }
    }

    /// Sessions that ask ten times a second; a new one when one is ended.
    pub fn read(&self, world: &World, gate: &'static str) {
        while self.goes_on() {
            let mut psql = world.psql("reader", world.reads[gate]);
            // Only what standard input says can be watched.
            psql.env("PSQL_PAGER", "").stdin(Stdio::piped());
            let mut session =
                psql.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("psql");
            let mut input = session.stdin.take().expect("piped");
            let asked = format!("{READ} \\watch 0.1\n");
            if std::io::Write::write_all(&mut input, asked.as_bytes()).is_err() {
                continue;
            }
            for line in BufReader::new(session.stdout.take().expect("piped")).lines() {
                let Some(answer) = line.ok().and_then(|line| Answer::parse(&line)) else {
                    continue;
                };
                self.answers.lock().expect("no panic").push((gate, answer));
                if !self.goes_on() {
                    break;
                }
            }
            let _ = session.kill();
            let _ = session.wait();
        }
    }

    /// Tries to write at a server that is not active, past every gate, until told to stop.
    pub fn knock(&self, world: &World, site: &str, stop: &AtomicBool) {
        let port = world.servers[site].port();
        while !stop.load(Ordering::SeqCst) {
            let tried = world.says("app", port, "UPDATE clock SET n = -1 WHERE id = 1");
            if tried.status.success() {
                self.taken.lock().expect("no panic").push(site.to_owned());
            }
        }
    }

    /// Nobody was told less than what had been acknowledged `bound` seconds before the question
    /// reached a server.
    pub fn judge(&self, bound: f64) {
        let taken = self.taken.lock().expect("no panic");
        assert!(taken.is_empty(), "a standby took a write of the application: {taken:?}");
        let acknowledged = self.acknowledged.lock().expect("no panic");
        for (gate, answer) in self.answers() {
            let old = |(_, at): &&(u64, f64)| *at < answer.began - bound;
            let due = acknowledged.iter().take_while(old).map(|(n, _)| *n).max().unwrap_or(0);
            assert!(answer.n >= due, "at {gate}: {answer:?}, and {due} was due");
            assert_eq!(answer.lost, 0, "at {gate}: what only a lost site had: {answer:?}");
        }
    }
}
