//! What is settled before rows are read: how both servers are made to write them alike, and what a
//! person should know about the two beside the rows.

use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use std::collections::{BTreeMap, BTreeSet};

const DOING: &str = "look at the servers of a comparison";

/// How a text is written so that its bytes are the same at both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Both databases have one encoding: as it is.
    Same,
    /// As the bytes of UTF-8 in ASCII, which every encoding has.
    Converted,
}

impl Bytes {
    /// SQL for a text that is to be hashed.
    pub fn hashed(self, text: &str) -> String {
        match self {
            Bytes::Same => text.to_owned(),
            Bytes::Converted => format!("encode(convert_to({text}, 'UTF8'), 'escape')"),
        }
    }

    /// SQL for a text by which rows are ordered: by bytes, which is the same at both sides and
    /// here, whatever their collations.
    pub fn ordered(self, text: &str) -> String {
        match self {
            Bytes::Same => format!("{text} COLLATE \"C\""),
            Bytes::Converted => format!("convert_to({text}, 'UTF8')"),
        }
    }
}

pub(super) struct Settled {
    pub bytes: Bytes,
    pub notes: Vec<String>,
}

pub(super) async fn settle(source: &Session, target: &Session) -> Result<Settled, Fault> {
    let (here, there) = tokio::try_join!(encoding(source), encoding(target))?;
    let mut notes = Vec::new();
    let bytes = if here == there {
        Bytes::Same
    } else {
        notes.push(format!(
            "the encoding is {here} at the source, {there} at the target: text was compared as UTF-8"
        ));
        Bytes::Converted
    };
    let (here, there) = tokio::try_join!(extensions(source), extensions(target))?;
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    notes.extend(names.into_iter().filter_map(|name| note(name, here.get(name), there.get(name))));
    Ok(Settled { bytes, notes })
}

async fn encoding(session: &Session) -> Result<String, Fault> {
    Ok(session.row(DOING, "SELECT current_setting('server_encoding')", &[]).await?.get(0))
}

async fn extensions(session: &Session) -> Result<BTreeMap<String, String>, Fault> {
    let sql = "SELECT extname::text, extversion FROM pg_catalog.pg_extension";
    let rows = session.rows(DOING, sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn note(name: &str, here: Option<&String>, there: Option<&String>) -> Option<String> {
    match (here, there) {
        (Some(here), Some(there)) if here != there => Some(format!(
            "extension {name:?} is {here} at the source, {there} at the target: if a type of it \
             is written differently, equal rows are told as different"
        )),
        (Some(here), None) => {
            Some(format!("extension {name:?} {here} is at the source and not at the target"))
        }
        (None, Some(there)) => {
            Some(format!("extension {name:?} {there} is at the target and not at the source"))
        }
        _ => None,
    }
}
