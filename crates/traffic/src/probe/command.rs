//! A program that ends with status 0: started without a shell, in an environment of its own.

use super::{Asked, FailureKind};
use mainstay_core::watch::CommandProbe;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// What of its output is kept; the rest is read and thrown away.
const LONGEST_OUTPUT: usize = 4096;

/// Kills the program with all that it started, unless it has ended with all its output read:
/// also when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // It fails only when nothing of the group is left.
            let _gone = killpg(group, Signal::SIGKILL);
        }
    }
}

pub async fn run(probe: &CommandProbe, asked: &Asked<'_>) -> Result<(), FailureKind> {
    let not_made = |error: std::io::Error| FailureKind::NotMade(error.to_string());
    let mut child = start(probe, asked).map_err(not_made)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut group = Group(pid);
    let (status, output) = outcome(&mut child).await.map_err(not_made)?;
    // Nobody holds its output any more: nothing of the group is left that it could wait for.
    group.0 = None;
    match status.success() {
        true => Ok(()),
        false => {
            let first = output.lines().next().unwrap_or_default();
            Err(FailureKind::says(&format!("{status}: {first}")))
        }
    }
}

fn start(probe: &CommandProbe, asked: &Asked<'_>) -> std::io::Result<Child> {
    Command::new(&probe.program)
        .args(&probe.arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("MAINSTAY_APPLICATION", asked.application.as_str())
        .env("MAINSTAY_PROBE", asked.probe.as_str())
        .env("MAINSTAY_SITE", asked.site.as_str())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// The program has ended when nobody can write to its output any more.
async fn outcome(child: &mut Child) -> std::io::Result<(ExitStatus, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complained, status) =
        tokio::try_join!(beginning(stdout), beginning(stderr), child.wait())?;
    let said = if complained.is_empty() { said } else { complained };
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

async fn beginning(output: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut output) = output else { return Ok(kept) };
    let mut buffer = [0; 1024];
    loop {
        match output.read(&mut buffer).await? {
            0 => return Ok(kept),
            read => {
                let room = LONGEST_OUTPUT - kept.len();
                kept.extend_from_slice(&buffer[..read.min(room)]);
            }
        }
    }
}
