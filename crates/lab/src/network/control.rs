//! The relay's control socket: one JSON line asks, one JSON line answers.

use super::switch::{CutState, Pair, Switchboard};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

const LONGEST_LINE: u64 = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    Cut { a: String, b: String },
    Heal,
    Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    State(Vec<CutState>),
    Refused(String),
}

/// Asks the relay behind `socket`.
pub async fn ask(socket: &Path, request: &Request) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}

pub async fn serve(listener: UnixListener, board: Switchboard, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(answer(stream, board.clone()));
                }
            }
        }
    }
}

async fn answer(stream: UnixStream, board: Switchboard) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST_LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => carry_out(&board, request),
        Err(error) => Answer::Refused(format!("not a request: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}

fn carry_out(board: &Switchboard, request: Request) -> Answer {
    match request {
        Request::Cut { a, b } if !board.cut(&Pair::new(&a, &b)) => {
            return Answer::Refused(format!("no traffic goes between {a} and {b}"));
        }
        Request::Heal => board.heal(),
        Request::Cut { .. } | Request::Status => {}
    }
    Answer::State(board.state())
}
