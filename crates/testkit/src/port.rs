//! Ports that no other test takes.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// Below the range from which Linux gives ports to outgoing connections (from 32768 by default),
/// so that no client takes the port of a server that is just being restarted.
const RANGE: std::ops::Range<u64> = 12_000..32_000;

/// The claims of this process, kept until it ends.
static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 on which nothing listens, and which no other process that uses this
/// function is given as long as this one lives.
pub fn free_port() -> u16 {
    (0..1000).find_map(|_| claim(candidate())).expect("1000 ports tried, none of them free")
}

fn candidate() -> u16 {
    let random = RandomState::new().build_hasher().finish();
    (RANGE.start + random % (RANGE.end - RANGE.start)) as u16
}

/// The claim is a name in Linux's abstract socket namespace (unix(7)): the kernel frees it with
/// the process, however that ends.
fn claim(port: u16) -> Option<u16> {
    let name = SocketAddr::from_abstract_name(format!("mainstay-test-port-{port}")).ok()?;
    let claim = UnixListener::bind_addr(&name).ok()?;
    TcpListener::bind(("127.0.0.1", port)).ok()?;
    CLAIMS.lock().expect("no claim panics").push(claim);
    Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        let busy = TcpListener::bind(("127.0.0.1", free_port())).expect("the port is free");
        assert_eq!(claim(busy.local_addr().expect("it is bound").port()), None);
    }
}
