//! Planned switches under load: no request fails, and none is answered by a site that is not
//! active any more.

use super::http::median;
use super::report::Report;
use super::world::{Site, sites};
use super::{Arguments, Outcome};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: bank\r\nContent-Length: 0\r\n\r\n";
const REQUESTS: u64 = 100_000;
const CLIENTS: usize = 32;
/// Between two switches, for the load to get going again.
const BETWEEN: Duration = Duration::from_millis(300);

/// One answer: when it was asked for and when it came, through which gate, from which site.
struct Answer {
    asked: Instant,
    came: Instant,
    gate: usize,
    site: String,
}

/// A switch from when nothing was under way, by when its new epoch was told.
struct Switch {
    drained: Instant,
    told: Instant,
    to: &'static str,
}

#[derive(Default)]
struct Load {
    sent: AtomicU64,
    most: u64,
    over: AtomicBool,
    answers: Mutex<Vec<Answer>>,
}

pub async fn run(arguments: &Arguments, report: &mut Report) -> Outcome<()> {
    let most = if arguments.quick { REQUESTS / 20 } else { REQUESTS };
    let [mut east, mut west] = sites(1).await?;
    east.serve(1).await?;
    west.forward(1, "east").await?;
    let load = Arc::new(Load { most, ..Default::default() });
    let gates = [east.order.http, west.order.http];
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(ask(Arc::clone(&load), client % 2, gates[client % 2]));
    }
    let switches = switch(&load, &mut east, &mut west).await?;
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let answers = std::mem::take(&mut *load.answers.lock().map_err(|_| "a client panicked")?);
    judge(report, &answers, &switches)
}

/// One client on one kept connection; any answer but 200 ends the run.
async fn ask(load: Arc<Load>, gate: usize, at: SocketAddr) -> Outcome<()> {
    let mut stream = TcpStream::connect(at).await?;
    let mut answers = Vec::new();
    let mut buffer = [0; 1024];
    while load.sent.fetch_add(1, SeqCst) < load.most {
        let asked = Instant::now();
        stream.write_all(REQUEST).await?;
        let text = answer(&mut stream, &mut buffer).await?;
        let site = text.lines().last().unwrap_or_default().to_owned();
        if !text.starts_with("HTTP/1.1 200") {
            load.over.store(true, SeqCst);
            return Err(format!("a request failed: {text}").into());
        }
        answers.push(Answer { asked, came: Instant::now(), gate, site });
    }
    load.over.store(true, SeqCst);
    load.answers.lock().map_err(|_| "a client panicked")?.extend(answers);
    Ok(())
}

/// Head and body; the body is one line, the site's name.
async fn answer<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> Outcome<&'a str> {
    let mut have = 0;
    loop {
        let count = stream.read(&mut buffer[have..]).await?;
        if count == 0 {
            return Err("the gate hung up".into());
        }
        have += count;
        let text = &buffer[..have];
        let body = text.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &text[at + 4..]);
        if body.is_some_and(|body| body.ends_with(b"\n")) {
            return Ok(std::str::from_utf8(&buffer[..have])?);
        }
    }
}

async fn switch(load: &Load, east: &mut Site, west: &mut Site) -> Outcome<Vec<Switch>> {
    let mut switches = Vec::new();
    let (mut from, mut to) = (east, west);
    for epoch in 1.. {
        tokio::time::sleep(BETWEEN).await;
        if load.over.load(SeqCst) {
            break;
        }
        let ((), ()) = tokio::try_join!(from.drain(epoch), to.drain(epoch))?;
        let drained = Instant::now();
        let (told, name) = (Instant::now(), to.name);
        let ((), ()) = tokio::try_join!(to.serve(epoch + 1), from.forward(epoch + 1, name))?;
        switches.push(Switch { drained, told, to: to.name });
        std::mem::swap(&mut from, &mut to);
    }
    Ok(switches)
}

fn judge(report: &mut Report, answers: &[Answer], switches: &[Switch]) -> Outcome<()> {
    let mut first = [Vec::new(), Vec::new()];
    for (index, switch) in switches.iter().enumerate() {
        let until = switches.get(index + 1).map(|next| next.drained);
        let within = |one: &&Answer| {
            one.asked >= switch.drained && until.is_none_or(|until| one.came < until)
        };
        if let Some(stale) = answers.iter().filter(within).find(|one| one.site != switch.to) {
            return Err(format!("{} answered after the switch to {}", stale.site, switch.to).into());
        }
        for (gate, first) in first.iter_mut().enumerate() {
            let through = answers.iter().filter(|one| one.gate == gate && one.came >= switch.told);
            let earliest = through.map(|one| one.came.duration_since(switch.told)).min();
            first.extend(earliest.map(|passed| passed.as_secs_f64() * 1000.0));
        }
    }
    report.alone("planned switches under load", switches.len() as f64, "switches");
    report.alone("requests answered, none failed, none by a stale site", answers.len() as f64, "");
    for (name, first) in ["east", "west"].iter().zip(&first) {
        let what = format!("new epoch to the first answer through {name}'s gate");
        report.alone(&format!("{what}, median"), median(first.iter().copied()), "ms");
        report.alone(&format!("{what}, longest"), first.iter().copied().fold(0.0, f64::max), "ms");
    }
    Ok(())
}
