//! What processes used, as `/proc` shows it (proc(5)).

use super::Outcome;
use std::fs;

/// Linux shows times in hundredths of a second, whatever its own tick is.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of processor time since the process began, its own and the kernel's for it.
pub fn cpu_seconds(pid: u32) -> Outcome<f64> {
    cpu(pid, 11)
}

/// The same of its children that have ended.
pub fn ended_children_seconds(pid: u32) -> Outcome<f64> {
    cpu(pid, 13)
}

/// The fields after the name begin with the third of the manual; two are added up.
fn cpu(pid: u32, first: usize) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?;
    let ticks: Vec<f64> =
        fields.split(' ').skip(first).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_A_SECOND)
}

/// The most memory that the process had at any time, in MB.
pub fn peak_memory(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
