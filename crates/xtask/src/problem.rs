use std::fmt;

/// One thing that does not hold: where, what, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    /// From 1; 0 when the whole file is meant.
    pub line: usize,
    pub what: String,
}

impl Problem {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}
