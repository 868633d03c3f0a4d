//! What many connections cost: 10,000 that are silent beside 1,000 that are busy.

use super::http::ways;
use super::load::wrk;
use super::process::listens;
use super::report::Report;
use super::rivals;
use super::world::sites;
use super::{Arguments, Outcome};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: idle\r\n\r\n";
/// Silent connections to stores have two descriptors each in the gate, and one in the benchmark
/// and in the server.
const SILENT: [usize; 2] = [10_000, 8_000];
const BUSY: usize = 1_000;

pub async fn run(arguments: &Arguments, report: &mut Report) -> Outcome<()> {
    let share = if arguments.quick { 20 } else { 1 };
    for (kind, silent) in ["HTTP", "TCP"].iter().zip(SILENT) {
        let [mut east, _west] = sites(1).await?;
        east.serve(1).await?;
        let folder = TempDir::new()?;
        let ways = ways(&east);
        let haproxy = rivals::haproxy(folder.path(), &ways)?;
        let (ours, theirs) = match *kind {
            "HTTP" => (east.order.http, ways.http[0]),
            _ => (east.order.plain[0], ways.plain[0]),
        };
        listens(theirs).await?;
        let mut figures = Vec::new();
        for (name, at, process) in [("HAProxy", theirs, &haproxy), ("gate", ours, &east.gate)] {
            let open = silent_ones(at, silent / share).await?;
            let _served = wrk(at, "/", BUSY / share, arguments.load().0).await?;
            figures.push((name, process.memory()?));
            drop(open);
        }
        let work =
            format!("{kind}: memory with {} silent and {} busy", silent / share, BUSY / share);
        report.beside(&work, &figures, "MB");
    }
    Ok(())
}

/// Connections that have each had one answer and say nothing more.
async fn silent_ones(at: SocketAddr, count: usize) -> Outcome<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(REQUEST).await?;
        if stream.read(&mut [0; 1024]).await? == 0 {
            return Err(format!("{at} hung up after {} connections", open.len()).into());
        }
        open.push(stream);
    }
    Ok(open)
}
