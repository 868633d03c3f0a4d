//! What an agent concludes from what it sees again and again: probes, renewals, clocks, clients.
//! Each is a value that takes in what was seen, with its tick, and answers for a tick.

mod arrivals;
mod cadence;
mod clients;
mod conclude;
mod damping;
mod pace;
mod probe;
mod tally;

pub use arrivals::{Arrivals, LATE};
pub use cadence::Cadence;
pub use clients::Minute;
pub use conclude::{Conclusion, Probed, conclude};
pub use damping::Damping;
pub use pace::{ClockOff, Exchange, Pace, Rate, who_is_off};
pub use probe::{
    BodyRule, ClientWrite, CommandProbe, HttpProbe, PostgresProbe, Probe, ProbeKind, RedisProbe,
    SiteAddresses,
};
pub use tally::{Look, Outcome, Tally};
