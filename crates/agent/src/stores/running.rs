//! A running link, whatever the kind of its store.

use super::{Link, Paused};
use mainstay_core::{LinkStatus, Position};
use mainstay_stores::redis;
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub enum StoreLink {
    Postgres(Box<dyn Link>),
    Redis(redis::link::Link),
}

/// What is known of the target of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// All that the source had then is there.
    pub at: Instant,
    /// In this run of the target's server, where it loses what it had when it is killed.
    pub run: Option<String>,
}

/// As of when a link's target is complete, whenever it is called.
pub type Completeness = Box<dyn Fn() -> Option<Complete> + Send + Sync>;

impl StoreLink {
    pub fn status(&self) -> LinkStatus {
        match self {
            StoreLink::Postgres(link) => link.status(),
            StoreLink::Redis(link) => link.status(),
        }
    }

    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        match self {
            StoreLink::Postgres(link) => link.watch(),
            StoreLink::Redis(link) => link.watch(),
        }
    }

    pub fn completeness(&self) -> Completeness {
        match self {
            StoreLink::Postgres(link) => {
                let complete = link.completeness();
                Box::new(move || complete().map(|at| Complete { at, run: None }))
            }
            StoreLink::Redis(link) => {
                let complete = link.completeness();
                Box::new(move || complete().map(|it| Complete { at: it.at, run: Some(it.run) }))
            }
        }
    }

    /// Applies all that was received; the position reached.
    pub async fn drain_received(&self, deadline: Duration) -> Result<Position, String> {
        match self {
            StoreLink::Postgres(link) => {
                link.drain_received(deadline).await.map(Position::Postgres).map_err(say)
            }
            StoreLink::Redis(link) => {
                link.drain_received(deadline).await.map(Position::Redis).map_err(say)
            }
        }
    }

    /// Waits until everything up to `end` is applied; the position reached.
    pub async fn drain_to(&self, end: Position, deadline: Duration) -> Result<Position, String> {
        match (self, end) {
            (StoreLink::Postgres(link), Position::Postgres(end)) => {
                link.drain_to(end, deadline).await.map(Position::Postgres).map_err(say)
            }
            (StoreLink::Redis(link), Position::Redis(end)) => {
                link.drain_to(end, deadline).await.map(Position::Redis).map_err(say)
            }
            (_, other) => Err(format!("{other} is a position of another kind of store")),
        }
    }

    /// The link of a PostgreSQL store, which can stand still at a position of its source.
    pub fn postgres(&self) -> Option<&dyn Link> {
        match self {
            StoreLink::Postgres(link) => Some(link.as_ref()),
            StoreLink::Redis(_) => None,
        }
    }

    /// For the comparison of a Redis store, while which its link goes on.
    pub fn follower(&self) -> Option<redis::link::Follower> {
        match self {
            StoreLink::Postgres(_) => None,
            StoreLink::Redis(link) => Some(link.follower()),
        }
    }

    pub async fn pause(&self, deadline: Duration) -> Result<Box<dyn Paused>, String> {
        let link = self.postgres().ok_or("only links of kind postgres stand still")?;
        link.pause(deadline).await.map_err(say)
    }

    pub async fn stop(self) {
        match self {
            StoreLink::Postgres(link) => drop(link.stop().await),
            StoreLink::Redis(link) => drop(link.stop().await),
        }
    }
}

fn say(why: impl ToString) -> String {
    why.to_string()
}
