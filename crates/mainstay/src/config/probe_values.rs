//! The values that only a probe has.

use super::problem::{Problem, code};
use super::reader::{Read, Reader, Shape};
use super::values::Text;
use mainstay_traffic::probe::Pattern;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::DeValue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    Http,
    Tcp,
    Postgres,
    Redis,
    Command,
}

impl ProbeKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Command => "command",
        }
    }
}

impl Text for ProbeKind {
    const WORDS: &'static str = "\"http\", \"tcp\", \"postgres\", \"redis\" or \"command\"";
    fn parse(text: &str) -> Result<Self, String> {
        let kinds = [Self::Http, Self::Tcp, Self::Postgres, Self::Redis, Self::Command];
        let named = kinds.into_iter().find(|kind| kind.word() == text);
        named.ok_or_else(|| "is not one of the words that can stand here".to_owned())
    }
}

/// Which statuses of HTTP pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

impl Text for Statuses {
    const WORDS: &'static str = "a status or a range of them, such as \"200\" or \"200-299\"";
    fn parse(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status));
        match (status(low), status(high)) {
            (Some(low), Some(high)) if low <= high => Ok(Self(low..=high)),
            _ => Err("is no status from 100 to 599, nor a range of them".to_owned()),
        }
    }
}

/// A regular expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPattern(pub String);

impl Text for BodyPattern {
    const WORDS: &'static str = "a regular expression such as '\"status\": *\"(ok|well)\"'";
    fn parse(text: &str) -> Result<Self, String> {
        match Pattern::new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(why) => Err(format!("is not a regular expression: {why}")),
        }
    }
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl Read for Count {
    fn shape() -> Shape {
        Shape::Value("a number".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let Some(integer) = value.get_ref().as_integer() else {
            reader.wrong_type(value, "a number without quotes");
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            let what = format!("{}: {integer} is too large or negative", reader.place());
            let problem = Problem::error(code::BAD_VALUE, what, "write a smaller number");
            reader.report_here(value.span(), problem.label("not understood"));
        }
        number.map(Self)
    }
}
