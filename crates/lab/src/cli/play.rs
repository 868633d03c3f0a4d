//! The commands for playing with a lab that stays up.

use super::options::RunOptions;
use super::parts::stop_on_signal;
use crate::current::{self, CurrentLab};
use crate::error::{Doing, LabError};
use crate::network::{self, Answer, Request};
use crate::processes::{PidFile, STANDBY, end_everything, kill_site, start_site};
use crate::scenario::{Narrator, Running, bring_up, start_clients, until_the_link_follows};
use anstream::{eprintln, println};
use serde_json::json;
use std::process::ExitCode;

pub async fn up(options: RunOptions) -> Result<ExitCode, LabError> {
    if let Some(lab) = current::find() {
        return Err(LabError::AlreadyUp(lab.folder.root().to_owned()));
    }
    let stop = stop_on_signal()?;
    let running = Running::prepare(options.wanted()?, options.coordinator, options.keep)?;
    let narrator = Narrator::begin();
    let outcome = tokio::select! {
        outcome = up_with_load(&running.lab, &narrator) => outcome,
        () = stop.cancelled() => Err(LabError::Interrupted),
    };
    if let Err(error) = outcome.and_then(|()| current::remember(&running.lab.folder)) {
        running.end();
        return Err(error);
    }
    eprintln!("{}", what_to_type(&running.lab));
    running.leave();
    Ok(ExitCode::SUCCESS)
}

async fn up_with_load(lab: &CurrentLab, narrator: &Narrator) -> Result<(), LabError> {
    bring_up(lab, narrator).await?;
    start_clients(lab).await?;
    narrator.say("clients transfer money");
    // Before that, a site that is killed is a site without a standby.
    until_the_link_follows(lab, STANDBY).await?;
    narrator.say(&format!("{STANDBY} follows"));
    Ok(())
}

fn what_to_type(lab: &CurrentLab) -> String {
    let gates: Vec<String> = lab
        .plan
        .data_sites()
        .map(|(site, place)| format!("  {site}: http://{}/totals", place.gate_http))
        .collect();
    format!(
        "\nThe lab is up in {}, and clients transfer money. The bank, through the gates:\n{}\n\n\
         Type next:\n  mainstay status\n  mainstay plan failover\n  mainstay switchover\n  \
         mainstay lab kill east\n  mainstay lab start east\n  mainstay lab cut east west\n  \
         mainstay lab heal\n  mainstay lab down",
        lab.folder.root().display(),
        gates.join("\n"),
    )
}

fn the_lab() -> Result<CurrentLab, LabError> {
    current::find().ok_or(LabError::NoLab)
}

pub fn down() -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    end_everything(&lab.plan, &lab.folder, true)?;
    current::forget();
    eprintln!("The lab is down; {} is removed.", lab.folder.root().display());
    Ok(ExitCode::SUCCESS)
}

pub fn kill(site: &str) -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    let killed = kill_site(&lab.plan, &lab.folder, site)?;
    eprintln!("{killed} processes at {site} killed. Type next: mainstay status");
    Ok(ExitCode::SUCCESS)
}

pub async fn start(site: &str) -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    start_site(&lab.plan, &lab.folder, site, &lab.secrets).await?;
    eprintln!("Everything at {site} runs. Type next: mainstay status");
    Ok(ExitCode::SUCCESS)
}

pub async fn cut(a: String, b: String, json: bool) -> Result<ExitCode, LabError> {
    ask_network(Request::Cut { a, b }, json).await
}

pub async fn heal(json: bool) -> Result<ExitCode, LabError> {
    ask_network(Request::Heal, json).await
}

async fn ask_network(request: Request, json: bool) -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    for site in mentioned(&request) {
        lab.plan.site(site)?;
    }
    let answer = network_says(&lab, &request).await?;
    show_network(&answer, json);
    Ok(ExitCode::SUCCESS)
}

fn mentioned(request: &Request) -> Vec<&str> {
    match request {
        Request::Cut { a, b } => vec![a, b],
        Request::Heal | Request::Status => Vec::new(),
    }
}

async fn network_says(lab: &CurrentLab, request: &Request) -> Result<Answer, LabError> {
    let answer = network::ask(&lab.folder.network_socket(), request).await;
    match answer.doing(|| "ask the lab's network".to_owned())? {
        Answer::Refused(why) => {
            Err(std::io::Error::other(why)).doing(|| "change the lab's network".to_owned())
        }
        state => Ok(state),
    }
}

fn show_network(answer: &Answer, json: bool) {
    let Answer::State(state) = answer else { return };
    if json {
        println!("{}", json!({ "network": state }));
        return;
    }
    for pair in state {
        let word = if pair.cut { "cut" } else { "connected" };
        println!("{} - {}: {word}", pair.between.0, pair.between.1);
    }
}

pub async fn status(json: bool) -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    let mut processes = PidFile::all(&lab.folder.pids());
    processes.sort_by_key(PidFile::name);
    let network = network_says(&lab, &Request::Status).await.ok();
    if json {
        let list: Vec<_> = processes.iter().map(describe).collect();
        let folder = lab.folder.root();
        println!("{}", json!({ "folder": folder, "processes": list, "network": network }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}\n{}", lab.folder.root().display(), table(&processes));
    if let Some(answer) = network {
        show_network(&answer, false);
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(process: &PidFile) -> serde_json::Value {
    json!({ "name": process.name(), "pid": process.pid, "running": process.is_alive() })
}

fn table(processes: &[PidFile]) -> String {
    let line = |process: &PidFile| {
        let state = if process.is_alive() { "running" } else { "ended" };
        format!("{:<16} {:>8}  {state}", process.name(), process.pid)
    };
    processes.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub fn state(site: &str) -> Result<ExitCode, LabError> {
    let lab = the_lab()?;
    lab.plan.site(site)?;
    println!("{}", lab.folder.state(site).display());
    Ok(ExitCode::SUCCESS)
}
