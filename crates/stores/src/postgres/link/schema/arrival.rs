//! Which of the source's messages are schema changes, and which rows belong to one.

use super::message::{PREFIX, SchemaChange, Told, VERSION};
use crate::postgres::link::failure::LinkError;
use crate::postgres::link::sql::Sql;
use mainstay_wire::pgoutput::LogicalMessage;

/// What the source shows only to Mainstay, and its messages carry.
pub(in crate::postgres::link) async fn token(source: &Sql) -> Result<String, LinkError> {
    const THERE: &str = "SELECT to_regclass('mainstay.schema_token') IS NOT NULL";
    const TOKEN: &str = "SELECT token::text FROM mainstay.schema_token";
    let unprepared = || LinkError::SourceNotPrepared { place: source.place().to_owned() };
    let there = source.rows("look for the token of schema changes", THERE, &[]).await?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Err(unprepared());
    }
    let rows = source.rows("read the token of schema changes", TOKEN, &[]).await?;
    rows.first().map(|row| row.get(0)).ok_or_else(unprepared)
}

/// The messages of one stream, and whether the rows that come belong to a schema change.
#[derive(Debug, Clone, Default)]
pub(in crate::postgres::link) struct Arrival {
    token: String,
    inside: bool,
}

impl Arrival {
    pub fn new(token: String) -> Self {
        Self { token, inside: false }
    }

    /// A transaction begins.
    pub fn begin(&mut self) {
        self.inside = false;
    }

    /// The statement that came last writes the rows that come now: at the target as well.
    pub fn inside(&self) -> bool {
        self.inside
    }

    /// A schema change, or none: messages of other programs, and the end of a statement whose
    /// beginning was told. The error says what came.
    pub fn message(&mut self, message: &LogicalMessage) -> Result<Option<SchemaChange>, String> {
        if message.prefix != PREFIX || !message.transactional {
            return Ok(None);
        }
        let Ok(told) = serde_json::from_slice::<Told>(&message.content) else {
            // Without the token nobody knows who wrote it, and anybody may.
            let ours = !self.token.is_empty()
                && String::from_utf8_lossy(&message.content).contains(&self.token);
            return if ours { Err(self.unreadable(message)) } else { Ok(None) };
        };
        if told.token != self.token || self.token.is_empty() {
            tracing::warn!(at = %message.lsn, "a message that pretends to be a schema change");
            return Ok(None);
        }
        if told.version != VERSION {
            return Err(self.unreadable(message));
        }
        self.inside = told.opens;
        Ok((!told.closes).then_some(SchemaChange { at: message.lsn, told }))
    }

    fn unreadable(&self, message: &LogicalMessage) -> String {
        format!("a schema change at {} that this version does not understand", message.lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mainstay_core::position::Lsn;
    use serde_json::json;

    fn message(prefix: &str, content: &serde_json::Value) -> LogicalMessage {
        LogicalMessage {
            transactional: true,
            lsn: Lsn(7),
            prefix: prefix.to_owned(),
            content: Bytes::from(content.to_string()),
        }
    }

    fn told(token: &str) -> serde_json::Value {
        json!({"version": 1, "token": token, "tag": "CREATE TABLE", "role": "bank",
               "settings": {}, "query": "CREATE TABLE t ()", "nth": 1})
    }

    #[test]
    fn only_a_message_with_the_token_is_believed() {
        let mut arrival = Arrival::new("secret".to_owned());
        let believed = |arrival: &mut Arrival, message: &LogicalMessage| {
            arrival.message(message).unwrap().is_some()
        };
        assert!(believed(&mut arrival, &message(PREFIX, &told("secret"))));
        assert!(!believed(&mut arrival, &message(PREFIX, &told("guess"))));
        assert!(!believed(&mut arrival, &message("another", &told("secret"))));
        assert!(!believed(&mut arrival, &message(PREFIX, &json!({"token": "guess"}))));
        assert!(!believed(&mut Arrival::default(), &message(PREFIX, &told(""))));
    }

    #[test]
    fn a_message_of_ours_that_is_not_understood_is_an_error() {
        let mut arrival = Arrival::new("secret".to_owned());
        let mut newer = told("secret");
        newer["version"] = json!(2);
        assert!(arrival.message(&message(PREFIX, &newer)).is_err());
        let without = json!({"token": "secret", "version": 1});
        assert!(arrival.message(&message(PREFIX, &without)).is_err());
    }

    #[test]
    fn rows_between_beginning_and_end_of_a_statement_belong_to_it() {
        let mut arrival = Arrival::new("secret".to_owned());
        let (mut opens, mut closes) = (told("secret"), told("secret"));
        opens["opens"] = json!(true);
        closes["closes"] = json!(true);
        assert!(arrival.message(&message(PREFIX, &opens)).unwrap().is_some());
        assert!(arrival.inside());
        assert!(arrival.message(&message(PREFIX, &closes)).unwrap().is_none());
        assert!(!arrival.inside());
    }
}
