//! Whether a process itself listens at an address: that something accepts connections there does
//! not say who.

use std::net::{Ipv4Addr, SocketAddr};

/// State "listen" in `/proc/PID/net/tcp` (proc_pid_net(5)).
const LISTEN: &str = "0A";

pub fn listens(pid: i32, address: SocketAddr) -> bool {
    let Ok(sockets) = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")) else { return false };
    sockets.lines().filter_map(listener).any(|(at, inode)| {
        let is_it =
            at.port() == address.port() && (at.ip() == address.ip() || at.ip().is_unspecified());
        is_it && holds(pid, inode)
    })
}

/// Local address and inode of a listening socket's line.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (ip, port) = local.split_once(':')?;
    // The four bytes of the address as this machine's own integer.
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    let port = u16::from_str_radix(port, 16).ok()?;
    (*state == LISTEN).then_some((SocketAddr::from((ip, port)), inode.parse().ok()?))
}

fn holds(pid: i32, inode: u64) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let wanted = format!("socket:[{inode}]");
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|to| to.as_os_str() == wanted.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_the_process_that_listens_is_said_to_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(listens(own, address));
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert!(!listens(parent, address));
        drop(listener);
        assert!(!listens(own, address));
    }
}
