//! The life of a link: it connects, copies if it must, and streams, again and again until it is
//! stopped.

use super::batch::{Batch, MOST_SENT, Sent};
use super::commands::Commands;
use super::copy::{self, Copy};
use super::failure::{LinkError, Verdict};
use super::keys::{Filter, Table};
use super::observe;
use super::psync::{self, Incoming, Outgoing, Start};
use super::record::{self, AtTarget};
use super::shared::{Shared, Side};
use super::stream::{self, End, Stream, Target};
use crate::backoff::Backoff;
use crate::redis::connect::Connection;
use crate::redis::expiry;
use crate::redis::session::Session;
use mainstay_core::position::ReplicationOffset;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::ReadHalf;
use tokio::sync::{Notify, mpsc};

const PUBLISH: Duration = Duration::from_millis(200);

/// Runs until the link is told to stop, or cannot go on without a person.
pub(super) async fn run(shared: Arc<Shared>) {
    let publishing = async {
        loop {
            tokio::time::sleep(PUBLISH).await;
            shared.publish();
        }
    };
    let living = async {
        if let Err(error) = live(&shared).await {
            shared.stopped(&error);
            stop_wished(&shared).await;
        }
        if let Err(error) = expiry::release(&shared.spec.target).await {
            tracing::warn!(link = %shared.spec.name(), %error, "cannot let keys expire again");
        }
    };
    tokio::select! {
        () = living => {}
        () = publishing => {}
    }
    shared.publish();
}

async fn stop_wished(shared: &Shared) {
    let mut wish = shared.wish.subscribe();
    // The sender lives as long as `shared`.
    drop(wish.wait_for(|wish| wish.stop).await);
}

async fn live(shared: &Shared) -> Result<(), LinkError> {
    let mut backoff = Backoff::default();
    loop {
        let begun = tokio::select! {
            () = stop_wished(shared) => return Ok(()),
            begun = begin(shared) => begun,
        };
        let error = match begun {
            Ok(begun) => {
                backoff.succeeded();
                match begun.stream(shared).await {
                    Ok(End::Stopped) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if let Verdict::Stop(_) = error.verdict() {
            return Err(error);
        }
        tracing::warn!(link = %shared.spec.name(), %error, "the link begins again");
        shared.source(Side::Down(error.to_string()));
        tokio::select! {
            () = stop_wished(shared) => return Ok(()),
            () = tokio::time::sleep(backoff.next()) => {}
        }
    }
}

/// Both ends, before the first command.
struct Begun {
    watcher: Session,
    source: (Incoming, Commands),
    outgoing: Outgoing,
    target: (Target, Batch),
    answers: ReadHalf<Connection>,
    sent: mpsc::Receiver<Sent>,
    at: ReplicationOffset,
    copy: Option<Copy>,
}

/// A target that has a position says so also while its source is gone.
async fn begin(shared: &Shared) -> Result<Begun, LinkError> {
    let spec = &shared.spec;
    let mut target = Session::open(&spec.target, "apply").await?;
    let at_target = record::claim(&mut target, spec).await?;
    expiry::hold(&mut target).await?;
    let client = target.call("ask for its number", &["CLIENT", "ID"]).await?;
    let run = target.info("server").await?.remove("run_id");
    shared.applying_as(client.number(), run);
    shared.target(Side::Up);
    let position = match at_target {
        AtTarget::Position { at, .. } => Some(at),
        AtTarget::Copying => None,
        AtTarget::Nothing if spec.replace => None,
        AtTarget::Nothing => refuse_keys(&mut target).await.map(|()| None)?,
    };
    if let Some(at) = position {
        shared.found(at);
    }
    let mut watcher = Session::open(&spec.source, "watch").await?;
    let table = watcher.call("ask for its commands", &["COMMAND"]).await?;
    let commands = Commands::new(Table::read(&table), Filter::new(&spec.exclude));
    let (mut incoming, outgoing, start) = psync::start(spec, position).await?;
    let (at, batch, copy) = match (at_target, start) {
        (AtTarget::Position { at, db }, Start::Continue(now)) => {
            let mut batch = Batch::new(spec, at.to_string(), db);
            // The history may have another name now, which the record is told at once.
            batch.open();
            (now, batch, None)
        }
        (_, Start::Continue(at) | Start::Full(at)) => {
            let payload = copy::announced(&mut incoming).await?;
            if position.is_some() {
                refuse_empty_source(&mut watcher, &mut target).await?;
            }
            let (copy, batch) = copy::prepare(shared, &mut target, payload).await?;
            (at, batch, Some(copy))
        }
    };
    let place = target.place().to_owned();
    let (answers, writer) = tokio::io::split(target.into_connection());
    let (tell, sent) = mpsc::channel(MOST_SENT as usize);
    let target = (Target { place, writer, sent: tell }, batch);
    let source = (incoming, commands);
    Ok(Begun { watcher, source, outgoing, target, answers, sent, at, copy })
}

/// A server that was used for something else is not emptied.
async fn refuse_keys(target: &mut Session) -> Result<(), LinkError> {
    match observe::count_keys(target).await? {
        0 => Ok(()),
        keys => Err(LinkError::NotEmpty { place: target.place().to_owned(), keys }),
    }
}

/// A source that lost all its data must not take the last good copy with it.
async fn refuse_empty_source(source: &mut Session, target: &mut Session) -> Result<(), LinkError> {
    if observe::count_keys(source).await? > 0 {
        return Ok(());
    }
    match observe::count_keys(target).await? {
        0 => Ok(()),
        keys => Err(LinkError::SourceEmpty { place: source.place().to_owned(), keys }),
    }
}

impl Begun {
    /// Copies if the source sends everything, then streams until something ends it.
    async fn stream(self, shared: &Shared) -> Result<End, LinkError> {
        let Begun { watcher, source, mut outgoing, target, answers, sent, at, copy } = self;
        let (from, to) = (source.0.place.clone(), target.0.place.clone());
        let asked = Notify::new();
        let mut stream = Stream::new(shared, &asked, source, target, at);
        let applying = async {
            if let Some(copy) = copy {
                copy::copy(shared, &mut stream, copy).await?;
            }
            shared.source(Side::Up);
            stream.run().await
        };
        tokio::select! {
            ended = applying => ended,
            error = stream::answers(shared, &to, answers, sent) => Err(error),
            error = stream::acknowledge(shared, &from, &mut outgoing, &asked) => Err(error),
            never = observe::observe(shared, watcher) => match never {},
        }
    }
}

/// For a link that does not end by itself: its connection is closed by the target. One that does
/// not answer is guarded by the record: the next session's transactions shut this one's out.
pub(super) async fn end_at_target(shared: &Shared) {
    let Some(client) = shared.client() else { return };
    let ended = async {
        let mut session = Session::open(&shared.spec.target, "stop").await?;
        let command = ["CLIENT", "KILL", "ID", &client.to_string()];
        session.call("end the link's connection", &command).await
    };
    if let Err(error) = ended.await {
        tracing::warn!(link = %shared.spec.name(), %error, "cannot end the link's connection");
    }
}
