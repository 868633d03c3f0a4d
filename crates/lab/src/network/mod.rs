//! The network between the sites: every connection from one site to another passes a relay here,
//! so that a cut can be made between any two sites.

mod control;
mod door;
pub mod lateness;
mod relay;
pub mod spaces;
mod switch;

pub use control::{Answer, Request, ask};
pub use door::{Door, Way};
pub use switch::Pair;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use switch::Switchboard;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// One listener: what `from` reaches at `listen` is `to`'s service at `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub from: String,
    pub to: String,
    pub service: String,
    pub listen: SocketAddr,
    pub target: SocketAddr,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkConfig {
    pub control: PathBuf,
    pub routes: Vec<Route>,
    #[serde(default)]
    pub doors: Vec<Door>,
}

/// Serves every route, every door and the control socket until `stop`.
pub async fn run(config: NetworkConfig, stop: CancellationToken) -> std::io::Result<()> {
    let board = Switchboard::new(&config.routes);
    for door in config.doors {
        let listener = listen(door.listen).await?;
        tokio::spawn(door::serve(listener, door, board.clone(), stop.clone()));
    }
    for route in &config.routes {
        let listener = listen(route.listen).await?;
        tokio::spawn(relay::serve(
            listener,
            route.target,
            board.watch(&Pair::of(route)),
            stop.clone(),
        ));
    }
    let control = listen_afresh(&config.control)?;
    control::serve(control, board, stop).await;
    let _ = std::fs::remove_file(&config.control);
    Ok(())
}

async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// A socket file that a killed process left behind is in the way of the next one.
fn listen_afresh(path: &Path) -> std::io::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path)
}
