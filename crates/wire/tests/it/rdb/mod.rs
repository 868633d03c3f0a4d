//! The reader of snapshots, on what real servers wrote. The oracle is what servers answer to their
//! own reading commands, before and after.

mod arbitrary;
mod bounded;
mod by_hand;
mod mutated;
mod servers;

use mainstay_wire::rdb::{Event, RdbError, Reader};

/// All events of a snapshot that arrives in pieces of that many bytes.
fn read(snapshot: &[u8], limit: usize, piece: usize) -> Result<Vec<Event>, RdbError> {
    let mut reader = Reader::new(limit);
    let mut events = Vec::new();
    for piece in snapshot.chunks(piece) {
        reader.feed(piece);
        while let Some(event) = reader.next_event()? {
            events.push(event);
        }
    }
    Ok(events)
}
