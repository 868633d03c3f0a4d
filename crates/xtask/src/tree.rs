//! The repository's text files, in memory, so that checks are pure and their tests need no disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Folders that are made, not written.
const SKIPPED: [&str; 2] = ["target", ".git"];

#[derive(Default)]
pub struct Tree {
    /// By path from the root, with `/`.
    files: BTreeMap<String, String>,
}

impl Tree {
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else {
                // Bytes that are no text stay in the tree by name.
                let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
                self.files.insert(path, text);
            }
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is such a file or folder.
    pub fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.keys().any(|file| file.starts_with(&inside))
    }

    /// Files whose path begins and ends so.
    pub fn files<'a>(
        &'a self,
        begin: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fits = move |path: &str| path.starts_with(begin) && path.ends_with(end);
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| fits(path))
    }

    /// The pages for people: the README and everything in `docs`.
    pub fn pages(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_page = |path: &str| path == "README.md" || path.starts_with("docs/");
        self.files("", ".md").filter(move |(path, _)| is_page(path))
    }
}

/// Lines of a text, counted from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        Self { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into() }
    }
}
