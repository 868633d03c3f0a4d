//! What is known, kept over restarts: `dns-answers.json` in the site's state folder.

use super::known::Known;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct AnswersFile {
    folder: PathBuf,
}

impl AnswersFile {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("dns-answers.json")
    }

    /// Nothing is known when there is no file.
    pub fn read(&self) -> io::Result<Known> {
        match fs::read(self.path()) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(error),
        }
    }

    /// Durable when it returns. A crash leaves the old file or the new one: rename(2) is atomic.
    pub fn replace(&self, known: &Known) -> io::Result<()> {
        let draft = self.folder.join("dns-answers.new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(known).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&draft, self.path())?;
        File::open(&self.folder)?.sync_all()
    }
}
