//! Questions over TCP (RFC 7766): one after the other on each connection.

use super::answer::{Asked, Room, answer};
use super::{Desk, unix_seconds};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// More wait in the kernel's queue.
const CONNECTIONS: usize = 500;
/// For a question to arrive or an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn serve(listener: TcpListener, desk: Desk) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, from)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    let _place = place;
                    // A client that breaks off has its reasons.
                    let _ended = converse(stream, from.ip(), &desk).await;
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: some will be closed.
                tracing::warn!(%error, "cannot accept a connection for DNS");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, from: IpAddr, desk: &Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let question = tokio::time::timeout(PATIENCE, read(&mut stream)).await??;
        let known = desk.known.borrow().clone();
        let chance = rand::random();
        let now = unix_seconds();
        let asked = Asked { bytes: &question, from, room: Room::Tcp, chance, now };
        let Some(answered) = answer(&desk.zones, &known, &asked) else { return Ok(()) };
        let length = u16::try_from(answered.bytes.len()).map_err(io::Error::other)?;
        let sent = [&length.to_be_bytes(), answered.bytes.as_slice()].concat();
        tokio::time::timeout(PATIENCE, stream.write_all(&sent)).await??;
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut question = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut question).await?;
    Ok(question)
}
