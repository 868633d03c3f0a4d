//! One program: one transaction at a time on rows that nobody else writes, each insisted on until
//! its fate is known.

use super::PayeesConfig;
use super::log::{Line, Write, Written};
use crate::clients::log::{LogWriter, Moment};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// Longer than a gate holds a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before another attempt.
const WAIT: Duration = Duration::from_millis(100);
/// Between two transactions of a program that goes on and on.
const PACE: Duration = Duration::from_millis(160);

pub struct Keeper {
    worker: u64,
    config: Arc<PayeesConfig>,
    /// Which of the addresses is used.
    address: usize,
    client: Option<Client>,
    log: LogWriter,
    random: StdRng,
    transactions: u64,
    rows: u64,
    /// Rows that it believes to be there.
    live: Vec<i64>,
    /// Rows that it made before anything was lost.
    prepared: Vec<i64>,
    /// Rows that it made later.
    made: Vec<i64>,
}

/// Why an attempt came to nothing.
enum Failed {
    /// The database refused: nothing was made.
    Refused(String),
    /// Whether it was made is not known.
    Unknown,
    /// A row was not there that must be.
    Impossible(Error),
}

impl Keeper {
    pub fn open(worker: u64, config: Arc<PayeesConfig>) -> Result<Self> {
        let log = LogWriter::create(&config.folder.join(format!("keeper-{worker}.jsonl")))?;
        let random = StdRng::seed_from_u64(config.seed.wrapping_add(worker << 32));
        let (live, prepared, made) = (Vec::new(), Vec::new(), Vec::new());
        let (address, client, transactions, rows) = (0, None, 0, 0);
        #[rustfmt::skip]
        let keeper = Self {
            worker, config, address, client, log, random, transactions, rows, live, prepared, made,
        };
        Ok(keeper)
    }

    pub async fn prepare(&mut self, rows: u64) -> Result<()> {
        let number = self.next_number();
        let writes: Vec<Write> = (0..rows).map(|_| self.insert(number)).collect();
        self.prepared = writes.iter().map(Write::id).collect();
        self.made.clear();
        self.insist(number, writes).await
    }

    pub async fn mix(&mut self, transactions: u64) -> Result<()> {
        for kind in 0..transactions {
            let number = self.next_number();
            let writes = match kind % 4 {
                1 => vec![self.update(number)],
                2 => vec![self.delete()],
                3 => vec![self.delete(), self.update(number), self.insert(number)],
                _ => vec![self.insert(number)],
            };
            self.insist(number, writes).await?;
        }
        Ok(())
    }

