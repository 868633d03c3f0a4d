//! Scenes: one fault each, on a lab whose sites have networks of their own, judged by writers that
//! know nothing of Mainstay. `mainstay lab scene NAME`; `make soak ARGS="control NAME"` plays each
//! with many seeds.

mod clock;
mod clock_fast;
mod conductor;
mod disk_broken;
mod disk_full;
mod dns_down;
mod drain_killed;
mod etcd;
mod flapping;
mod isolated;
mod judge;
mod killed;
mod lagging;
mod late_return;
mod lossy;
mod old_backup;
mod outcome;
mod patroni;
mod record;
mod refused_row;
mod restarted;
mod sites_cut;
mod stage;
mod stopped;
mod two_people;
mod versions;
mod witness_cut;
pub mod writer;

use crate::cli::{SceneArgs, SceneName, stop_on_signal};
use crate::error::{Doing, LabError};
use crate::network::spaces::{DESK, Spaces};
use crate::processes::Wanted;
use crate::scenario::{Narrator, Running};
use outcome::Outcome;
use rand::Rng;
use stage::Stage;
use std::process::ExitCode;

/// Whoever watches needs a network of their own as well: this process makes the networks, and
/// plays the scene in another one that is in there.
pub async fn run(args: SceneArgs, json: bool) -> Result<ExitCode, LabError> {
    match &args.inside {
        Some(prefix) => inside(&args, prefix, json).await,
        None => outside().await,
    }
}

async fn outside() -> Result<ExitCode, LabError> {
    let stop = stop_on_signal()?;
    let spaces = Spaces::create(&format!("ms{}", std::process::id()))?;
    let binary = std::env::current_exe().doing(|| "find this program's file".to_owned())?;
    // Mounts that a scene makes are nobody else's.
    let mut command = tokio::process::Command::new("unshare");
    command
        .args(["--mount", "nsenter"])
        .arg(format!("--net=/run/netns/{}", spaces.name(DESK)))
        .arg("--")
        .arg(binary);
    command.args(std::env::args_os().skip(1)).arg("--inside").arg(spaces.prefix());
    let mut player = command.spawn().doing(|| "start unshare".to_owned())?;
    let ended = tokio::select! {
        ended = player.wait() => ended,
        () = stop.cancelled() => {
            terminate(&player);
            player.wait().await
        }
    };
    spaces.remove();
    let code = ended.doing(|| "wait for the scene".to_owned())?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn terminate(player: &tokio::process::Child) {
    use nix::sys::signal::{Signal, kill};
    if let Some(pid) = player.id() {
        // It may have ended in between.
        let _ = kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
}

async fn inside(args: &SceneArgs, prefix: &str, json: bool) -> Result<ExitCode, LabError> {
    let stop = stop_on_signal()?;
    let narrator = Narrator::begin();
    let running = Running::prepare_apart(wanted(args), prefix, args.keep)?;
    let folder = running.lab.folder.root().display().to_string();
    narrator.say(&format!("seed {}, folder {folder}", running.seed()));
    let mut stage = Stage::new(running.lab.clone(), narrator, args.long);
    let played = tokio::select! {
        played = play(args.name, &mut stage) => played,
        () = stop.cancelled() => Err(LabError::Interrupted),
    };
    let cleaned = match args.name {
        SceneName::DiskFull => disk_full::clean_up(&stage),
        _ => Ok(()),
    };
    let played = played.and(cleaned);
    let mut outcome = std::mem::take(&mut stage.outcome);
    outcome.scene = args.name.text();
    outcome.took_s = stage.narrator.seconds();
    outcome.load = load();
    match &played {
        Ok(()) => running.end(),
        Err(error) => {
            outcome.missed.push(error.to_string());
            running.end_after(error);
        }
    }
    show(&outcome, json)
}

async fn play(name: SceneName, stage: &mut Stage) -> Result<(), LabError> {
    if name == SceneName::Patroni {
        return patroni::play(stage).await;
    }
    match name {
        SceneName::Clock => clock::prepare(stage)?,
        SceneName::ClockFast => clock_fast::prepare(stage)?,
        SceneName::DnsDown => dns_down::prepare(stage)?,
        SceneName::DiskFull => disk_full::prepare(stage)?,
        SceneName::DiskBroken => disk_broken::prepare(stage)?,
        _ => {}
    }
    stage.up().await?;
    match name {
        SceneName::Isolated => isolated::play(stage).await,
        SceneName::Killed => killed::play(stage).await,
        SceneName::WitnessCut => witness_cut::play(stage).await,
        SceneName::SitesCut => sites_cut::play(stage).await,
        SceneName::Clock => clock::play(stage).await,
        SceneName::ClockFast => clock_fast::play(stage).await,
        SceneName::DnsDown => dns_down::play(stage).await,
        SceneName::Stopped => stopped::play(stage).await,
        SceneName::LateReturn => late_return::play(stage).await,
        SceneName::Lagging => lagging::play(stage).await,
        SceneName::Flapping => flapping::play(stage).await,
        SceneName::RefusedRow => refused_row::play(stage).await,
        SceneName::Restarted => restarted::play(stage).await,
        SceneName::OldBackup => old_backup::play(stage).await,
        SceneName::Versions => versions::play(stage).await,
        SceneName::Conductor => conductor::play(stage).await,
        SceneName::DiskFull => disk_full::play(stage).await,
        SceneName::DiskBroken => disk_broken::play(stage).await,
        SceneName::DrainKilled => drain_killed::play(stage).await,
        SceneName::Lossy => lossy::play(stage).await,
        SceneName::Patroni => Ok(()),
    }
}

/// A small bank: the writers' rows are what counts.
fn wanted(args: &SceneArgs) -> Wanted {
    Wanted {
        seed: args.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000)),
        accounts: 100,
        rate: 1.0,
        workers: 1,
        load_seconds: 2,
        cool_down_seconds: 600,
        added: String::new(),
        fence: None,
    }
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn show(outcome: &Outcome, json: bool) -> Result<ExitCode, LabError> {
    if json {
        let text = serde_json::to_string(outcome).doing(|| "write the outcome".to_owned())?;
        anstream::println!("{text}");
    } else {
        anstream::println!("{}", outcome.terminal());
    }
    Ok(if outcome.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
