//! Says on standard error what happens, with the time since the beginning.

use std::time::Instant;

#[derive(Clone, Copy)]
pub struct Narrator {
    began: Instant,
}

impl Narrator {
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }

    pub fn say(&self, what: &str) {
        anstream::eprintln!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
