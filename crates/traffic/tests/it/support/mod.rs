pub mod certificates;
pub mod client;
pub mod relay;
pub mod site;
pub mod upstream;

use std::time::Duration;

/// Generous: what is waited for usually takes milliseconds, on a busy machine a second.
pub const SOON: Duration = Duration::from_secs(20);
