//! What each kind of value consists of, and a walk over it that can stop anywhere.

use super::buffer::Buffer;
use super::error::Step;
use super::kind::Kind;
use super::text::Text;
use Item::{Fixed, Number, Repeat, String};
use std::ops::Range;

/// What an atom is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The value is this string and nothing else.
    Whole,
    Element,
    Member,
    ScoreBinary,
    ScoreText,
    Field,
    Value,
    /// When the field just read expires, in milliseconds; -1: never.
    FieldExpiry,
    /// When the first field expires.
    FirstExpiry,
    /// What the next field has left after that and one millisecond; 0: it never expires.
    FieldLeft,
    /// A string that packs many elements.
    Packed,
    /// Whether the next node of a list is one plain element (1) or packed (2).
    NodeKind,
    /// A node of a list, as that said.
    Node,
    /// The ID that those of a stream's node are counted from.
    NodeId,
    StreamNode,
    /// Numbers after a stream's entries, in their order.
    StreamNumber,
    GroupName,
    GroupNumber,
    /// Of an entry that is pending in a group: ID, time of delivery, count of deliveries.
    PendingId,
    PendingTime,
    PendingCount,
    ConsumerName,
    /// When a consumer was seen or active: of the server's own bookkeeping.
    ConsumerTime,
    /// An entry that is pending for the consumer.
    Owned,
}

/// One item of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    String(Role),
    Number(Role),
    Fixed(Role, usize),
    /// A score as text: a byte of length, where three lengths stand for numbers without digits.
    ScoreText,
    /// A count, and these items as often.
    Repeat(&'static [Item]),
}

/// One thing read, where it stands in the buffer.
#[derive(Debug)]
pub(super) enum Atom {
    Text(Text),
    Number(u64),
    Fixed(Range<usize>),
    /// The byte of length stands before.
    Score(u8, Range<usize>),
}

const STRING: &[Item] = &[String(Role::Whole)];
const PACKED: &[Item] = &[String(Role::Packed)];
const LIST: &[Item] = &[Repeat(&[String(Role::Element)])];
const QUICKLIST: &[Item] = &[Repeat(PACKED)];
const QUICKLIST2: &[Item] = &[Repeat(&[Number(Role::NodeKind), String(Role::Node)])];
const SET: &[Item] = &[Repeat(&[String(Role::Member)])];
const SORTED_SET: &[Item] = &[Repeat(&[String(Role::Member), Item::ScoreText])];
const SORTED_SET2: &[Item] = &[Repeat(&[String(Role::Member), Fixed(Role::ScoreBinary, 8)])];
const HASH: &[Item] = &[Repeat(&[String(Role::Field), String(Role::Value)])];
const HASH_EXPIRING: &[Item] =
    &[Repeat(&[String(Role::Field), String(Role::Value), Fixed(Role::FieldExpiry, 8)])];
const HASH_METADATA: &[Item] = &[
    Fixed(Role::FirstExpiry, 8),
    Repeat(&[Number(Role::FieldLeft), String(Role::Field), String(Role::Value)]),
];
const HASH_LISTPACK_EXPIRING: &[Item] = &[Fixed(Role::FirstExpiry, 8), String(Role::Packed)];

const STREAM_NODES: Item = Repeat(&[String(Role::NodeId), String(Role::StreamNode)]);
const STREAM_NUMBER: Item = Number(Role::StreamNumber);
const GROUP_NUMBER: Item = Number(Role::GroupNumber);
const PENDING: Item =
    Repeat(&[Fixed(Role::PendingId, 16), Fixed(Role::PendingTime, 8), Number(Role::PendingCount)]);
