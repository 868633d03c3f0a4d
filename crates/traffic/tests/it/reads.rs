//! The address for reads, with PostgreSQL's own clients and a server at each site.

use super::postgres::{connect, run, text};
use super::support::SOON;
use super::support::site::{LONG, Pair, Site, db_name};
use mainstay_testkit::{Options, Postgres, wait_for};
use mainstay_traffic::tick;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const HOLD: Duration = Duration::from_secs(20);

struct Sites {
    pair: Pair,
    servers: [Postgres; 2],
}

/// East serves, west passes on to it; west's own database may be read.
async fn sites() -> Sites {
    let servers = [(); 2].map(|()| Postgres::start(Options::default().fsync(false)));
    let pair = Pair::serving(HOLD, [servers[0].port(), servers[1].port()]).await;
    allow(&pair.west, Some(LONG));
    pair.west.forward(1, "east").await;
    Sites { pair, servers }
}

/// What the next directive says.
pub fn allow(site: &Site, span: Option<Duration>) {
    let until = span.map(|span| tick::now().plus(span));
    site.reads.lock().expect("nobody panics with it").insert(db_name(), until);
}

pub fn reads(site: &Site) -> SocketAddr {
    site.spec.stores[&db_name()].reads.expect("there is one")
}

impl Sites {
    async fn reader(&self) -> Client {
        connect(&self.servers[1], reads(&self.pair.west)).await.expect("readers come in")
    }

    /// Which of the two servers answers.
    async fn place(&self, client: &Client) -> usize {
        let row = client.query_one("SELECT inet_server_port()", &[]).await.expect("it is read");
        let port: i32 = row.get(0);
        self.servers
            .iter()
            .position(|server| i32::from(server.port()) == port)
            .expect("it is one of both")
    }
}

#[tokio::test]
async fn a_reader_is_led_to_the_own_database_while_it_may_be_read_and_else_to_the_writer() {
    let sites = sites().await;
    let west = &sites.pair.west;
    let own = sites.reader().await;
    assert_eq!(sites.place(&own).await, 1);
    let writer = connect(&sites.servers[0], west.db).await.unwrap();
    assert_eq!(sites.place(&writer).await, 0, "the other address leads where it did");
    west.report(|it| it.readers_here == 1 && it.connections == 1).await;
    allow(west, None);
    west.forward(1, "east").await;
    let away = sites.reader().await;
    assert_eq!(sites.place(&away).await, 0);
    west.report(|it| it.readers_here == 0 && it.readers_away == 1).await;
    allow(west, Some(LONG));
    west.forward(1, "east").await;
    assert_eq!(sites.place(&sites.reader().await).await, 1);
}

#[tokio::test]
async fn a_reader_is_cut_with_57p01_when_nobody_says_any_more_that_it_may_read() {
    let sites = sites().await;
    let west = &sites.pair.west;
    allow(west, Some(Duration::from_secs(2)));
    west.forward(1, "east").await;
    // The psql that sleeps on its own side is idle for the server.
    let script = "SELECT inet_server_port();\n\\! sleep 4\nSELECT 1;\n";
    let file = west.spec.state_dir.join("script.sql");
    std::fs::write(&file, script).unwrap();
    let arguments = ["-v", "VERBOSITY=verbose", "-At", "-f", file.to_str().unwrap()];
    let output = run(&sites.servers[1], reads(west), "psql", &arguments).await;
    let told = text(&output);
    assert!(told.contains("57P01") && told.contains("MS-GATE-041"), "{told}");
    west.report(|it| it.readers_here == 0).await;
    assert_eq!(sites.place(&sites.reader().await).await, 0, "the writer answers");
}

#[tokio::test]
async fn a_change_of_epoch_and_of_the_active_site_cuts_no_reader_and_waits_for_none() {
    let sites = sites().await;
    let (east, west) = (&sites.pair.east, &sites.pair.west);
    let reader = sites.reader().await;
    reader.batch_execute("BEGIN; SELECT 1").await.unwrap();
    west.close(1).await;
    west.hold(2, LONG).await;
    west.report(|it| it.drained).await;
    west.serve(2, LONG).await;
    east.forward(2, "west").await;
    reader.batch_execute("SELECT 1; COMMIT").await.unwrap();
    assert_eq!(sites.place(&reader).await, 1);
    west.hold(2, LONG).await;
    west.report(|it| it.drained && it.in_transaction == 0).await;
    assert_eq!(sites.place(&reader).await, 1);
    assert_eq!(sites.place(&sites.reader().await).await, 1, "nothing is held");
}

#[tokio::test]
async fn without_an_active_site_another_sites_database_answers_if_it_may_be_read() {
    let sites = sites().await;
    let (east, west) = (&sites.pair.east, &sites.pair.west);
    allow(west, None);
    west.close(1).await;
    allow(east, Some(LONG));
    east.close(1).await;
    let reader = sites.reader().await;
    assert_eq!(sites.place(&reader).await, 0);
    allow(east, None);
    east.close(1).await;
    let cut = async || reader.batch_execute("SELECT 1").await.is_err();
    wait_for("the other site ends it", SOON, cut).await;
}

#[tokio::test]
async fn what_a_reader_asks_can_be_cancelled_wherever_it_was_led() {
    let sites = sites().await;
    for own in [true, false] {
        allow(&sites.pair.west, own.then_some(LONG));
        sites.pair.west.forward(1, "east").await;
        let reader = sites.reader().await;
        let token = reader.cancel_token();
        let sleeps = reader.batch_execute("SELECT pg_sleep(3600)");
        let cancel = async {
            let sleeps = async || {
                let sql = "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
                let server = &sites.servers[usize::from(own)];
                !server.client("postgres").await.query(sql, &[]).await.unwrap().is_empty()
            };
            wait_for("it sleeps", SOON, sleeps).await;
            token.cancel_query(tokio_postgres::NoTls).await.unwrap();
        };
        let (slept, ()) = tokio::join!(sleeps, cancel);
        assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    }
}

#[tokio::test]
async fn an_own_database_that_is_down_is_no_reason_to_refuse_a_reader() {
    let mut sites = sites().await;
    sites.servers[1].kill9();
    let reader = connect(&sites.servers[0], reads(&sites.pair.west)).await.unwrap();
    assert_eq!(sites.place(&reader).await, 0);
}
