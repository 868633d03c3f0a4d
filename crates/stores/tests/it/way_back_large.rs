//! The way back of a large database: it moves what differs, not the database. Figures are printed;
//! bytes are counted by a relay before the active site's server.

use crate::link_world::LONG;
use crate::sites::Site;
use crate::way_back::{Standing, spec};
use mainstay_core::position::Lsn;
use mainstay_core::{Epoch, LinkPhase};
use mainstay_stores::postgres::compare;
use mainstay_stores::postgres::link::{self, Link, LinkSpec};
use mainstay_stores::postgres::put_right::{self, Plan};
use mainstay_stores::postgres::{applied, fence, salvage, slot};
use mainstay_testkit::wait_for;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HOURS: Duration = Duration::from_secs(2 * 3600);

/// Megabytes of the table's rows; another size with `MAINSTAY_LARGE_MB`.
fn megabytes() -> u64 {
    let text = std::env::var("MAINSTAY_LARGE_MB").unwrap_or_else(|_| "5000".to_owned());
    text.parse().expect("a number of megabytes")
}

/// Rows spread over the whole table, the worst for the disk: each on a page of its own; or rows
/// that lie together, with `MAINSTAY_LARGE_CHANGED=together`.
fn one_in_a_hundred(rows: u64) -> String {
    match std::env::var("MAINSTAY_LARGE_CHANGED").as_deref() {
        Ok("together") => format!("id <= {}", rows / 100),
        _ => "id % 100 = 7".to_owned(),
    }
}

/// Passes connections on, and counts the bytes of both directions.
struct Counted {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    async fn before(site: &Site) -> Self {
        let address = (site.endpoint.host.clone(), site.endpoint.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = bytes.clone();
        tokio::spawn(async move {
            loop {
                let (inbound, _) = listener.accept().await.unwrap();
                let outbound = TcpStream::connect((address.0.as_str(), address.1)).await.unwrap();
                let (from_a, to_a) = inbound.into_split();
                let (from_b, to_b) = outbound.into_split();
                tokio::spawn(count(from_a, to_b, counter.clone()));
                tokio::spawn(count(from_b, to_a, counter.clone()));
            }
        });
        Self { port, bytes }
    }

    fn megabytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) >> 20
    }
}

async fn count(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        let written = to.write_all(&buffer[..length]).await;
        if length == 0 || written.is_err() {
            // Either end hung up; the other is told so by the end of the stream.
            let _ = to.shutdown().await;
            return;
        }
    }
}

fn with_port(spec: LinkSpec, port: u16) -> LinkSpec {
    let mut spec = spec;
    "127.0.0.1".clone_into(&mut spec.source.host);
    spec.source.port = port;
    spec
}

async fn until_streaming(link: &Link) {
    let streams = async || matches!(link.status().phase, LinkPhase::Streaming);
    wait_for("the link streams", HOURS, streams).await;
}

/// A figure of all rows, by the server's own functions.
async fn figure(site: &Site) -> String {
    site.text("SELECT count(*) || ' ' || sum(hashtextextended(t::text, 7)) FROM public.large t")
        .await
}

