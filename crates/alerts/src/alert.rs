//! What is told, in words and as JSON.

use jiff::Timestamp;
use mainstay_core::{AlertSeverity, ApplicationName, SiteName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What people read on a telephone at night is short; what a program reads is bounded.
const LONGEST_TEXT: usize = 2_000;
const LONGEST_SUBJECT: usize = 200;

/// One thing that is wrong, or that happened. What the agents of two sites call by the same
/// application, kind and subject is one and the same thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub application: ApplicationName,
    pub kind: String,
    /// What it is about: a site, a link, an execution.
    pub subject: String,
    pub severity: AlertSeverity,
    /// Whose agent tells it.
    pub site: SiteName,
    pub what: String,
    /// What to type next.
    pub advice: String,
    /// What a failover would lose if it happened now.
    pub loss: Loss,
}

/// How much acknowledged work a failover would lose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    AtMost(Duration),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A problem began.
    Begun,
    /// It lasts, and was told before.
    Lasts,
    Ended,
    /// Something that has no end.
    Happened,
    /// Nothing is wrong: a person tries the way.
    Test,
}

/// What a notifier is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub alert: Alert,
    pub status: Status,
    /// Microseconds since the Unix epoch, on the telling site's clock.
    pub since_micros: i64,
    pub ended_micros: Option<i64>,
    /// How often it came and went; then it is told as one.
    pub count: u32,
    /// Alerts that were dropped since the last message, because too many waited.
    pub left_out: u64,
}

impl Alert {
    /// The same at every site.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.application, self.kind, self.subject)
    }

    /// With texts of a length that every way carries, and no control characters in them.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            kind: bounded(&self.kind, LONGEST_SUBJECT),
            subject: bounded(&self.subject, LONGEST_SUBJECT),
            what: bounded(&self.what, LONGEST_TEXT),
            advice: bounded(&self.advice, LONGEST_TEXT),
            ..self
        }
    }
}

impl Loss {
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::AtMost(loss) => Some(loss.as_secs_f64()),
            Self::Unknown => None,
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::AtMost(loss) => format!("at most {:.1} s", loss.as_secs_f64()),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Lasts => "lasts",
            Self::Ended => "ended",
            Self::Happened => "happened",
            Self::Test => "test",
        }
    }
}

impl Message {
    /// A trial of one way, which says that it is one.
    pub fn test(site: &SiteName, application: &ApplicationName, by: &str, micros: i64) -> Self {
        let alert = Alert {
            application: application.clone(),
            kind: "test".to_owned(),
            subject: site.to_string(),
            severity: AlertSeverity::Info,
            site: site.clone(),
            what: format!("this is a test by {by} at {site}: nothing is wrong"),
            advice: "nothing: alerts arrive this way".to_owned(),
            loss: Loss::Unknown,
        };
        Self {
            alert: alert.bounded(),
            status: Status::Test,
            since_micros: micros,
            ended_micros: None,
            count: 1,
            left_out: 0,
        }
    }

    /// The same for all messages about one appearance of one thing; a receiver may drop what it
    /// has seen with the same status.
    pub fn id(&self) -> String {
        format!("{}@{}", self.alert.key(), self.since_micros)
    }

    pub fn json(&self) -> Value {
        let Alert { application, kind, subject, severity, site, what, advice, loss } = &self.alert;
        json!({
            "version": 1,
            "id": self.id(),
            "status": self.status,
            "test": self.status == Status::Test,
            "application": application,
            "kind": kind,
            "subject": subject,
            "severity": severity,
            "site": site,
            "what": what,
            "advice": advice,
            "since": moment(self.since_micros),
            "ended": self.ended_micros.map(moment),
            "count": self.count,
            "expected_loss": loss.words(),
            "expected_loss_s": loss.seconds(),
            "left_out": self.left_out,
        })
    }

