//! A server's data as a file: what a replica is sent first (Redis, "Replication", "How Redis
//! replication works"). A server that is given the file as its `dump.rdb` has the data again.

use super::connect::{self, Connection, place};
use super::fault::Fault;
use mainstay_core::estate::RedisEndpoint;
use mainstay_core::position::ReplicationOffset;
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

/// A server that writes its data says at least a newline every few seconds.
const SILENCE: Duration = Duration::from_secs(60);
const DOING: &str = "copy the server's data";

/// A copy that is on this machine's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// The server's history up to here is in it.
    pub position: ReplicationOffset,
}

/// Writes all that the server has to `path`. The file is there only when it is whole.
pub async fn take(endpoint: &RedisEndpoint, path: &Path) -> Result<Copied, Fault> {
    let place = place(endpoint);
    let lost = |why: String| Fault::Lost { place: place.clone(), doing: DOING, why };
    let mut connection = connect::connect(endpoint, "copy").await?;
    let asked = async {
        let mut bytes = Vec::new();
        super::reply::encode(&mut bytes, &["PSYNC", "?", "-1"]);
        connection.write_all(&bytes).await?;
        connection.flush().await
    };
    asked.await.map_err(|error| lost(error.to_string()))?;
    let first = line(&mut connection).await.map_err(lost)?;
    let position = full_resync(&first).ok_or_else(|| Fault::Refused {
        place: place.clone(),
        doing: DOING,
        why: format!("it answered {first:?}"),
    })?;
    // The length is known, because no way of sending it without one was offered.
    let length = line(&mut connection).await.map_err(lost)?;
    let bytes = length.strip_prefix('$').and_then(|digits| digits.parse().ok());
    let bytes: u64 = bytes.ok_or_else(|| lost(format!("it answered {length:?}")))?;
    let draft = path.with_extension("draft");
    let written = async {
        spool(&mut connection, bytes, &draft).await?;
        tokio::fs::rename(&draft, path).await?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).await?.sync_all().await
    };
    written.await.map_err(|error| lost(format!("{}: {error}", draft.display())))?;
    Ok(Copied { bytes, position })
}

/// `+FULLRESYNC <replication ID> <offset>`.
fn full_resync(line: &str) -> Option<ReplicationOffset> {
    let mut words = line.strip_prefix("+FULLRESYNC ")?.split(' ');
    let history = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    Some(ReplicationOffset { history, offset })
}

/// The next line that is not empty: newlines alone say that the server is still there.
async fn line(connection: &mut Connection) -> Result<String, String> {
    const LONGEST: u64 = 1024;
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut *connection).take(LONGEST);
        let read = tokio::time::timeout(SILENCE, limited.read_until(b'\n', &mut line)).await;
        let read = read.map_err(|_| format!("it said nothing for {} s", SILENCE.as_secs()))?;
        if read.map_err(|error| error.to_string())? == 0 {
            return Err("the connection ended".to_owned());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() {
            return Ok(text);
        }
    }
}

async fn spool(connection: &mut Connection, bytes: u64, draft: &Path) -> std::io::Result<()> {
    let folder = draft.parent().unwrap_or(Path::new("."));
    tokio::fs::create_dir_all(folder).await?;
    let mut file = File::create(draft).await?;
    let mut left = bytes;
    let mut piece = vec![0; 256 * 1024];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let Some(piece) = piece.get_mut(..most) else { break };
        let read = match tokio::time::timeout(SILENCE, connection.read(piece)).await {
            Ok(read) => read?,
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        };
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all(piece.get(..read).unwrap_or_default()).await?;
        left -= read as u64;
    }
    file.sync_all().await
}
