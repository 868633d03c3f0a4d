//! `kind = "command"`: a program of this machine. It reads the message as JSON from its standard
//! input; nothing of a message is an argument, and no shell reads anything.

use super::SendError;
use crate::alert::Message;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin};

/// How much of what it complains about is told.
const MOST_COMPLAINT: u64 = 400;
const LAST_WORDS: Duration = Duration::from_millis(200);

pub struct Command {
    run: Vec<String>,
}

/// Ends the program and all that it started, unless it ended by itself. Its number cannot belong to
/// another group: it is not waited for before.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may just have ended; then there is nothing to kill.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Command {
    pub fn new(run: Vec<String>) -> Self {
        Self { run }
    }

    /// Dropping this future, at the end of the patience, kills the program's process group.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mut child = self.start()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let mut group = Group(pid);
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let body = message.json().to_string() + "\n";
        let mut talk = pin!(async { tokio::join!(hand_over(stdin, &body), listen(stderr)).1 });
        let mut complaint = None;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                heard = &mut talk, if complaint.is_none() => complaint = Some(heard),
            }
        };
        // Whoever leaves a process behind that keeps standard error open is not waited for.
        if complaint.is_none() {
            complaint = tokio::time::timeout(LAST_WORDS, talk).await.ok();
        }
        let status = status.map_err(SendError::new)?;
        group.0 = None;
        told(status, &complaint.unwrap_or_default())
    }

    /// Nothing of the agent's environment, which may hold its secrets.
    fn start(&self) -> Result<Child, SendError> {
        let (program, arguments) =
            self.run.split_first().ok_or_else(|| SendError::new("there is no program to run"))?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("LANG", "C.UTF-8").current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|why| SendError::new(format!("cannot run {program}: {why}")))
    }
}

/// A program that does not read is no error: its exit status is its answer.
async fn hand_over(stdin: Option<ChildStdin>, body: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(body.as_bytes()).await;
    }
}

async fn listen(stderr: Option<ChildStderr>) -> Vec<u8> {
    let mut complaint = Vec::new();
    let Some(mut stderr) = stderr else { return complaint };
    let _ = (&mut stderr).take(MOST_COMPLAINT).read_to_end(&mut complaint).await;
    // Read on, so that a program that says much is not ended by a closed pipe.
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    complaint
}

fn told(status: ExitStatus, complaint: &[u8]) -> Result<(), SendError> {
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(complaint);
    let complaint = complaint.trim();
    let colon = if complaint.is_empty() { "" } else { ": " };
    Err(SendError::new(format!("ended with {status}{colon}{complaint}")))
}
