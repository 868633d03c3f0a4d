//! A large value, read in portions. One that changes meanwhile is copied as a mixture, and found
//! different again by the next look. A stream is copied whole, for its groups.

use crate::redis::compare::side::{Side, bytes};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;
use bytes::Bytes;
use mainstay_wire::rdb::{HashField, Kind, Part, Scored};

/// So much of a string at a time.
const TEXT: usize = 512 * 1024;
/// So many elements of a list, and of others about as many.
const ITEMS: usize = 500;

/// A type, as `TYPE` tells it, that is copied in portions when it is large.
pub(super) fn kind(kind: &str) -> Option<Kind> {
    Some(match kind {
        "string" => Kind::String,
        "list" => Kind::List,
        "set" => Kind::Set,
        "zset" => Kind::SortedSet,
        "hash" => Kind::Hash,
        _ => return None,
    })
}

pub(super) struct Portions {
    key: Vec<u8>,
    kind: Kind,
    /// Bytes of a string or elements of a list that were read.
    read: usize,
    cursor: Option<String>,
    told_nothing: bool,
}

impl Portions {
    pub(super) fn of(key: &[u8], kind: Kind) -> Self {
        let cursor = Some("0".to_owned());
        Self { key: key.to_vec(), kind, read: 0, cursor, told_nothing: true }
    }

    /// The value was gone, or was another, when it was to be read.
    pub(super) fn told_nothing(&self) -> bool {
        self.told_nothing
    }

    pub(super) async fn next(&mut self, source: &mut Side) -> Result<Option<Part>, Fault> {
        let part = match self.kind {
            Kind::String => self.text(source).await?,
            Kind::List => self.elements(source).await?,
            _ => self.items(source).await?,
        };
        self.told_nothing &= part.is_none();
        Ok(part)
    }

    async fn range(&mut self, source: &mut Side, name: &[u8], by: usize) -> Result<Reply, Fault> {
        let (from, to) = (self.read.to_string(), (self.read + by - 1).to_string());
        let command = vec![name, &self.key, from.as_bytes(), to.as_bytes()];
        Ok(source.ask(&[command]).await?.into_iter().next().unwrap_or(Reply::Nil))
    }

    async fn text(&mut self, source: &mut Side) -> Result<Option<Part>, Fault> {
        let answer = self.range(source, b"GETRANGE", TEXT).await?;
        let text = bytes(&answer).filter(|text| !text.is_empty());
        self.read += text.map_or(0, <[u8]>::len);
        Ok(text.map(|text| Part::Text(Bytes::copy_from_slice(text))))
    }

    async fn elements(&mut self, source: &mut Side) -> Result<Option<Part>, Fault> {
        let answer = self.range(source, b"LRANGE", ITEMS).await?;
        let elements = all(answer.items());
        self.read += elements.len();
        Ok((!elements.is_empty()).then_some(Part::Elements(elements)))
    }

    async fn items(&mut self, source: &mut Side) -> Result<Option<Part>, Fault> {
        let name: &[u8] = match self.kind {
            Kind::Set => b"SSCAN",
            Kind::SortedSet => b"ZSCAN",
            _ => b"HSCAN",
        };
        // A page can be empty before the end.
        while let Some(cursor) = self.cursor.take() {
            let count = ITEMS.to_string();
            let command = vec![name, &self.key, cursor.as_bytes(), b"COUNT", count.as_bytes()];
            let answers = source.ask(&[command]).await?;
            let Some([next, items]) = answers.first().map(Reply::items) else { break };
            self.cursor = next.text().filter(|next| *next != "0").map(str::to_owned);
            let items = all(items.items());
            if !items.is_empty() {
                return self.part(source, items).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn part(&self, source: &mut Side, items: Vec<Bytes>) -> Result<Part, Fault> {
        let pairs = items.chunks_exact(2);
        Ok(match self.kind {
            Kind::Set => Part::Members(items),
            Kind::SortedSet => Part::Scored(
                pairs.map(|it| Scored { member: it[0].clone(), score: it[1].clone() }).collect(),
            ),
            _ => {
                let mut fields: Vec<HashField> = pairs
                    .map(|it| HashField {
                        name: it[0].clone(),
                        value: it[1].clone(),
                        expires_at: None,
                    })
                    .collect();
                if source.expiring_fields {
                    self.expiry(source, &mut fields).await?;
                }
                Part::Fields(fields)
            }
        })
    }

    async fn expiry(&self, source: &mut Side, fields: &mut [HashField]) -> Result<(), Fault> {
        let count = fields.len().to_string();
        let mut command: Vec<&[u8]> = vec![b"HPEXPIRETIME", &self.key, b"FIELDS", count.as_bytes()];
        command.extend(fields.iter().map(|field| &field.name[..]));
        let answers = source.ask(&[command]).await?;
        let times = answers.first().map(Reply::items).unwrap_or_default();
        for (field, at) in fields.iter_mut().zip(times) {
            field.expires_at = at.number().and_then(|at| u64::try_from(at).ok());
        }
        Ok(())
    }
}

fn all(items: &[Reply]) -> Vec<Bytes> {
    items.iter().filter_map(bytes).map(Bytes::copy_from_slice).collect()
}
