//! What every connection of the gate asks of the kernel.

use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

/// A peer that has gone without a word (a cable, a machine that lost its power) is noticed after
/// about a minute, whether or not there was something for it.
const SILENT: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// Small messages leave at once, and half-open connections end.
pub fn prepare(stream: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(SILENT).with_interval(BETWEEN).with_retries(TRIES);
    let socket = SockRef::from(stream);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(SILENT + BETWEEN * TRIES)));
    // Where it fails the connection has gone already, and shows it when it is used.
    if let Err(error) = set {
        tracing::debug!(%error, "a connection's options cannot be set");
    }
}
