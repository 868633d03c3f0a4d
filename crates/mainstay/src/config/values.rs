//! The single values that can stand in the file, each with the words that an error uses for it.

use super::mask;
pub use super::probe_values::{BodyPattern, Count, ProbeKind, Statuses};
use super::problem::{Problem, code};
use super::reader::{At, Read, Reader, Shape};
use mainstay_core::estate::{Durability, FailoverMode, SalvageRule};
use mainstay_core::notifier::{HttpUrl, MailEncryption};
use mainstay_core::people::{Force, Role};
use mainstay_core::{
    AlertSeverity, ApplicationName, GroupName, NotifierName, PersonName, ProbeName, SiteName,
    StoreName,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value written as a TOML string.
pub(super) trait Text: Sized {
    const WORDS: &'static str;
    /// A refused one is not repeated in the error.
    const HIDDEN: bool = false;
    /// Why the text was refused, as the end of "`x` is not …".
    fn parse(text: &str) -> Result<Self, String>;
    fn advice() -> String {
        format!("write {}", Self::WORDS)
    }
}

fn read_text<T: Text>(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        reader.wrong_type(value, T::WORDS);
        return None;
    };
    match T::parse(text) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            let hidden = T::HIDDEN || mask::may_hold_secret(text);
            let shown = if hidden { "the value".into() } else { format!("{text:?}") };
            let what = format!("{}: {shown} {why}", reader.place());
            let problem = Problem::error(code::BAD_VALUE, what, T::advice());
            reader.report_here(value.span(), problem.label("not understood"));
            None
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
text!(String, Duration, SiteName, StoreName, Address, SocketAddr, UrlPath, EtcdUrl, KeyPrefix);
text!(ProbeKind, Statuses, BodyPattern);
text!(Durability, Every, FailoverMode, SalvageRule, CoordinatorKind, StoreWord, TlsMode);
text!(Role, Force);
text!(NotifierWord, AlertSeverity, MailEncryption, MailAddress, UrlText, ApplicationName);

impl Text for String {
    const WORDS: &'static str = "a string";
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Text for StoreName {
    const WORDS: &'static str = "the name of a store";
    fn parse(text: &str) -> Result<Self, String> {
        StoreName::new(text).map_err(|_| "is not a name".to_owned())
    }
}

impl Text for SiteName {
    const WORDS: &'static str = "the name of a site";
    fn parse(text: &str) -> Result<Self, String> {
        SiteName::new(text).map_err(|_| "is not a name".to_owned())
    }
}

impl Text for ApplicationName {
    const WORDS: &'static str = "the name of an application";
    fn parse(text: &str) -> Result<Self, String> {
        ApplicationName::new(text).map_err(|_| "is not a name".to_owned())
    }
}

impl Text for Duration {
    const WORDS: &'static str = "a duration such as \"500ms\", \"10s\", \"1m30s\" or \"2h\"";
    fn parse(text: &str) -> Result<Self, String> {
        super::duration::parse(text).ok_or_else(|| "is not a duration".to_owned())
    }
}

/// How often something is done; none: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every(pub Option<Duration>);

/// What is done more often never ends.
const MOST_OFTEN: Duration = Duration::from_secs(60);

impl Text for Every {
    const WORDS: &'static str = "a duration from \"1m\", such as \"6h\" or \"1d\", or \"off\"";
    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match Duration::parse(text)? {
            every if every < MOST_OFTEN => Err("is shorter than a minute".to_owned()),
            every => Ok(Self(Some(every))),
        }
    }
}

/// `host:port`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Text for Address {
    const WORDS: &'static str = "an address such as \"db.example.org:5432\"";
    fn parse(text: &str) -> Result<Self, String> {
        let no_port = || "has no port".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or("does not end in a port from 1 to 65535")?;
        let host = bare_host(host).ok_or("has no host before the port")?;
        Ok(Self { host, port })
    }
}

/// `[::1]` is `::1`; a name or an IPv4 address is itself.
fn bare_host(host: &str) -> Option<String> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok().then(|| v6.to_owned()),
        None => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
            (!host.is_empty() && host.chars().all(plain)).then(|| host.to_owned())
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Text for SocketAddr {
    const WORDS: &'static str =
        "an IP address of this machine and a port, such as \"0.0.0.0:8080\"";
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<SocketAddr>();
        parsed
            .ok()
            .filter(|address| address.port() > 0)
            .ok_or_else(|| "is not an IP address with a port".to_owned())
    }
}

/// The path of a URL.
#[derive(Debug, Clone)]
pub struct UrlPath(pub String);

impl Text for UrlPath {
    const WORDS: &'static str = "a path such as \"/health\"";
    fn parse(text: &str) -> Result<Self, String> {
        let printable = text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        if text.starts_with('/') && printable {
            Ok(Self(text.to_owned()))
        } else {
            Err("does not begin with / or holds a character that a URL cannot".to_owned())
        }
    }
}

