//! Processes that end with the benchmark, and what they used, as `/proc` shows it (proc(5)).

use super::Outcome;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;
use tokio::net::TcpStream;

/// Linux shows times in hundredths of a second, whatever its own tick is.
const TICKS_A_SECOND: f64 = 100.0;

/// Stopped when dropped, with the children that it has.
pub struct Process(Child);

impl Process {
    pub fn start(mut command: Command) -> Outcome<Self> {
        Ok(Self(command.spawn().map_err(|error| format!("{command:?}: {error}"))?))
    }

    /// Its own id and those of its children: nginx works in them.
    fn family(&self) -> Outcome<Vec<u32>> {
        let own = self.0.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let children = children.split_whitespace().map(str::parse);
        Ok(std::iter::once(Ok(own)).chain(children).collect::<Result<_, _>>()?)
    }

    /// Seconds of processor time since it began, its own and the kernel's for it.
    pub fn cpu_seconds(&self) -> Outcome<f64> {
        let mut ticks = 0.0;
        for pid in self.family()? {
            let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (_, fields) = text.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?;
            // The fields after the name begin with the third of the manual.
            for field in fields.split(' ').skip(11).take(2) {
                ticks += field.parse::<f64>()?;
            }
        }
        Ok(ticks / TICKS_A_SECOND)
    }

    /// Memory of its own that is not swapped out, now, in MB.
    pub fn memory(&self) -> Outcome<f64> {
        let mut kilobytes = 0.0;
        for pid in self.family()? {
            let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let figure = line.and_then(|line| line.split_whitespace().next());
            kilobytes += figure.ok_or("no VmRSS")?.parse::<f64>()?;
        }
        Ok(kilobytes * 1024.0 / 1e6)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's master ends its workers only when it is asked to end.
        let pid = self.0.id();
        let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
        let _ = self.0.wait();
    }
}

/// Waits until somebody listens there.
pub async fn listens(address: SocketAddr) -> Outcome<()> {
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("nobody listens on {address}").into())
}
