//! What the gate itself says to PostgreSQL clients: an ErrorResponse (PostgreSQL manual, "Error
//! and Notice Message Fields").

use crate::gate::tcp::admission::Refusal;

/// A severity FATAL error: after it the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// SQLSTATE.
    pub state: &'static str,
    pub message: String,
    pub hint: &'static str,
}

impl Fatal {
    /// `admin_shutdown`, as a server says to its sessions when it stops.
    pub fn terminated() -> Self {
        Self {
            state: "57P01",
            message: "MS-GATE-014: terminating connection because the active site changes"
                .to_owned(),
            hint: "Connect again: the gate leads to the active site.",
        }
    }

    /// The same, so that drivers do the same.
    pub fn too_old() -> Self {
        Self {
            state: "57P01",
            message: "MS-GATE-040: terminating connection because it is older than the gate allows"
                .to_owned(),
            hint: "Connect again.",
        }
    }

    /// To one that only reads. The same, so that drivers do the same.
    pub fn behind() -> Self {
        Self {
            state: "57P01",
            message: "MS-GATE-041: terminating connection because this database may not be read \
                      any more"
                .to_owned(),
            hint: "Connect again: the gate leads to one that is not too old.",
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        // S is localised, V is not; clients look at either.
        for (kind, value) in [
            (b'S', "FATAL"),
            (b'V', "FATAL"),
            (b'C', self.state),
            (b'M', &self.message),
            (b'H', self.hint),
        ] {
            fields.push(kind);
            fields.extend(value.bytes().filter(|byte| *byte != 0));
            fields.push(0);
        }
        fields.push(0);
        let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
        [&b"E"[..], &length.to_be_bytes(), &fields].concat()
    }
}

impl From<Refusal> for Fatal {
    fn from(refusal: Refusal) -> Self {
        let state = match refusal {
            // `too_many_connections`.
            Refusal::TooMany => "53300",
            // `cannot_connect_now`, as a server says that is starting up.
            Refusal::NotNow(_) | Refusal::Unreachable { .. } => "57P03",
        };
        Self { state, message: refusal.to_string(), hint: "Connect again in a moment." }
    }
}