    /// `critical: bank: the link of db from east to west stopped (begun)`
    pub fn subject(&self) -> String {
        let Alert { application, severity, what, .. } = &self.alert;
        let mark = if self.status == Status::Test { "TEST, " } else { "" };
        let line =
            format!("{mark}{}: {application}: {what} ({})", severity.name(), self.status.name());
        bounded(&line, LONGEST_SUBJECT)
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let Alert { application, kind, subject, severity, site, what, advice, loss } = &self.alert;
        let mut lines = vec![
            what.clone(),
            String::new(),
            format!("{:<12} {}, {}", "status", self.status.name(), severity.name()),
            format!("{:<12} {application}, {kind}, {subject}", "about"),
            format!("{:<12} {site}", "told by"),
            format!("{:<12} {}", "since", moment(self.since_micros)),
        ];
        if let Some(ended) = self.ended_micros {
            lines.push(format!("{:<12} {}", "until", moment(ended)));
        }
        if self.count > 1 {
            lines.push(format!("{:<12} {} times, told as one", "came", self.count));
        }
        if self.status != Status::Test {
            lines.push(format!("{:<12} {} if a failover happened now", "lost", loss.words()));
        }
        if self.left_out > 0 {
            lines.push(format!("{:<12} {} alerts, too many waited", "left out", self.left_out));
        }
        lines.push(format!("{:<12} {advice}", "next"));
        lines.join("\n") + "\n"
    }
}

/// As RFC 3339 writes it, in UTC.
pub fn moment(micros: i64) -> String {
    let second = micros - micros.rem_euclid(1_000);
    Timestamp::from_microsecond(second).map_or_else(|_| "unknown".to_owned(), |at| at.to_string())
}

/// No more than so many characters, and none that a terminal or a mail's head obeys.
pub fn bounded(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().nth(most).is_none() {
        return text.chars().map(clean).collect();
    }
    text.chars().take(most.saturating_sub(1)).map(clean).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(what: &str) -> Alert {
        Alert {
            application: ApplicationName::new("bank").unwrap(),
            kind: "link-stopped".to_owned(),
            subject: "db at west".to_owned(),
            severity: AlertSeverity::Critical,
            site: SiteName::new("west").unwrap(),
            what: what.to_owned(),
            advice: "see MS-PG-203".to_owned(),
            loss: Loss::AtMost(Duration::from_millis(56_200)),
        }
    }

    #[test]
    fn huge_texts_are_cut_and_give_nothing_to_obey() {
        for text in ["é".repeat(100_000), "\r\nBcc: x@y\u{1b}[2J".repeat(5_000), String::new()] {
            let alert = Alert { subject: text.clone(), advice: text.clone(), ..alert(&text) };
            let message = Message {
                alert: alert.bounded(),
                status: Status::Begun,
                since_micros: 1_795_000_000_123_456,
                ended_micros: None,
                count: 1,
                left_out: 0,
            };
            let (json, subject) = (message.json().to_string(), message.subject());
            assert!(json.len() < 32_000 && message.text().len() < 32_000, "{}", json.len());
            assert!(subject.chars().count() <= LONGEST_SUBJECT);
            assert!(!subject.chars().any(char::is_control), "{subject:?}");
            assert!(!message.text().contains('\u{1b}'));
        }
    }

    #[test]
    fn a_message_says_what_since_when_what_is_lost_and_what_to_type() {
        let message = Message {
            alert: alert("the link of db from east to west stopped"),
            status: Status::Ended,
            since_micros: 1_795_000_000_123_456,
            ended_micros: Some(1_795_000_060_000_000),
            count: 3,
            left_out: 0,
        };
        let json = message.json();
        assert_eq!(json["since"], "2026-11-18T11:06:40.123Z");
        assert_eq!(json["expected_loss_s"], 56.2);
        assert_eq!(json["id"], "bank/link-stopped/db at west@1795000000123456");
        let text = message.text();
        for part in
            ["came         3 times", "lost         at most 56.2 s", "next         see MS-PG"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
