//! Starts one process: detached, its output in a log file, its pid in a pid file.

use super::folder::Folder;
use super::listening::listens;
use super::pid::PidFile;
use super::user::ServerUser;
use crate::error::{Doing, LabError};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

pub struct Spec {
    /// `east-agent`
    pub name: String,
    /// The network namespace it runs in; none: this process's own.
    pub space: Option<String>,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(String, OsString)>,
    /// None: the lab's own user.
    pub user: Option<ServerUser>,
    pub current_dir: PathBuf,
}

/// A process group of its own keeps a person's Ctrl-C for the lab alone.
pub fn start(folder: &Folder, spec: Spec) -> Result<PidFile, LabError> {
    let doing = || format!("start {} ({})", spec.name, spec.program.display());
    let log = open_log(&folder.log(&spec.name)).doing(doing)?;
    let mut command = command(&spec);
    command
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.current_dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().doing(doing)?)
        .stderr(log)
        .process_group(0);
    let mut child = command.spawn().doing(doing)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    let pid = PidFile::write(&folder.pid(&spec.name), pid).doing(doing)?;
    tokio::spawn(async move { child.wait().await });
    Ok(pid)
}

/// `nsenter` takes root to enter a namespace, so there it is `nsenter` that becomes the user; it
/// replaces itself by the program, whose pid this stays.
fn command(spec: &Spec) -> tokio::process::Command {
    let Some(space) = &spec.space else {
        let mut command = tokio::process::Command::new(&spec.program);
        command.args(&spec.arguments);
        if let Some(user) = spec.user {
            command.gid(user.gid).uid(user.uid);
        }
        return command;
    };
    let mut command = tokio::process::Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{space}"));
    if let Some(user) = spec.user {
        command.args([format!("--setgid={}", user.gid), format!("--setuid={}", user.uid)]);
    }
    command.arg("--").arg(&spec.program).args(&spec.arguments);
    command
}

fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::options().append(true).create(true).open(path)
}

/// Waits until the process listens at `address`; ends early when it ends.
pub async fn wait_for_port(
    folder: &Folder,
    process: &PidFile,
    address: SocketAddr,
) -> Result<(), LabError> {
    wait_until_up(folder, process, async || listens(process.pid, address)).await
}

/// Longest time that a process may take until it works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `is_up` says so; ends early when the process ends.
pub async fn wait_until_up(
    folder: &Folder,
    process: &PidFile,
    is_up: impl AsyncFn() -> bool,
) -> Result<(), LabError> {
    let began = Instant::now();
    loop {
        if is_up().await {
            return Ok(());
        }
        let why = if !process.is_alive() {
            "it has ended"
        } else if began.elapsed() > PATIENCE {
            "it runs, but does not answer"
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        return Err(not_up(folder, process, began, why));
    }
}

fn not_up(folder: &Folder, process: &PidFile, began: Instant, why: &str) -> LabError {
    let log = folder.log(&process.name());
    let why = match last_lines(&log) {
        lines if lines.is_empty() => why.to_owned(),
        lines => format!("{why}. It said last:\n{lines}"),
    };
    LabError::NotUp { what: process.name(), seconds: began.elapsed().as_secs(), why, log }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(8)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
