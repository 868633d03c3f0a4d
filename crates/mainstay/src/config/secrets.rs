//! Where secrets are kept, and reading them: only at a site that may hold them.

use super::load::Look;
use super::problem::{Problem, code};
use super::reader::At;
use super::values::SecretReference;
use mainstay_core::Secret;
use std::path::{Path, PathBuf};

/// What surrounds the file: the folder that its paths are relative to, and the environment.
pub struct Vault<'a> {
    pub base: &'a Path,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub look: Look,
}

impl Vault<'_> {
    /// A path that the file names, relative to the file.
    pub fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// The secret itself, or the problem that it cannot be had.
    pub fn read(&self, reference: &At<SecretReference>) -> Result<Secret, Box<Problem>> {
        let found = match &reference.value {
            SecretReference::Variable(name) => self.variable(name),
            SecretReference::File(written) => self.file(written),
        };
        found.map_err(|problem| Box::new(reference.blame(*problem)))
    }

    fn variable(&self, name: &str) -> Result<Secret, Box<Problem>> {
        let value = (self.env)(name).filter(|value| !value.is_empty());
        value.map(Secret::new).ok_or_else(|| {
            let what = format!("the environment variable {name} is not set or empty");
            let advice = format!(
                "set {name} for the mainstay process; to check the file where its secrets are not \
                 at hand: mainstay check --file-only"
            );
            Box::new(Problem::error(code::SECRET_MISSING, what, advice).label("not set"))
        })
    }

    fn file(&self, written: &str) -> Result<Secret, Box<Problem>> {
        let path = self.path(written);
        let problem = |why: String| {
            let what = format!("the secret's file {} {why}", path.display());
            let advice = "write the secret into that file, readable for the user of mainstay; to \
                          check the file where its secrets are not at hand: mainstay check \
                          --file-only";
            Box::new(Problem::error(code::SECRET_MISSING, what, advice).label("cannot be had"))
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| problem(format!("cannot be read: {}", reason(&error))))?;
        let value = text.trim_end_matches(['\r', '\n']);
        if value.is_empty() { Err(problem("is empty".to_owned())) } else { Ok(Secret::new(value)) }
    }

    /// A certificate or key that must be there.
    pub fn file_exists(&self, path: &Path) -> Result<(), String> {
        if self.look == Look::Nowhere {
            return Ok(());
        }
        std::fs::File::open(path).map(drop).map_err(|error| reason(&error))
    }
}

/// The operating system's words without its number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
