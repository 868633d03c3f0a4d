//! Writing the new address where the application's processes read it: an environment file, as
//! systemd and `docker --env-file` read one, without quotes.
//!
//! Invariant: the file says of which epoch it is, and whoever holds an older one leaves it alone.

use super::Around;
use crate::runbook::StepError;
use mainstay_core::Epoch;
use mainstay_core::runbook::Repoint;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The variable of the epoch under which the file was written.
const EPOCH: &str = "MAINSTAY_EPOCH";

/// The values of variables; none for one that the file does not have.
pub type Values = BTreeMap<String, Option<String>>;

/// What stands there of the variables that will be written.
pub async fn before(around: &Around<'_>, repoint: &Repoint) -> Result<Values, StepError> {
    let text = read(&path(around, repoint))?;
    let names = repoint.variables.keys().map(String::as_str).chain([EPOCH]);
    Ok(names.map(|name| (name.to_owned(), value_of(&text, name).map(str::to_owned))).collect())
}

pub async fn make(around: &Around<'_>, repoint: &Repoint) -> Result<String, StepError> {
    let filled = repoint.variables.iter();
    let mut values: Values =
        filled.map(|(name, value)| (name.clone(), Some(around.fill(value)))).collect();
    values.insert(EPOCH.to_owned(), Some(around.epoch.to_string()));
    let file = path(around, repoint);
    let written = put(&file, &values, around.epoch)?;
    let told = reload(around, repoint).await?;
    let done = if written { "is written" } else { "has these values already" };
    Ok(format!("{} {done}{told}", file.display()))
}

pub async fn undo(
    around: &Around<'_>,
    repoint: &Repoint,
    before: Values,
) -> Result<String, StepError> {
    let file = path(around, repoint);
    put(&file, &before, around.epoch)?;
    let told = reload(around, repoint).await?;
    Ok(format!("{} is as it was{told}", file.display()))
}

/// Safe to run twice, so it is run whenever the step is made.
async fn reload(around: &Around<'_>, repoint: &Repoint) -> Result<String, StepError> {
    if repoint.reload.is_empty() {
        return Ok(String::new());
    }
    let ran = around.program(&repoint.reload).run(around.timeout()).await;
    match ran.succeeded() {
        true => Ok("; the application was told".to_owned()),
        false => Err(StepError::new(ran.said("the reload"))),
    }
}

pub fn missing(around: &Around<'_>, repoint: &Repoint) -> Vec<String> {
    let file = path(around, repoint);
    let folder = file.parent().unwrap_or(Path::new("/"));
    let writable = nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK);
    let refused = writable.err().map(|why| format!("{}: {}", folder.display(), why.desc()));
    refused.into_iter().chain(super::programs(&[&repoint.reload])).collect()
}

fn path(around: &Around<'_>, repoint: &Repoint) -> PathBuf {
    PathBuf::from(around.fill(&repoint.file))
}

fn read(file: &Path) -> Result<String, StepError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(why) => Err(StepError::new(format!("{}: {why}", file.display()))),
    }
}

/// Replaces the file as a whole, durably, if anything changes. Lines of other variables stay.
fn put(file: &Path, values: &Values, epoch: Epoch) -> Result<bool, StepError> {
    let text = read(file)?;
    let newer = value_of(&text, EPOCH).and_then(|it| it.parse().ok()).map(Epoch::new);
    if let Some(newer) = newer.filter(|newer| *newer > epoch) {
        let what = format!("{} was written in epoch {newer}, after {epoch}", file.display());
        return Err(StepError::new(what));
    }
    let changed = changed(&text, values);
    if changed == text {
        return Ok(false);
    }
    replace(file, &changed).map_err(|why| StepError::new(format!("{}: {why}", file.display())))?;
    Ok(true)
}

fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.mainstay"));
    let mut written = File::create(&aside)?;
    written.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(file) {
        written.set_permissions(metadata.permissions())?;
    }
    written.sync_all()?;
    fs::rename(&aside, file)?;
    File::open(folder)?.sync_all()
}

fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// The text with these values: each variable in its line, and new ones at the end.
fn changed(text: &str, values: &Values) -> String {
    let name_of = |line: &str| line.split_once('=').map(|(name, _)| name.to_owned());
    let mut lines: Vec<String> = Vec::new();
    let mut missing = values.clone();
    for line in text.lines() {
        match name_of(line).filter(|name| values.contains_key(name)) {
            None => lines.push(line.to_owned()),
            Some(name) => {
                if let Some(Some(value)) = missing.remove(&name) {
                    lines.push(format!("{name}={value}"));
                }
            }
        }
    }
    let added = missing.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    lines.extend(added);
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_stay_a_variable_is_written_once_and_an_older_epoch_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.env");
        let was = "# ours\nPORT=8080\nDB=east:5432\nDB=stale\n";
        fs::write(&file, was).unwrap();
        let values = |db: &str, epoch: &str| {
            let of = |it: &str| Some(it.to_owned());
            Values::from([("DB".to_owned(), of(db)), (EPOCH.to_owned(), of(epoch))])
        };
        assert!(put(&file, &values("west:5432", "3"), Epoch::new(3)).unwrap());
        let now = "# ours\nPORT=8080\nDB=west:5432\nMAINSTAY_EPOCH=3\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), now);
        assert!(!put(&file, &values("west:5432", "3"), Epoch::new(3)).unwrap());
        let stale = put(&file, &values("east:5432", "2"), Epoch::new(2)).unwrap_err();
        assert!(stale.0.contains("epoch 3, after 2"), "{stale}");
        assert_eq!(fs::read_to_string(&file).unwrap(), now);
        let gone = Values::from([("DB".to_owned(), None), (EPOCH.to_owned(), None)]);
        assert!(put(&file, &gone, Epoch::new(3)).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "# ours\nPORT=8080\n");
    }
}
