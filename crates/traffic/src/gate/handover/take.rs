//! The younger gate's end.

use super::{Word, path, sockets};
use crate::control::{Directive, Report};
use crate::gate::shared::Shared;
use crate::gate::spec::GateSpec;
use crate::line;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// A gate that runs answers at once.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Directives on their way; each replaces the one before.
const WAITING: usize = 16;

/// The gate that ran before.
#[derive(Debug)]
pub struct Elder {
    stream: UnixStream,
    sockets: Vec<(SocketAddr, TcpListener)>,
}

/// The gate of this application that runs in this state folder, with its ports. None when none
/// does.
pub async fn take(spec: &GateSpec) -> io::Result<Option<Elder>> {
    let Ok(stream) = UnixStream::connect(path(&spec.state_dir, &spec.application)).await else {
        return Ok(None);
    };
    let received = tokio::time::timeout(TIMEOUT, sockets::receive(&stream)).await??;
    let named = received.into_iter().map(|socket| Ok((socket.local_addr()?, socket)));
    Ok(Some(Elder { stream, sockets: named.collect::<io::Result<_>>()? }))
}

impl Elder {
    /// Its socket for this port, if it has one.
    pub fn socket(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.sockets.iter().position(|(bound, _)| *bound == address)?;
        Some(self.sockets.swap_remove(at).1)
    }

    /// Keeps the line up: what goes into the sender is passed on, and the other's reports are added
    /// to this gate's. The first word is `ready`.
    pub fn retire(self, shared: &Arc<Shared>) -> mpsc::Sender<Directive> {
        let (reader, writer) = self.stream.into_split();
        let (directives, waiting) = mpsc::channel(WAITING);
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = listen(reader, &shared) => ended,
                ended = tell(writer, waiting) => ended,
            };
            shared.hear_elder(None);
            tracing::info!(reason = ?ended.err(), "the gate that ran before has ended");
        });
        directives
    }
}

async fn listen(reader: OwnedReadHalf, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(report) = line::read::<Report, _>(&mut reader).await? {
        shared.hear_elder(Some(report));
    }
    Ok(())
}

async fn tell(
    mut writer: OwnedWriteHalf,
    mut directives: mpsc::Receiver<Directive>,
) -> io::Result<()> {
    line::write(&mut writer, &Word::Ready).await?;
    while let Some(directive) = directives.recv().await {
        line::write(&mut writer, &Word::Directive(directive)).await?;
    }
    // This gate ends: the line with it.
    Ok(())
}
