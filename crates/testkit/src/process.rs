//! Processes of a server, as `/proc` shows them (proc(5)).

use crate::wait::wait_blocking;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// Kills a process and all its children in one go, as a power cut would. Each PostgreSQL backend
/// leads a process group of its own, so they are found by their parent. The parent is stopped
/// first: then it cannot start another child meanwhile.
pub(crate) fn kill_tree(parent: Pid) {
    send(parent, Signal::SIGSTOP);
    let children = children(parent);
    children.iter().for_each(|child| send(*child, Signal::SIGKILL));
    send(parent, Signal::SIGKILL);
    let gone = wait_blocking(Duration::from_secs(20), || children.iter().all(|c| has_ended(*c)));
    assert!(gone, "children of {parent} are still there after SIGKILL");
}

/// Sends a signal to a process that a test started, or to one of its server's.
///
/// # Panics
/// When there is no such process.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal)
        .unwrap_or_else(|why| panic!("cannot send {signal} to {pid}: {why}"));
}

/// A process that ended between being seen and being signalled is what we want.
pub(crate) fn send(pid: Pid, signal: Signal) {
    if let Err(error) = kill(pid, signal) {
        assert_eq!(error, nix::errno::Errno::ESRCH, "cannot send {signal} to {pid}");
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// Gone, or a zombie that its new parent has not yet read.
fn has_ended(pid: Pid) -> bool {
    stat(pid).is_none_or(|stat| stat.state == 'Z')
}

struct Stat {
    state: char,
    parent: Pid,
}

/// The fields after the command's name, which stands in brackets and may itself hold brackets.
fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    Some(Stat { state, parent })
}
