//! Pid files that cannot name someone else's process: a pid goes with its start time.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    pub path: PathBuf,
    pub pid: i32,
    started: u64,
}

impl PidFile {
    pub fn write(path: &Path, pid: i32) -> std::io::Result<Self> {
        let started = stat(pid).map(|stat| stat.started).unwrap_or_default();
        std::fs::write(path, format!("{pid} {started}\n"))?;
        Ok(Self { path: path.to_owned(), pid, started })
    }

    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self { path: path.to_owned(), pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    /// Every pid file of a folder.
    pub fn all(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::read(&entry.path())).collect()
    }

    /// The process's name in the lab: `east-agent`.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A dead process that nobody has waited for yet does not count; one whose first thread is dead
    /// before the others does, because it still holds its files and ports.
    pub fn is_alive(&self) -> bool {
        let lives = |stat: Stat| stat.state != 'Z' || stat.threads > 1;
        stat(self.pid).is_some_and(|stat| stat.started == self.started && lives(stat))
    }

    /// Does nothing when the process is gone.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end in between: then there is nothing left to do.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

pub struct Stat {
    pub state: char,
    pub threads: u64,
    pub started: u64,
}

/// Fields 3, 20 and 22 of `/proc/PID/stat` (proc_pid_stat(5)); the name in field 2 may hold blanks
/// and parentheses.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        threads: fields.get(17)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_names_only_the_process_it_was_written_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("self.pid");
        let own = PidFile::write(&path, std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        assert_eq!(PidFile::read(&path), Some(own.clone()));
        assert!(!PidFile { started: own.started + 1, ..own }.is_alive());
    }

    /// SIGKILL ends threads in any order.
    #[test]
    fn a_process_lives_until_its_last_thread_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let script = "import ctypes, threading\n\
                      threading.Thread(target=threading.Event().wait).start()\n\
                      ctypes.CDLL(None).pthread_exit(None)";
        let mut child = std::process::Command::new("python3").args(["-c", script]).spawn().unwrap();
        let pid = child.id().cast_signed();
        let file = PidFile::write(&folder.path().join("python.pid"), pid).unwrap();
        while stat(pid).unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        assert!(file.is_alive());
        child.kill().unwrap();
        while file.is_alive() {
            std::thread::yield_now();
        }
        assert_eq!(stat(pid).unwrap().threads, 1);
        child.wait().unwrap();
    }
}