    pub async fn go_on(&mut self, stop: &CancellationToken) -> Result<()> {
        self.live.clone_from(&self.prepared);
        let mut ticks = interval(PACE);
        // After an outage the load goes on as before instead of making up for lost time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.one_more().await?,
            }
        }
        self.prepared.clone_from(&self.live);
        Ok(())
    }

    /// The first write leaves its number in the row, so that its fate can be found out.
    async fn one_more(&mut self) -> Result<()> {
        let number = self.next_number();
        let writes = match number as u64 / self.config.keepers % 4 {
            0 => vec![Write::Insert { id: self.next_id(), name: name(number) }],
            1 | 2 if !self.made.is_empty() => {
                let id = self.made[self.random.random_range(0..self.made.len())];
                match self.is_there(id).await {
                    true => vec![Write::Update { id, name: name(number) }],
                    false => vec![Write::Insert { id, name: name(number) }],
                }
            }
            // Some rows stay to be updated.
            3 if self.live.len() > 32 => {
                let delete = self.delete();
                vec![self.update(number), delete]
            }
            _ => vec![self.update(number)],
        };
        self.insist(number, writes).await
    }

    fn next_number(&mut self) -> i64 {
        self.transactions += 1;
        (self.transactions * self.config.keepers + self.worker) as i64
    }

    fn next_id(&mut self) -> i64 {
        self.rows += 1;
        (self.rows * self.config.keepers + self.worker) as i64
    }

    fn insert(&mut self, number: i64) -> Write {
        let id = self.next_id();
        self.live.push(id);
        self.made.push(id);
        Write::Insert { id, name: name(number) }
    }

    fn update(&mut self, number: i64) -> Write {
        let id = self.live[self.random.random_range(0..self.live.len())];
        Write::Update { id, name: name(number) }
    }

    fn delete(&mut self) -> Write {
        let index = self.random.random_range(0..self.live.len());
        Write::Delete { id: self.live.swap_remove(index) }
    }

    /// Tries until the transaction is made, or refused.
    async fn insist(&mut self, number: i64, writes: Vec<Write>) -> Result<()> {
        self.log.write(&Line::Sent { number, writes: writes.clone() })?;
        let mut made = self.make(number, &writes).await;
        while let Err(Failed::Unknown) = made {
            (self.client, self.address) = (None, self.address + 1);
            sleep(WAIT).await;
            made = match self.found(number, &writes).await {
                Some(Some(accepted_by)) => Ok(accepted_by),
                Some(None) => self.make(number, &writes).await,
                None => Err(Failed::Unknown),
            };
        }
        // An attempt that was given up on may have come through after all, and stand in the way.
        if let Err(Failed::Refused(_)) = made
            && let Some(Some(accepted_by)) = self.found(number, &writes).await
        {
            made = Ok(accepted_by);
        }
        let line = match made {
            Ok(accepted_by) => {
                Line::Acknowledged(Written { number, writes, accepted_by, at: Moment::now() })
            }
            Err(Failed::Refused(why)) => Line::Refused { number, why },
            Err(Failed::Impossible(error)) => return Err(error),
            Err(Failed::Unknown) => return Err(Error::other("a fate is unknown")),
        };
        self.log.write(&line)
    }

    /// In one message; the name of the server that took it.
    async fn make(&mut self, number: i64, writes: &[Write]) -> std::result::Result<String, Failed> {
        let statements: String = writes.iter().map(|write| statement(number, write)).collect();
        let sql = format!("BEGIN; {statements} SELECT current_setting('cluster_name'); COMMIT");
        let (mut counts, mut accepted_by) = (Vec::new(), None);
        for message in self.query(&sql).await? {
            match message {
                SimpleQueryMessage::CommandComplete(rows) => counts.push(rows),
                SimpleQueryMessage::Row(row) => accepted_by = row.get(0).map(str::to_owned),
                _ => {}
            }
        }
        // After BEGIN.
        if counts.iter().skip(1).take(writes.len()).any(|rows| *rows != 1) {
            let why = format!("transaction {number} met rows that are not there: {writes:?}");
            return Err(Failed::Impossible(Error::other(why)));
        }
        accepted_by.ok_or(Failed::Unknown)
    }

    /// Who took the transaction, none inside when nobody did; none when that cannot be asked.
    async fn found(&mut self, number: i64, writes: &[Write]) -> Option<Option<String>> {
        let sql = match writes.first()? {
            Write::Delete { id } => format!(
                "SELECT current_setting('cluster_name') WHERE NOT EXISTS \
                 (SELECT FROM payees WHERE id = {id})"
            ),
            write => format!(
                "SELECT accepted_by FROM payees WHERE id = {} AND written_by = {number}",
                write.id()
            ),
        };
        Some(first_value(&self.query(&sql).await.ok()?))
    }

    async fn is_there(&mut self, id: i64) -> bool {
        loop {
            match self.query(&format!("SELECT id FROM payees WHERE id = {id}")).await {
                Ok(answer) => return first_value(&answer).is_some(),
                Err(_) => (self.client, self.address) = (None, self.address + 1),
            }
            sleep(WAIT).await;
        }
    }

    async fn query(&mut self, sql: &str) -> std::result::Result<Vec<SimpleQueryMessage>, Failed> {
        let answer = timeout(PATIENCE, async {
            let client = match self.client.take() {
                Some(client) => client,
                None => self.connect().await?,
            };
            let answer = client.simple_query(sql).await;
            if answer.is_ok() {
                self.client = Some(client);
            }
            answer
        });
        answer.await.map_err(|_| Failed::Unknown)?.map_err(|error| match error.code() {
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => Failed::Refused(error.to_string()),
            _ => Failed::Unknown,
        })
    }

    async fn connect(&self) -> std::result::Result<Client, tokio_postgres::Error> {
        let databases = &self.config.databases;
        let (client, connection) = databases[self.address % databases.len()].connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn name(number: i64) -> String {
    format!("Café {number}")
}

fn statement(number: i64, write: &Write) -> String {
    match write {
        Write::Insert { id, name } => {
            format!("INSERT INTO payees (id, name, written_by) VALUES ({id}, '{name}', {number}); ")
        }
        Write::Update { id, name } => format!(
            "UPDATE payees SET name = '{name}', written_by = {number}, accepted_by = DEFAULT \
             WHERE id = {id}; "
        ),
        Write::Delete { id } => format!("DELETE FROM payees WHERE id = {id}; "),
    }
}

fn first_value(answer: &[SimpleQueryMessage]) -> Option<String> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
