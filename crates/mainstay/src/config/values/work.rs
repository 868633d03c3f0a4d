//! What a person's step of a runbook does.

use super::{Read, Reader, Shape, Text, read_text};
use toml::Spanned;
use toml::de::DeValue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    Run,
    Scale,
    Http,
    Repoint,
    Warm,
    Verify,
    Deploy,
    Wait,
    Approve,
    Notify,
}

impl WorkKind {
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Run, "run"),
        (Self::Scale, "scale"),
        (Self::Http, "http"),
        (Self::Repoint, "repoint"),
        (Self::Warm, "warm"),
        (Self::Verify, "verify"),
        (Self::Deploy, "deploy"),
        (Self::Wait, "wait"),
        (Self::Approve, "approve"),
        (Self::Notify, "notify"),
    ];

    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

text!(WorkKind);

impl Text for WorkKind {
    const WORDS: &'static str = "\"run\", \"scale\", \"http\", \"repoint\", \"warm\", \"verify\", \
                                 \"deploy\", \"wait\", \"approve\" or \"notify\"";
    fn parse(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(_, word)| *word == text).map(|(kind, _)| *kind);
        named.ok_or_else(|| "is not one of the words that can stand here".to_owned())
    }
}
