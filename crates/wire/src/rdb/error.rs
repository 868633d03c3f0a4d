//! Why bytes are not a snapshot that we can read.

/// Every one of them ends the reading: nothing after it would mean anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RdbError {
    #[error("the source sent no snapshot: it begins with {0:?}")]
    NotASnapshot(String),
    #[error("the source sent a snapshot of version {0}, which this Mainstay does not know")]
    UnknownVersion(String),
    #[error(
        "the source's snapshot has a value or record of the unknown type {0}; it may be newer than \
         this Mainstay"
    )]
    UnknownType(u8),
    #[error("the source's snapshot has data of the module {0:?}, which cannot be replicated")]
    Module(String),
    #[error("the source's snapshot has {0}, which cannot be replicated")]
    Refused(&'static str),
    #[error("the source's snapshot has a string of {0} bytes, more than the 512 MB of Redis")]
    TooLong(u64),
    #[error("the source's snapshot is damaged: {0}")]
    Damaged(&'static str),
    #[error("the source's snapshot is damaged: its checksum is {stated:016x}, not {found:016x}")]
    Checksum { stated: u64, found: u64 },
}

/// Why a step could not be made. After `Short` nothing was consumed: the same step is tried again
/// when more bytes are there.
#[derive(Debug)]
pub(super) enum Halt {
    Short,
    Error(RdbError),
}

impl From<RdbError> for Halt {
    fn from(error: RdbError) -> Self {
        Halt::Error(error)
    }
}

pub(super) type Step<T> = Result<T, Halt>;
