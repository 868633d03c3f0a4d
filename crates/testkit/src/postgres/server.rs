use super::folder::Folder;
use crate::process::{kill_tree, send};
use crate::wait::wait_blocking;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Long enough for a recovery on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running server process.
pub(super) struct Server(Child);

impl Server {
    pub(super) fn start(mut command: Command, folder: &Folder) -> Self {
        // In a group of its own, so that an interrupt from the keyboard leaves it to us.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(folder.log_file());
        let mut server = Self(command.spawn().expect("PostgreSQL can be started"));
        let ready = wait_blocking(PATIENCE, || server.has_ended() || server.is_ready(folder));
        let log = || folder.read_log();
        assert!(!server.has_ended(), "PostgreSQL ended at once:\n{}", log());
        assert!(ready, "PostgreSQL is not ready after {PATIENCE:?}:\n{}", log());
        server
    }

    pub(super) fn stop_immediate(mut self) {
        self.signal_and_wait(Signal::SIGQUIT);
    }

    pub(super) fn stop_fast(mut self) {
        self.signal_and_wait(Signal::SIGINT);
    }

    pub(super) fn kill9(mut self) {
        kill_tree(self.pid());
        self.0.wait().expect("the server is our child");
    }

    fn signal_and_wait(&mut self, signal: Signal) {
        send(self.pid(), signal);
        if !wait_blocking(PATIENCE, || self.has_ended()) {
            kill_tree(self.pid());
            self.0.wait().expect("the server is our child");
        }
    }

    /// Line 1 of the file is the server's process id, line 8 its state (PostgreSQL source,
    /// `miscadmin.h`, "postmaster.pid").
    fn is_ready(&self, folder: &Folder) -> bool {
        let file = fs::read_to_string(folder.data().join("postmaster.pid")).unwrap_or_default();
        let line = |number: usize| file.lines().nth(number - 1).map(str::trim);
        line(1) == Some(&self.0.id().to_string()) && line(8) == Some("ready")
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("the server is our child").is_some()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }
}
