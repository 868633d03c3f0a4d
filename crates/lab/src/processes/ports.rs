//! Addresses of this machine that no other lab takes.

use crate::error::{Doing, LabError};
use rand::Rng;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below the range from which Linux takes the ports of outgoing connections (32768 and up,
/// ip(7)): a port stays free for its site also while that site is down.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Hands out ports that nobody listened on when they were chosen. They stay taken until this is
/// dropped, so that no port is handed out twice.
pub struct Ports {
    /// Of this lab alone: all of 127.0.0.0/8 is this machine (RFC 1122, 3.2.1.3), so another lab
    /// does not take the ports of a site that is down.
    address: Ipv4Addr,
    taken: Vec<TcpListener>,
}

impl Ports {
    pub fn new() -> Self {
        let mut random = rand::rng();
        let [a, b, c] = [1..255, 0..255, 1..255].map(|range| random.random_range(range));
        let own = Ipv4Addr::new(127, a, b, c);
        // Some machines have no more than the one address.
        let address = match TcpListener::bind((own, 0)) {
            Ok(_) => own,
            Err(_) => Ipv4Addr::LOCALHOST,
        };
        Self { address, taken: Vec::new() }
    }

    pub fn next(&mut self) -> Result<SocketAddr, LabError> {
        let mut random = rand::rng();
        let mut last = None;
        for _ in 0..200 {
            let address = SocketAddr::from((self.address, random.random_range(RANGE)));
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
