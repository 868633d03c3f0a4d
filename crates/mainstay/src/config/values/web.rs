//! The values of a gate's web side.

use super::{Text, read_text};
use crate::config::problem::{Problem, code};
use crate::config::reader::{Read, Reader, Shape};
use toml::Spanned;
use toml::de::DeValue;

/// A whole number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u64);

impl Read for Number {
    fn shape() -> Shape {
        Shape::Value("a whole number".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let Some(written) = value.get_ref().as_integer() else {
            reader.wrong_type(value, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(written.as_str(), written.radix()).ok();
        if number.is_none() {
            let what = format!("{}: {written} is not a whole number from 0", reader.place());
            let problem = Problem::error(code::BAD_VALUE, what, "write a whole number");
            reader.report_here(value.span(), problem.label("not understood"));
        }
        number.map(Self)
    }
}

/// A host, or `*.` and a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(pub String);

impl Text for HostPattern {
    const WORDS: &'static str = "a host such as \"api.bank.example\" or \"*.bank.example\"";
    fn parse(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        match !host.is_empty() && host.chars().all(plain) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err("is not a host".to_owned()),
        }
    }
}

/// RFC 6265, section 4.1.1: a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieName(pub String);

impl Text for CookieName {
    const WORDS: &'static str = "the name of a cookie such as \"bank-process\"";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match !text.is_empty() && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err("holds more than letters, digits and - _ .".to_owned()),
        }
    }
}

macro_rules! text {
    ($($type:ty),+) => {$(
        impl Read for $type {
            fn shape() -> Shape {
                Shape::Value(<$type as Text>::WORDS.to_owned())
            }
            fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
                read_text(value, reader)
            }
        }
    )+};
}
text!(HostPattern, CookieName, mainstay_core::GroupName);

impl Text for mainstay_core::GroupName {
    const WORDS: &'static str = "the name of a group of upstreams";
    fn parse(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|_| "is not a name".to_owned())
    }
}
