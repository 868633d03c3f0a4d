//! Free ports on this machine.

use crate::error::{Doing, LabError};
use rand::Rng;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below the range from which Linux takes the ports of outgoing connections (32768 and up,
/// ip(7)): a port stays free for its site also while that site is down.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Hands out ports that nobody listened on when they were chosen. They stay taken until this is
/// dropped, so that no port is handed out twice.
#[derive(Default)]
pub struct Ports {
    taken: Vec<TcpListener>,
}

impl Ports {
    pub fn next(&mut self) -> Result<SocketAddr, LabError> {
        let mut random = rand::rng();
        let mut last = None;
        for _ in 0..200 {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, random.random_range(RANGE)));
            match TcpListener::bind(address) {
                Ok(listener) => {
                    self.taken.push(listener);
                    return Ok(address);
                }
                Err(error) => last = Some(error),
            }
        }
        let error = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
        Err(error).doing(|| format!("find a free port in {RANGE:?}"))
    }
}