/// Where one member of etcd takes requests: a scheme and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUrl {
    pub encrypted: bool,
    pub address: Address,
}

impl Text for EtcdUrl {
    const WORDS: &'static str = "a URL such as \"https://etcd.east.example.org:2379\"";
    fn parse(text: &str) -> Result<Self, String> {
        let (scheme, address) = text.split_once("://").ok_or("has no http:// or https://")?;
        let encrypted = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("begins with neither http:// nor https://".to_owned()),
        };
        let address = Address::parse(address.strip_suffix('/').unwrap_or(address))?;
        Ok(Self { encrypted, address })
    }
}

/// A URL, or where one is kept.
#[derive(Debug, Clone)]
pub enum UrlText {
    Plain(HttpUrl),
    Kept(SecretReference),
}

impl Text for UrlText {
    const WORDS: &'static str =
        "a URL such as \"https://hooks.example.org/x\", or \"env:NAME\" or \"file:PATH\"";
    const HIDDEN: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        match SecretReference::of(text) {
            Some(reference) => Ok(Self::Kept(reference)),
            None => HttpUrl::parse(text).map(Self::Plain).map_err(str::to_owned),
        }
    }
}

/// `someone@example.org`
#[derive(Debug, Clone)]
pub struct MailAddress(pub String);

impl Text for MailAddress {
    const WORDS: &'static str = "a mail address such as \"ops@example.org\"";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"@<>,;\"".contains(c))
        };
        match text.split_once('@') {
            Some((user, host)) if plain(user) && plain(host) => Ok(Self(text.to_owned())),
            _ => Err("is not a mail address".to_owned()),
        }
    }
}

/// Where Mainstay's keys begin in etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(pub String);

impl Text for KeyPrefix {
    const WORDS: &'static str =
        "a key such as \"mainstay\" or \"/dr/mainstay\", without / at its end";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        match !text.is_empty() && !text.ends_with('/') && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err("is empty, ends in /, or holds more than letters, digits and / - _ ."
                    .to_owned())
            }
        }
    }
}

/// Where a secret is kept. The file itself never holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    Variable(String),
    File(String),
}

impl SecretReference {
    pub fn of(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Some(Self::File(path.to_owned()));
        }
        let name = text.strip_prefix("env:")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = !name.is_empty() && name.chars().all(plain);
        is_name.then(|| Self::Variable(name.to_owned()))
    }
}

impl Read for SecretReference {
    fn shape() -> Shape {
        Shape::Value(SECRET_WORDS.to_owned())
    }

    /// Unlike other values, a refused one is not repeated in the error.
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let found = value.get_ref().as_str().and_then(Self::of);
        if found.is_none() {
            let what = format!("{} must not hold the secret itself", reader.place());
            let advice = "put the secret into an environment variable or a file of its own, write \
                          \"env:NAME\" or \"file:PATH\" here, and change the secret if this file \
                          was ever shared";
            let problem = Problem::error(code::LITERAL_SECRET, what, advice);
            reader.report_here(value.span(), problem.label("not a reference (hidden)"));
        }
        found
    }
}

const SECRET_WORDS: &str = "\"env:NAME\" or \"file:PATH\", never the secret itself";

