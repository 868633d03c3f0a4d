//! A network between two sites that can be cut without either side being told.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Relay {
    pub address: SocketAddr,
    cut: watch::Sender<bool>,
    _stop: DropGuard,
}

impl Relay {
    pub fn start(to: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("an option");
        let address = listener.local_addr().expect("it is bound");
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let (cut, stop) = (watch::Sender::new(false), CancellationToken::new());
        let accepting = accept(listener, to, cut.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self { address, cut, _stop: stop.drop_guard() }
    }

    /// Connections stay open, and nothing passes.
    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, cut: watch::Sender<bool>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        let cut = cut.subscribe();
        tokio::spawn(async move {
            let other = TcpStream::connect(to).await?;
            let (near, far) = (stream.into_split(), other.into_split());
            tokio::try_join!(pump(near.0, far.1, cut.clone()), pump(far.0, near.1, cut))
        });
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await?;
        cut.wait_for(|cut| !*cut).await.map_err(io::Error::other)?;
        to.write_all(&buffer[..count]).await?;
        if count == 0 {
            return to.shutdown().await;
        }
    }
}
