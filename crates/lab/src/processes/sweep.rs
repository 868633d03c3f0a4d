//! Ends everything that a lab started, and removes its folder.

use super::folder::Folder;
use super::pid::PidFile;
use super::plan::LabPlan;
use super::tree;
use crate::error::{Doing, LabError};
use crate::network::spaces::Spaces;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long processes have to end by themselves before they are killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends every process that a pid file names: first politely, then not. PostgreSQL is asked for a
/// fast shutdown, which also gives back its shared memory.
pub fn end_everything(plan: &LabPlan, folder: &Folder, remove: bool) -> Result<(), LabError> {
    // Of a lab that is taken down whole nothing is asked to end by itself.
    if let Some(prefix) = &plan.spaces {
        Spaces::named(prefix).remove();
    }
    let (databases, others): (Vec<_>, Vec<_>) =
        PidFile::all(&folder.pids()).into_iter().partition(|pid| pid.name().ends_with("-postgres"));
    // Clients told politely would insist on their last transfers.
    for clients in others.iter().filter(|pid| pid.name() == "clients") {
        clients.signal(Signal::SIGKILL);
    }
    end(&others, Signal::SIGTERM);
    end(&databases, Signal::SIGINT);
    tree::kill_in(plan, folder.root());
    for site in plan.sites.keys() {
        forget_shared_memory(&folder.data(site));
    }
    if remove && folder.root().exists() {
        std::fs::remove_dir_all(folder.root())
            .doing(|| format!("remove {}", folder.root().display()))?;
    }
    Ok(())
}

fn end(processes: &[PidFile], politely: Signal) {
    for process in processes {
        process.signal(politely);
    }
    let deadline = Instant::now() + PATIENCE;
    while processes.iter().any(PidFile::is_alive) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    for process in processes {
        process.signal(Signal::SIGKILL);
        let _ = std::fs::remove_file(&process.path);
    }
}

/// A killed server leaves a small System V segment; its number is in line 7 of `postmaster.pid`
/// (src/include/utils/pidfile.h), which an orderly end removes.
fn forget_shared_memory(data: &Path) {
    let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else { return };
    let segment = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
    if let Some(segment) = segment {
        // Without ipcrm, or when the segment is gone already, there is nothing more to do.
        let _ = Command::new("ipcrm").args(["-m", segment]).stderr(Stdio::null()).status();
    }
}

/// Another process that ends everything when this one dies, by whatever cause: it notices that the
/// pipe between them is closed.
pub struct Sweeper {
    process: Child,
    pipe: Option<ChildStdin>,
}

const LEAVE_ALONE: &[u8] = b"leave\n";

impl Sweeper {
    pub fn start(binary: &Path, folder: &Folder, keep: bool) -> Result<Self, LabError> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(binary);
        command.args(["lab", "sweep", "--folder"]).arg(folder.root());
        if keep {
            command.arg("--keep");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut process = command.spawn().doing(|| "start the sweeper".to_owned())?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }

    /// Nothing is left to sweep, or the lab shall stay.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(LEAVE_ALONE);
        }
        let _ = self.process.wait();
    }
}

/// The sweeper's own work: waits for its parent's word or death.
pub fn wait_for_parent(folder: &Folder, keep: bool) -> Result<(), LabError> {
    // Now, because later the folder may be gone.
    let plan = LabPlan::load(folder)?;
    let mut said = Vec::new();
    // An unreadable pipe is as good as a closed one.
    let _ = std::io::stdin().lock().take(64).read_to_end(&mut said);
    if said == LEAVE_ALONE { Ok(()) } else { end_everything(&plan, folder, !keep) }
}