const OWNED: Item = Repeat(&[Fixed(Role::Owned, 16)]);
const SEEN: Item = Fixed(Role::ConsumerTime, 8);
const CONSUMERS: Item = Repeat(&[String(Role::ConsumerName), SEEN, OWNED]);
const CONSUMERS3: Item = Repeat(&[String(Role::ConsumerName), SEEN, SEEN, OWNED]);
/// Length and last ID.
const STREAM: &[Item] = &[
    STREAM_NODES,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    Repeat(&[String(Role::GroupName), GROUP_NUMBER, GROUP_NUMBER, PENDING, CONSUMERS]),
];
/// And first ID, greatest ID deleted, entries ever added; in a group how many it read.
const STREAM2: &[Item] = &[
    STREAM_NODES,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    Repeat(&[
        String(Role::GroupName),
        GROUP_NUMBER,
        GROUP_NUMBER,
        GROUP_NUMBER,
        PENDING,
        CONSUMERS,
    ]),
];
const STREAM3: &[Item] = &[
    STREAM_NODES,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    STREAM_NUMBER,
    Repeat(&[
        String(Role::GroupName),
        GROUP_NUMBER,
        GROUP_NUMBER,
        GROUP_NUMBER,
        PENDING,
        CONSUMERS3,
    ]),
];

fn items(kind: Kind) -> &'static [Item] {
    match kind {
        Kind::String => STRING,
        Kind::List => LIST,
        Kind::ListQuicklist => QUICKLIST,
        Kind::ListQuicklist2 => QUICKLIST2,
        Kind::Set => SET,
        Kind::SortedSet => SORTED_SET,
        Kind::SortedSet2 => SORTED_SET2,
        Kind::Hash => HASH,
        Kind::HashExpiring => HASH_EXPIRING,
        Kind::HashMetadata => HASH_METADATA,
        Kind::HashListpackExpiring => HASH_LISTPACK_EXPIRING,
        Kind::Stream => STREAM,
        Kind::Stream2 => STREAM2,
        Kind::Stream3 => STREAM3,
        Kind::ListZiplist
        | Kind::SetIntset
        | Kind::SetListpack
        | Kind::SortedSetZiplist
        | Kind::SortedSetListpack
        | Kind::HashZipmap
        | Kind::HashZiplist
        | Kind::HashListpack => PACKED,
    }
}

/// A walk over one value.
#[derive(Debug)]
pub(super) struct Walk {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    items: &'static [Item],
    next: usize,
    /// How often the items are still to come, this time included.
    left: u64,
}

impl Walk {
    pub(super) fn over(kind: Kind) -> Self {
        Self { levels: vec![Level { items: items(kind), next: 0, left: 1 }] }
    }

    /// Whether the next thing is a string that is the whole value.
    pub(super) fn is_at_whole(&self) -> bool {
        matches!(&self.levels[..], [level] if level.next == 0
            && matches!(level.items, [String(Role::Whole)]))
    }

    /// The next atom; none at the value's end.
    pub(super) fn step(&mut self, buffer: &mut Buffer) -> Step<Option<(Role, Atom)>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(item) = level.items.get(level.next) else {
                level.next = 0;
                level.left -= 1;
                if level.left == 0 {
                    self.levels.pop();
                }
                continue;
            };
            let atom = match *item {
                Repeat(items) => {
                    let left = buffer.number()?;
                    level.next += 1;
                    if left > 0 {
                        self.levels.push(Level { items, next: 0, left });
                    }
                    continue;
                }
                String(role) => (role, Atom::Text(buffer.text()?)),
                Number(role) => (role, Atom::Number(buffer.number()?)),
                Fixed(role, length) => (role, Atom::Fixed(buffer.take(length)?)),
                Item::ScoreText => (Role::ScoreText, buffer.whole(score)?),
            };
            level.next += 1;
            return Ok(Some(atom));
        }
        Ok(None)
    }
}

/// 253 to 255 stand for a number without digits.
fn score(buffer: &mut Buffer) -> Step<Atom> {
    let length = buffer.u8()?;
    let digits = if length < 253 { length.into() } else { 0 };
    Ok(Atom::Score(length, buffer.take(digits)?))
}
