//! One worker: one transfer at a time, each tried at one address and the other until it is
//! acknowledged or the run is over.

use super::choose::{Chooser, Order};
use super::http::{Answer, Bank};
use super::log::{Line, LogWriter, Moment};
use super::{ClientsConfig, Gateway};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

/// First wait before another attempt; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// An address that failed is not preferred again for so long.
const AVOID: Duration = Duration::from_secs(5);

pub struct Worker {
    config: Arc<ClientsConfig>,
    bank: Bank,
    chooser: Chooser,
    log: LogWriter,
    /// This worker's favourite address.
    preferred: usize,
    avoid_until: Instant,
}

impl Worker {
    pub fn new(number: u32, config: Arc<ClientsConfig>, bank: Bank) -> std::io::Result<Self> {
        let log = LogWriter::create(&config.folder.join(format!("worker-{number}.jsonl")))?;
        let chooser = Chooser::new(config.seed, number, config.accounts);
        // Every fourth worker prefers the second address.
        let preferred = usize::from(number % 4 == 3) % config.gateways.len();
        Ok(Self { config, bank, chooser, log, preferred, avoid_until: Instant::now() })
    }

    pub async fn run(mut self, stop: CancellationToken) -> std::io::Result<()> {
        let pause = f64::from(self.config.workers) / self.config.rate.max(0.001);
        let mut ticks = interval(Duration::from_secs_f64(pause));
        // After an outage the load goes on as before instead of making up for lost time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => self.transfer(&stop).await?,
            }
        }
    }

    async fn transfer(&mut self, stop: &CancellationToken) -> std::io::Result<()> {
        let order = self.chooser.next();
        let Order { id, from, to, amount, .. } = order.clone();
        let sent = Moment::now();
        self.log.write(&Line::Sent { id, from, to, amount, at: sent })?;
        let grace = self.config.grace;
        let run_is_over = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        tokio::pin!(run_is_over);
        let mut attempts = 0;
        let line = tokio::select! {
            line = self.insist(&order, sent, &mut attempts) => line?,
            () = &mut run_is_over => given_up(&order, attempts, "the run is over".to_owned()),
        };
        self.log.write(&line)
    }

    /// Tries until the bank has said yes or no for good.
    async fn insist(
        &mut self,
        order: &Order,
        sent: Moment,
        attempts: &mut u32,
    ) -> std::io::Result<Line> {
        let mut at = self.first_choice();
        let mut wait = FIRST_WAIT;
        loop {
            let gateway = self.config.gateways[at].clone();
            *attempts += 1;
            match self.bank.transfer(gateway.address, order).await {
                Answer::Acknowledged { number, status } => {
                    return Ok(acknowledged(order, sent, *attempts, gateway, number, status));
                }
                Answer::Refused(why) => return Ok(given_up(order, *attempts, why)),
                Answer::TryAgain(why) => {
                    let (id, gateway, at) = (order.id, gateway.name, Moment::now());
                    self.log.write(&Line::Retried { id, gateway, why, at })?;
                }
            }
            if at == self.preferred {
                self.avoid_until = Instant::now() + AVOID;
            }
            at = (at + 1) % self.config.gateways.len();
            sleep(self.chooser.jitter(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn first_choice(&self) -> usize {
        let avoided = usize::from(Instant::now() < self.avoid_until);
        (self.preferred + avoided) % self.config.gateways.len()
    }
}

fn acknowledged(
    order: &Order,
    sent: Moment,
    attempts: u32,
    gateway: Gateway,
    number: i64,
    status: u16,
) -> Line {
    let Order { id, from, to, amount, .. } = order.clone();
    let gateway = gateway.name;
    Line::Acknowledged {
        id,
        from,
        to,
        amount,
        number,
        gateway,
        status,
        attempts,
        sent,
        at: Moment::now(),
    }
}

fn given_up(order: &Order, attempts: u32, why: String) -> Line {
    Line::GivenUp { id: order.id, attempts, why, at: Moment::now() }
}