/// One of a few words.
macro_rules! words {
    ($type:ty, $words:literal, $($word:literal => $value:expr),+) => {
        impl Text for $type {
            const WORDS: &'static str = $words;
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err("is not one of the words that can stand here".to_owned()),
                }
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorKind {
    Embedded,
    Etcd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreWord {
    Postgres,
    Redis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifierWord {
    Webhook,
    Command,
    Email,
    Alertmanager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    VerifyFull,
}

words!(CoordinatorKind, "\"embedded\" or \"etcd\"",
    "embedded" => Self::Embedded, "etcd" => Self::Etcd);
words!(StoreWord, "\"postgres\" or \"redis\"",
    "postgres" => Self::Postgres, "redis" => Self::Redis);
words!(TlsMode, "\"disable\" or \"verify-full\"",
    "disable" => Self::Disable, "verify-full" => Self::VerifyFull);
words!(NotifierWord, "\"webhook\", \"command\", \"email\" or \"alertmanager\"",
    "webhook" => Self::Webhook, "command" => Self::Command, "email" => Self::Email,
    "alertmanager" => Self::Alertmanager);
words!(AlertSeverity, "\"info\", \"warning\" or \"critical\"",
    "info" => Self::Info, "warning" => Self::Warning, "critical" => Self::Critical);
words!(MailEncryption, "\"starttls\", \"tls\" or \"none\"",
    "starttls" => Self::StartTls, "tls" => Self::Tls, "none" => Self::None);
words!(FailoverMode, "\"automatic\", \"approve\" or \"manual\"",
    "automatic" => Self::Automatic, "approve" => Self::Approve, "manual" => Self::Manual);
words!(Durability, "\"each-commit\" or \"together\"",
    "each-commit" => Self::EachCommit, "together" => Self::Together);
words!(SalvageRule, "\"replay-inserts\", \"keep\" or \"ask\"",
    "replay-inserts" => Self::ReplayInserts, "keep" => Self::Keep, "ask" => Self::Ask);
words!(Role, "\"viewer\", \"operator\", \"approver\" or \"admin\"",
    "viewer" => Self::Viewer, "operator" => Self::Operator, "approver" => Self::Approver,
    "admin" => Self::Admin);
words!(Force, "\"one\" or \"two\"", "one" => Self::One, "two" => Self::Two);

impl Read for bool {
    fn shape() -> Shape {
        Shape::Value("true or false".to_owned())
    }
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            reader.wrong_type(value, "true or false");
        }
        found
    }
}

/// A list. Elements that were refused are left out; their problems are reported.
impl<T: Read> Read for Vec<At<T>> {
    fn shape() -> Shape {
        match T::shape() {
            Shape::Value(words) => Shape::Value(format!("a list, each {words}")),
            other => Shape::List(Box::new(other)),
        }
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(value, "a list in brackets");
            return None;
        };
        let element = |(index, value): (usize, &Spanned<DeValue<'_>>)| {
            reader.inside(&index.to_string(), Some(value.span()), |reader| {
                let place = reader.place();
                Some(At { value: T::read(value, reader)?, place, span: Some(value.span()) })
            })
        };
        Some(array.iter().enumerate().filter_map(element).collect())
    }
}

/// A name that the person chooses, written as a key.
pub trait Name: Sized + Ord {
    const PLACEHOLDER: &'static str;
    fn name(text: &str) -> Result<Self, String>;
}

macro_rules! names {
    ($($type:ty => $placeholder:literal),+) => {$(
        impl Name for $type {
            const PLACEHOLDER: &'static str = $placeholder;
            fn name(text: &str) -> Result<Self, String> {
                <$type>::new(text).map_err(|why| why.to_string())
            }
        }
    )+};
}
names!(SiteName => "<site>", ApplicationName => "<application>", StoreName => "<store>");
names!(PersonName => "<person>", ProbeName => "<probe>", NotifierName => "<notifier>");
names!(GroupName => "<group>");

/// `schema.table`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName(pub String);

impl Name for TableName {
    const PLACEHOLDER: &'static str = "\"<schema>.<table>\"";
    fn name(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("{text:?} is not a table: write \"schema.table\", in quotes")),
        }
    }
}

/// Of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableName(pub String);

impl Name for VariableName {
    const PLACEHOLDER: &'static str = "<VARIABLE>";
    fn name(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let digit_first = text.starts_with(|c: char| c.is_ascii_digit());
        match !text.is_empty() && !digit_first && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("{text:?} is not the name of an environment variable")),
        }
    }
}

/// Values or tables under chosen names. Each is blamed at its name.
impl<K: Name, V: Read> Read for BTreeMap<K, At<V>> {
    fn shape() -> Shape {
        Shape::Names { placeholder: K::PLACEHOLDER, of: Box::new(V::shape()) }
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(value, "a table");
            return None;
        };
        let mut entries = BTreeMap::new();
        for (key, value) in table.iter() {
            let entry = reader.inside(key.get_ref(), Some(key.span()), |reader| {
                read_entry(key.get_ref(), key.span(), value, reader)
            });
            entries.extend(entry);
        }
        Some(entries)
    }
}

pub fn read_entry<K: Name, V: Read>(
    key: &str,
    span: std::ops::Range<usize>,
    value: &Spanned<DeValue<'_>>,
    reader: &mut Reader,
) -> Option<(K, At<V>)> {
    let place = reader.place();
    let name = K::name(key);
    if let Err(why) = &name {
        reader.names_refused = true;
        let problem = Problem::error(code::BAD_VALUE, why, "rename it, here and where it is used");
        reader.report_here(span.clone(), problem.label("not a name"));
    }
    let value = V::read(value, reader)?;
    Some((name.ok()?, At { value, place, span: Some(span) }))
}

mod dns;
mod web;
mod work;

pub use dns::{DnsName, DnsProvider, ProviderId, ResourceGroup};
pub use web::{CookieName, HostPattern, Number};
pub use work::WorkKind;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_is_a_duration_from_a_minute_or_off() {
        let read = |text| <Every as Text>::parse(text).map(|every| every.0);
        assert_eq!(read("off"), Ok(None));
        assert_eq!(read("1d"), Ok(Some(Duration::from_secs(86_400))));
        assert_eq!(read("1m"), Ok(Some(MOST_OFTEN)));
        assert_eq!(read("59s"), Err("is shorter than a minute".to_owned()));
        assert_eq!(read("never"), Err("is not a duration".to_owned()));
    }
}
