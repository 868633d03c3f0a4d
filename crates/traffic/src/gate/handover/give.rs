//! The older gate's end.

use super::{Word, path, sockets};
use crate::control::Report;
use crate::gate::obeyed::Obeyed;
use crate::gate::spec::GateSpec;
use crate::line;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What a gate has to hand over.
pub struct Giver {
    listener: UnixListener,
    sockets: Vec<TcpListener>,
}

impl Giver {
    /// Listens in place of whoever did before.
    pub fn bind(spec: &GateSpec, sockets: Vec<TcpListener>) -> io::Result<Self> {
        let path = path(&spec.state_dir, &spec.application);
        let draft = path.with_extension("new");
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&draft)?;
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&draft, path)?;
        Ok(Self { listener, sockets })
    }
}

/// Hands the ports to every younger gate that asks, until one is ready, and then hears the agent
/// through it. While one asks, this gate does not listen to the agent itself, who knows only one
/// gate of the application. Once the younger gate has ended, this one does too.
pub async fn give(giver: io::Result<Giver>, obeyed: Obeyed) {
    let Giver { listener, mut sockets } = match giver {
        Ok(giver) => giver,
        Err(error) => {
            tracing::warn!(code = "MS-GATE-009", %error, "no younger gate will be able to take over");
            return std::future::pending().await;
        }
    };
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(code = "MS-GATE-009", %error, "no younger gate will be able to take over");
                return std::future::pending().await;
            }
        };
        obeyed.replaced.send_replace(true);
        let mut line = Line { sockets: &mut sockets, obeyed: &obeyed };
        let reason = line.hold(stream).await.err();
        if obeyed.retired.is_cancelled() {
            tracing::warn!(?reason, "the younger gate has ended, and this one with it");
            return obeyed.shutdown.cancel();
        }
        tracing::warn!(?reason, "the younger gate did not get ready: this one goes on");
        obeyed.replaced.send_replace(false);
    }
}

struct Line<'a> {
    sockets: &'a mut Vec<TcpListener>,
    obeyed: &'a Obeyed,
}

impl Line<'_> {
    async fn hold(&mut self, stream: UnixStream) -> io::Result<()> {
        sockets::send(&stream, self.sockets).await?;
        let (reader, writer) = stream.into_split();
        let reports = self.obeyed.reports.clone();
        tokio::select! {
            ended = self.listen(reader) => ended,
            ended = tell(writer, reports) => ended,
        }
    }

    async fn listen(&mut self, reader: OwnedReadHalf) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        while let Some(word) = line::read(&mut reader).await? {
            match word {
                Word::Directive(directive) => {
                    self.obeyed.directives.send(directive).await.map_err(io::Error::other)?;
                }
                Word::Ready => {
                    tracing::info!(
                        "a younger gate has the ports: this one ends with its last connection"
                    );
                    self.sockets.clear();
                    self.obeyed.retired.cancel();
                }
            }
        }
        Ok(())
    }
}

async fn tell(mut writer: OwnedWriteHalf, mut reports: watch::Receiver<Report>) -> io::Result<()> {
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        line::write(&mut writer, &report).await?;
    }
    Ok(())
}
