//! The gate's end of the line.

use super::{Directive, Report};
use crate::line;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

/// The agent is on the same machine: trying often costs nothing.
const RETRY: Duration = Duration::from_millis(100);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps the line up: directives go into `directives`, every change of `reports` is told. Never
/// ends by itself.
pub async fn run(
    socket: &Path,
    directives: mpsc::Sender<Directive>,
    mut reports: watch::Receiver<Report>,
) {
    let mut told = false;
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => {
                told = false;
                let ended = converse(stream, &directives, &mut reports).await;
                tracing::warn!(reason = ?ended.err(), "the line to the agent ended");
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(socket = %socket.display(), %error, "the agent does not listen; trying on");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn converse(
    stream: UnixStream,
    directives: &mpsc::Sender<Directive>,
    reports: &mut watch::Receiver<Report>,
) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    // The first report says at once which application this is.
    reports.mark_changed();
    tokio::select! {
        ended = listen_to(reader, directives) => ended,
        ended = tell(writer, reports) => ended,
    }
}

async fn listen_to(reader: OwnedReadHalf, directives: &mpsc::Sender<Directive>) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(directive) = line::read(&mut reader).await? {
        directives.send(directive).await.map_err(io::Error::other)?;
    }
    Ok(())
}

async fn tell(mut writer: OwnedWriteHalf, reports: &mut watch::Receiver<Report>) -> io::Result<()> {
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        tokio::time::timeout(WRITE_TIMEOUT, line::write(&mut writer, &report)).await??;
    }
    Ok(())
}
