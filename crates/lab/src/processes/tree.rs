//! Finds processes by where they work instead of by pid files: children that outlived their parent
//! too, and all of them also when someone has removed the folder.

use super::pid;
use super::plan::LabPlan;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Processes that work in `folder` and run one of the lab's own programs; a person's shell that
/// happens to be there is none.
pub fn processes_in(plan: &LabPlan, folder: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_ours = |pid: &i32| {
        let runs = link(*pid, "exe");
        link(*pid, "cwd").starts_with(folder)
            && (runs == plan.binary
                || runs.starts_with(&plan.postgres)
                || plan.etcd.as_ref().is_some_and(|etcd| runs.starts_with(etcd)))
    };
    pids.filter(is_ours).filter(|pid| pid::stat(*pid).is_some_and(|it| it.state != 'Z')).collect()
}

/// Where a link of `/proc/PID` leads; the kernel marks what was removed (proc_pid_exe(5)).
fn link(pid: i32, name: &str) -> PathBuf {
    let target = std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
    match target.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(removed) => PathBuf::from(removed),
        None => target,
    }
}

/// Kills them at once, as when a machine dies: a child of PostgreSQL that lived on for a moment
/// could still acknowledge a commit. Returns how many there were at first.
pub fn kill_in(plan: &LabPlan, folder: &Path) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    let first = processes_in(plan, folder);
    let count = first.len();
    let mut left = first;
    while !left.is_empty() && Instant::now() < deadline {
        for pid in left {
            // It may have ended in between.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
        left = processes_in(plan, folder);
    }
    count
}
