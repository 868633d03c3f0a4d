//! What an answer must hold.

use mainstay_core::watch::BodyRule;
use regex_lite::Regex;

/// A rule for an answer's text. Matching takes time in proportion to the text, whatever the
/// expression (the documentation of `regex-lite`, "Untrusted input").
#[derive(Debug)]
pub struct Pattern {
    rule: Rule,
    words: String,
}

#[derive(Debug)]
enum Rule {
    Contains(String),
    Matches(Regex),
}

impl Pattern {
    pub fn new(expression: &str) -> Result<Self, String> {
        let regex = Regex::new(expression).map_err(|why| why.to_string())?;
        Ok(Self { rule: Rule::Matches(regex), words: format!("a match of {expression:?}") })
    }

    pub(super) fn of(rule: &BodyRule) -> Result<Self, String> {
        match rule {
            BodyRule::Matches(expression) => Self::new(expression),
            BodyRule::Contains(text) => {
                Ok(Self { rule: Rule::Contains(text.clone()), words: format!("{text:?}") })
            }
        }
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        match &self.rule {
            Rule::Contains(wanted) => text.contains(wanted),
            Rule::Matches(regex) => regex.is_match(text),
        }
    }

    pub(super) fn words(&self) -> String {
        self.words.clone()
    }
}
