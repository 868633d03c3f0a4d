//! Sources that are not what they were: a standby that was promoted in their place.

use super::ground::{Field, Ground, Pair};
use crate::link_world::stopped;
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_testkit::{Postgres, wait_for};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;

/// A new timeline has no slot, or one that was made there: the changes in between are not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_failed_over_to_its_standby_stops_the_link() {
    let failover = Failover::play(50).await;
    let (code, reason) = failover.stops().await;
    assert!(["MS-PG-120", "MS-PG-204"].contains(&code.as_str()), "{code}: {reason}");
    // Somebody makes the slot by hand, and the new timeline goes on.
    failover.write(5_000).await;
    failover.make_slot().await;
    let (code, reason) = failover.stops().await;
    assert!(code.starts_with("MS-PG-20"), "{code}: {reason}");
    failover.nothing_was_applied().await;
}

/// The slot is as good as one that PostgreSQL keeps in step at a standby: its position is before
/// the target's. But the target is further than where the timelines part.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_timeline_that_parted_before_the_targets_position_stops_the_link() {
    let failover = Failover::play(30_000).await;
    failover.make_slot().await;
    failover.write(60_000).await;
    let (code, reason) = failover.stops().await;
    assert!(code.starts_with("MS-PG-20"), "{code}: {reason}");
    failover.nothing_was_applied().await;
}

struct Failover {
    field: Field,
    standby: Postgres,
    there: Client,
    spec: LinkSpec,
}

impl Failover {
    /// The primary is killed after the target has `ahead` rows that the standby never got.
    async fn play(ahead: u32) -> Self {
        let mut ground = Ground::start(Pair::USUAL).await;
        let mut field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let link = field.streaming().await;
        field.world.source.run("INSERT INTO t VALUES (1, 'a')").await;
        let primary = Arc::clone(&field.world.source.server);
        let standby = tokio::task::spawn_blocking(move || Postgres::start_standby(&primary)).await;
        let standby = standby.unwrap();
        let there = standby.client("bank").await;
        wait_for("the standby has the row", Duration::from_secs(30), async || {
            let count = there.query_one("SELECT count(*) FROM public.t", &[]).await.unwrap();
            count.get::<_, i64>(0) == 1
        })
        .await;
        // It is stopped before the rows are written: it cannot even receive them.
        let apart = "ALTER SYSTEM SET primary_conninfo = ''";
        there.batch_execute(apart).await.unwrap();
        there.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        wait_for("the standby receives no more", Duration::from_secs(30), async || {
            let none = "SELECT count(*)::text FROM pg_stat_replication \
                        WHERE application_name = 'walreceiver'";
            field.world.source.text(none).await == "0"
        })
        .await;
        let insert = format!("INSERT INTO t SELECT i, 'lost' FROM generate_series(2, {ahead}) i");
        field.world.source.run(&insert).await;
        field.caught_up(&link).await;
        link.stop().await;
        // Nobody else uses the primary.
        ground.east = Arc::clone(&ground.west);
        field.world.source.kill9();
        there.batch_execute("SELECT pg_promote()").await.unwrap();
        let spec = LinkSpec { source: standby.endpoint("bank"), ..field.spec() };
        Self { field, standby, there, spec }
    }

    async fn stops(&self) -> (String, String) {
        let link = link::start(self.spec.clone());
        let why = stopped(&link).await;
        link.stop().await;
        why
    }

    async fn make_slot(&self) {
        let slot = self.spec.slot();
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        self.there.batch_execute(&make).await.unwrap();
    }

    async fn write(&self, rows: u32) {
        let write = format!(
            "INSERT INTO public.t SELECT i, 'new' FROM generate_series(100000, 100000 + {rows}) i"
        );
        self.there.batch_execute(&write).await.unwrap();
    }

    async fn nothing_was_applied(&self) {
        let count = "SELECT count(*)::text FROM t WHERE v = 'new'";
        assert_eq!(self.field.world.target.text(count).await, "0", "{}", self.standby.port());
    }
}
