//! Every write and every sync of ledger and journal fails with an input/output error, at both
//! sites.

use super::disk_full;
use super::stage::Stage;
use crate::error::{Doing, LabError};
use std::path::PathBuf;
use std::process::Command;

/// A device that fails takes a device mapper. This stands between the agents and the C library.
const LIBRARY: &str = include_str!("disk_broken.c");

/// Before anything is started.
pub fn prepare(stage: &mut Stage) -> Result<(), LabError> {
    let root = stage.lab.folder.root();
    let (source, library) = (root.join("disk_broken.c"), root.join("disk_broken.so"));
    std::fs::write(&source, LIBRARY).doing(|| format!("write {}", source.display()))?;
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    disk_full::succeed(&mut compile, "compile a library that breaks a disk")?;
    let switch = switch(stage).display().to_string();
    for site in disk_full::SITES {
        let variables = [
            ("LD_PRELOAD", library.display().to_string()),
            ("BROKEN_FOLDER", stage.lab.folder.state(site).display().to_string()),
            ("BROKEN_WHILE", switch.clone()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        stage.lab.plan.environment.insert(site.to_owned(), variables.into());
    }
    Ok(())
}

fn switch(stage: &Stage) -> PathBuf {
    stage.lab.folder.root().join("disks-are-broken")
}

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let begins = |stage: &Stage| {
        let file = switch(stage);
        std::fs::write(&file, "").doing(|| format!("write {}", file.display()))
    };
    let ends = |stage: &Stage| {
        let file = switch(stage);
        std::fs::remove_file(&file).doing(|| format!("remove {}", file.display()))
    };
    disk_full::without_disks(stage, "the disks of both agents are broken", begins, ends).await
}
