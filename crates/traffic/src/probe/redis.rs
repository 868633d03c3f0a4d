//! A PING that Redis answers, and a key that it takes (RESP, "Redis serialization protocol
//! specification": a command is an array of bulk strings).

use super::FailureKind;
use super::connect::Way;
use mainstay_core::watch::RedisProbe;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// The simple answers that are waited for are a few words.
const LONGEST_LINE: u64 = 1024;
/// The key expires by itself, in milliseconds.
const EXPIRES: &str = "60000";

pub async fn ask(way: &Way<'_>, probe: &RedisProbe) -> Result<(), FailureKind> {
    let mut server = BufReader::new(way.open().await?);
    if let Some(password) = &probe.password {
        let user = probe.user.as_deref();
        let words: Vec<&str> =
            ["AUTH"].into_iter().chain(user).chain([password.expose()]).collect();
        command(&mut server, &words, "OK").await?;
    }
    command(&mut server, &["PING"], "PONG").await?;
    if probe.write {
        command(&mut server, &["SET", "mainstay:probe", "1", "PX", EXPIRES], "OK").await?;
    }
    Ok(())
}

async fn command<S>(
    server: &mut BufReader<S>,
    words: &[&str],
    wanted: &str,
) -> Result<(), FailureKind>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    server.write_all(bytes.as_bytes()).await.map_err(broken)?;
    server.flush().await.map_err(broken)?;
    let mut line = Vec::new();
    server.take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(broken)?;
    let line = String::from_utf8_lossy(&line);
    match (line.strip_suffix("\r\n"), line.get(..1)) {
        (None, None) => Err(FailureKind::Unreachable("the connection was closed".to_owned())),
        (Some(line), Some("+")) if &line[1..] == wanted => Ok(()),
        (Some(line), Some("-")) => Err(FailureKind::says(&line[1..])),
        _ => Err(FailureKind::Protocol(format!("{} was not answered with {wanted}", words[0]))),
    }
}

fn broken(error: std::io::Error) -> FailureKind {
    FailureKind::Unreachable(error.to_string())
}
