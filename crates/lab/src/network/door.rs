//! A site's HTTP proxy (`CONNECT`, RFC 9110, 9.3.6), for servers that know each other by one address
//! only, wherever they are: which site asks is known by which door it came through.

use super::relay;
use super::switch::{Pair, Switchboard};
use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const LONGEST_HEAD: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    pub from: String,
    pub listen: SocketAddr,
    pub ways: Vec<Way>,
}

/// Whoever asks for `asked` gets to `target` at site `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub to: String,
    pub asked: SocketAddr,
    pub target: SocketAddr,
}

pub async fn serve(listener: TcpListener, door: Door, board: Switchboard, stop: CancellationToken) {
    let door = Arc::new(door);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((inbound, _)) = accepted else { continue };
        let (door, board, stop) = (door.clone(), board.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = pass(inbound, &door, &board) => {}
            }
        });
    }
}

async fn pass(mut inbound: TcpStream, door: &Door, board: &Switchboard) -> std::io::Result<()> {
    let head = read_head(&mut inbound).await?;
    let Some(way) = door.ways.iter().find(|way| asks_for(&head, way)) else {
        return inbound.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    };
    inbound.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let flows = board.watch(&Pair::new(&door.from, &way.to));
    relay::carry(inbound, way.target, flows).await
}

fn asks_for(head: &str, way: &Way) -> bool {
    head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next())
        == Some(way.asked.to_string().as_str())
}

/// The client says nothing more until it is answered.
async fn read_head(inbound: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD || inbound.read_buf(&mut head).await? == 0 {
            return Err(Error::new(ErrorKind::InvalidData, "no request"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
