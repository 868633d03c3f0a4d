//! Copies bytes both ways, and stalls while the pair is cut. A cut is a black hole: nothing is
//! reset or closed, as when a cable is pulled; the peers find out by their own timeouts.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Most connections of one route; further ones wait in the listener's queue.
const MOST_CONNECTIONS: usize = 512;
const BUFFER: usize = 16 * 1024;

pub async fn serve(
    listener: TcpListener,
    target: SocketAddr,
    flows: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // Out of file descriptors, or the peer was gone at once: the next one may do better.
        let Ok((inbound, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let (flows, stop) = (flows.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = carry(inbound, target, flows) => {}
            }
            drop(place);
        });
    }
}

pub(super) async fn carry(
    mut inbound: TcpStream,
    target: SocketAddr,
    mut flows: watch::Receiver<bool>,
) -> std::io::Result<()> {
    until_healed(&mut flows).await;
    let mut outbound = TcpStream::connect(target).await?;
    let _ = (inbound.set_nodelay(true), outbound.set_nodelay(true));
    let (from_a, to_a) = inbound.split();
    let (from_b, to_b) = outbound.split();
    // An error at one side ends both directions, so that a reset reaches the other side too.
    tokio::try_join!(copy(from_a, to_b, flows.clone()), copy(from_b, to_a, flows))?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flows: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await;
        until_healed(&mut flows).await;
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}

async fn until_healed(flows: &mut watch::Receiver<bool>) {
    // An error means that the switchboard is gone, and with it whoever could cut.
    let _ = flows.wait_for(|flows| *flows).await;
}