/// Lost with east: inserts, updates and deletes.
async fn lose_500(east: &Site, rows: u64) {
    for number in 0..500u64 {
        let id = number * (rows / 500) + 1;
        let sql = match number % 3 {
            0 => format!("INSERT INTO large VALUES (-{number} - 1, 0, 'lost')"),
            1 => format!("UPDATE large SET n = -1 WHERE id = {id}"),
            _ => format!("DELETE FROM large WHERE id = {id}"),
        };
        east.run(&sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_a_large_database_comes_back_by_what_differs() {
    let rows = megabytes() * 2000;
    let schema = format!(
        "CREATE TABLE large (id bigint PRIMARY KEY, n int NOT NULL, pad text NOT NULL);
         INSERT INTO large SELECT i, i % 1000, repeat(md5(i::text), 14)
             FROM generate_series(1, {rows}) i"
    );
    let (east, west) = tokio::join!(Site::start(&schema), Site::start(""));
    let size: u64 =
        east.text("SELECT pg_database_size('bank')::text").await.parse::<u64>().unwrap() >> 20;

    let before_east = Counted::before(&east).await;
    let there = with_port(spec(("east", &east), ("west", &west), 1), before_east.port);
    let began = Instant::now();
    let to_west = link::start(there.clone());
    until_streaming(&to_west).await;
    let (copy, copied) = (began.elapsed(), before_east.megabytes());
    eprintln!("{size} MB; full copy: {copied} MB moved in {:.1} s", copy.as_secs_f64());

    // East goes on alone, and is lost; west is promoted and changes 1 % of the rows.
    east.run("SELECT pg_logical_emit_message(true, 'test', 'before')").await;
    to_west.drain_to(east.position().await, LONG).await.ok();
    to_west.stop().await;
    lose_500(&east, rows).await;
    fence::fence(&east.endpoint, &[], Epoch::new(2)).await.unwrap();
    let back = spec(("west", &west), ("east", &east), 2);
    slot::pin(&west.endpoint, &back.slot()).await.unwrap();
    west.run("SET search_path = public").await;
    west.run(&format!("UPDATE large SET n = n + 1 WHERE {}", one_in_a_hundred(rows))).await;

    let before_west = Counted::before(&west).await;
    let back = with_port(back, before_west.port);
    let began = Instant::now();
    let link = come_back(&there, &back, &west).await;
    let (time, moved) = (began.elapsed(), before_west.megabytes());
    let (ratio, part) =
        (copy.as_secs_f64() / time.as_secs_f64(), 100.0 * moved as f64 / size as f64);
    eprintln!(
        "failback: {moved} MB moved ({part:.2} % of the database) in {:.1} s, {ratio:.1} times as \
         fast as the full copy",
        time.as_secs_f64()
    );
    let began = Instant::now();
    let held = Standing(link.pause(LONG).await.unwrap());
    let compared = compare::run(&back.source, &back.target, held, &mut ()).await.unwrap();
    eprintln!("comparison: {:.1} s, {} MB in all", began.elapsed().as_secs_f64(), {
        before_west.megabytes()
    });
    assert!(compared.equal, "{compared:#?}");
    assert_eq!(figure(&east).await, figure(&west).await);
    assert!(moved * 100 < size * 3, "{moved} MB of {size} MB");
    link.stop().await;
}

/// Salvage, rows put right, and the link back until it has applied everything.
async fn come_back(there: &LinkSpec, back: &LinkSpec, west: &Site) -> Link {
    let began = Instant::now();
    let told = |what: &str| eprintln!("  {what} after {:.1} s", began.elapsed().as_secs_f64());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("salvage");
    let applied = applied::read(&west.endpoint, &there.name()).await.unwrap().unwrap();
    let mut file = File::create(&path).unwrap();
    let east = &back.target;
    let taken = salvage::take(east, &there.slot(), applied.position, &mut file).await.unwrap();
    assert_eq!(taken.transactions, 500);
    told("salvage taken");
    slot::drop_slot(east, &there.slot()).await.unwrap();
    let plan = Plan {
        old: east.clone(),
        active: back.source.clone(),
        link: back.name(),
        slot: back.slot(),
        epoch: Epoch::new(2),
    };
    let salvage = BufReader::new(File::open(&path).unwrap());
    let put = put_right::run(&plan, salvage).await.unwrap();
    assert_eq!(put.rows, 500);
    told("rows put right");
    let end: Lsn = west.position().await;
    let link = link::start(back.clone());
    west.run("SELECT pg_logical_emit_message(true, 'test', 'after')").await;
    until_streaming(&link).await;
    told("the link back streams");
    link.drain_to(end, HOURS).await.unwrap();
    told("all is applied");
    link
}
