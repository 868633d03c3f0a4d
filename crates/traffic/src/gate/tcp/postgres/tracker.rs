//! Whether a PostgreSQL session is idle outside a transaction, from the messages that pass
//! (PostgreSQL manual, "Message Flow").
//!
//! Invariant: a session with work that could still commit is never called idle.

use super::framer::{BadFrame, Framer, Message};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Before the first ReadyForQuery: nothing can have been begun.
    Starting,
    Idle,
    /// In a transaction, in a failed one, or within a command.
    Busy,
}

#[derive(Debug)]
pub struct Tracker {
    client: Framer,
    server: Framer,
    state: State,
}

#[derive(Debug)]
struct State {
    status: Status,
    /// Messages sent that the server answers with a ReadyForQuery each.
    awaited: u32,
    /// Extended-protocol messages went since the last Sync.
    unsynced: bool,
    copying_in: bool,
}

impl Tracker {
    /// A session whose start-up packet has been sent.
    pub fn started() -> Self {
        let state =
            State { status: Status::Starting, awaited: 0, unsynced: false, copying_in: false };
        Self { client: Framer::default(), server: Framer::default(), state }
    }

    pub fn client_sends(&mut self, bytes: &[u8]) -> Result<(), BadFrame> {
        let state = &mut self.state;
        self.client.feed(bytes, |message| state.client_sends(message.kind))
    }

    pub fn server_sends(&mut self, bytes: &[u8]) -> Result<(), BadFrame> {
        let state = &mut self.state;
        self.server.feed(bytes, |message| state.server_sends(message))
    }

    /// In a transaction, or at work.
    pub fn is_busy(&self) -> bool {
        match self.state.status {
            Status::Starting => false,
            Status::Busy => true,
            Status::Idle => {
                self.state.awaited > 0 || self.state.unsynced || !self.client.at_boundary()
            }
        }
    }

    pub fn is_logged_in(&self) -> bool {
        self.state.status != Status::Starting
    }

    /// The server's stream is between two messages: one of the gate's own may follow.
    pub fn may_speak(&self) -> bool {
        self.server.at_boundary()
    }
}

impl State {
    fn client_sends(&mut self, kind: u8) {
        match kind {
            _ if self.status == Status::Starting => {}
            // Query, FunctionCall.
            b'Q' | b'F' => self.awaited += 1,
            // In copy-in mode the server ignores Sync (manual, "COPY Operations").
            b'S' if self.copying_in => {}
            b'S' => {
                self.awaited += 1;
                self.unsynced = false;
            }
            // CopyDone, CopyFail.
            b'c' | b'f' => self.copying_in = false,
            // Parse, Bind, Describe, Execute, Close.
            b'P' | b'B' | b'D' | b'E' | b'C' => self.unsynced = true,
            _ => {}
        }
    }

    fn server_sends(&mut self, message: Message) {
        match message.kind {
            b'Z' => {
                self.awaited = self.awaited.saturating_sub(1);
                self.copying_in = false;
                self.status = match message.first {
                    Some(b'I') => Status::Idle,
                    _ => Status::Busy,
                };
            }
            // CopyInResponse, CopyBothResponse: Syncs sent along with the statement are ignored,
            // and only the ReadyForQuery after the copy says idle again.
            b'G' | b'W' => {
                self.awaited = 0;
                self.copying_in = true;
                self.status = Status::Busy;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn ready() -> Tracker {
        let mut tracker = Tracker::started();
        tracker.client_sends(&message(b'p', b"password")).unwrap();
        tracker.server_sends(&message(b'R', &[0, 0, 0, 0])).unwrap();
        assert!(!tracker.is_busy());
        tracker.server_sends(&message(b'Z', b"I")).unwrap();
        assert!(!tracker.is_busy());
        tracker
    }

    fn client(tracker: &mut Tracker, kinds: &[u8]) {
        for kind in kinds {
            tracker.client_sends(&message(*kind, b"x")).unwrap();
        }
    }

    #[test]
    fn a_query_is_busy_until_its_ready_for_query_says_idle() {
        let mut tracker = ready();
        client(&mut tracker, b"Q");
        assert!(tracker.is_busy());
        tracker.server_sends(&message(b'Z', b"T")).unwrap();
        assert!(tracker.is_busy());
        client(&mut tracker, b"Q");
        tracker.server_sends(&message(b'Z', b"E")).unwrap();
        assert!(tracker.is_busy());
        client(&mut tracker, b"Q");
        tracker.server_sends(&message(b'Z', b"I")).unwrap();
        assert!(!tracker.is_busy());
    }

    #[test]
    fn a_pipeline_is_busy_until_its_last_sync_is_answered() {
        let mut tracker = ready();
        client(&mut tracker, b"PBESBESBE");
        tracker.server_sends(&message(b'Z', b"I")).unwrap();
        assert!(tracker.is_busy());
        tracker.server_sends(&message(b'Z', b"I")).unwrap();
        assert!(tracker.is_busy(), "unsynced messages are work that can still commit");
        client(&mut tracker, b"S");
        tracker.server_sends(&message(b'Z', b"I")).unwrap();
        assert!(!tracker.is_busy());
    }

    #[test]
    fn the_beginning_of_a_query_is_busy() {
        let mut tracker = ready();
        tracker.client_sends(b"Q\0").unwrap();
        assert!(tracker.is_busy());
    }

    #[test]
    fn a_copy_is_busy_until_its_end_whichever_way_it_is_sent() {
        for (before, after) in
            [(&b"Q"[..], &b"c"[..]), (b"PBES", b"cS"), (b"PBES", b"f"), (b"PBE", b"cS")]
        {
            let mut tracker = ready();
            client(&mut tracker, before);
            tracker.server_sends(&message(b'G', &[0, 0, 0])).unwrap();
            client(&mut tracker, b"dd");
            assert!(tracker.is_busy());
            client(&mut tracker, after);
            assert!(tracker.is_busy());
            if after != b"f" || before == b"Q" {
                tracker.server_sends(&message(b'Z', b"I")).unwrap();
                assert!(!tracker.is_busy(), "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn notices_and_notifications_change_nothing() {
        let mut tracker = ready();
        for kind in b"NASA" {
            tracker.server_sends(&message(*kind, b"x")).unwrap();
        }
        assert!(!tracker.is_busy());
        assert!(tracker.may_speak());
        tracker.server_sends(b"N\0").unwrap();
        assert!(!tracker.may_speak());
    }
}
