//! What a worker transfers next. The same seed chooses the same transfers.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The body of `POST /transfers`.
#[derive(Debug, Clone, Serialize)]
pub struct Order {
    pub id: Uuid,
    pub from: i64,
    pub to: i64,
    pub amount: String,
    pub memo: Value,
}

pub struct Chooser {
    random: StdRng,
    accounts: i64,
    worker: u32,
    made: u64,
}

const REASONS: [&str; 6] =
    ["rent", "salary", "coffee ☕", "Geschenk für Jürgen", "借金返済", "savings"];

impl Chooser {
    pub fn new(seed: u64, worker: u32, accounts: i64) -> Self {
        // Far-apart seeds for the workers of one run.
        let seed = seed ^ (u64::from(worker) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { random: StdRng::seed_from_u64(seed), accounts, worker, made: 0 }
    }

    pub fn next(&mut self) -> Order {
        self.made += 1;
        let from = self.random.random_range(1..=self.accounts);
        // One of the other accounts, each as likely.
        let to = 1 + (from - 1 + self.random.random_range(1..self.accounts)) % self.accounts;
        let cents: u32 = self.random.random_range(1..=5_000);
        let reason = REASONS[self.random.random_range(0..REASONS.len())];
        Order {
            id: uuid::Builder::from_random_bytes(self.random.random()).into_uuid(),
            from,
            to,
            amount: format!("{}.{:02}", cents / 100, cents % 100),
            memo: json!({ "reason": reason, "worker": self.worker, "order": self.made }),
        }
    }

    /// A wait of 50 to 150 % of `around`, so that workers do not try again all at once.
    pub fn jitter(&mut self, around: std::time::Duration) -> std::time::Duration {
        around.mul_f64(self.random.random_range(0.5..1.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_chooses_the_same_transfers_and_workers_differ() {
        let orders = |worker| {
            let mut chooser = Chooser::new(7, worker, 10);
            (0..50)
                .map(|_| chooser.next())
                .map(|o| (o.id, o.from, o.to, o.amount))
                .collect::<Vec<_>>()
        };
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(2));
    }

    #[test]
    fn a_transfer_is_between_two_accounts_that_exist() {
        let mut chooser = Chooser::new(1, 0, 3);
        for order in (0..1_000).map(|_| chooser.next()) {
            assert!((1..=3).contains(&order.from) && (1..=3).contains(&order.to), "{order:?}");
            assert_ne!(order.from, order.to);
            assert_ne!(order.amount, "0.00");
        }
    }
}
