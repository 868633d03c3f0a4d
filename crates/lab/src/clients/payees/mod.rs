//! Customers' own programs, each of which keeps its part of the list of payees by SQL and writes
//! down every transaction that was acknowledged. They know nothing but the addresses of "the
//! database", and reach it as `psql` would.

mod keeper;
pub mod log;

use keeper::Keeper;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
pub struct PayeesConfig {
    /// Each program writes `keeper-N.jsonl` here.
    pub folder: PathBuf,
    /// Where the database is; the next one is tried when one fails.
    pub databases: Vec<Config>,
    pub keepers: u64,
    pub seed: u64,
}

pub struct Payees {
    keepers: Vec<Keeper>,
}

impl Payees {
    pub fn open(config: PayeesConfig) -> std::io::Result<Self> {
        std::fs::create_dir_all(&config.folder)?;
        let config = Arc::new(config);
        let keepers = (0..config.keepers).map(|number| Keeper::open(number, config.clone()));
        Ok(Self { keepers: keepers.collect::<Result<_, _>>()? })
    }

    /// So many payees, in one transaction of each program.
    pub async fn prepare(self, rows: u64) -> std::io::Result<Self> {
        self.each(async move |keeper, share| keeper.prepare(share).await, rows).await
    }

    /// Exactly so many acknowledged transactions: inserts, updates, deletes and all three in one.
    pub async fn mix(self, transactions: u64) -> std::io::Result<Self> {
        self.each(async move |keeper, share| keeper.mix(share).await, transactions).await
    }

    /// Goes on until `stop` at a site that has only what was prepared: with new rows, with rows
    /// that only the lost site changed or deleted, and again with rows that are missing now.
    pub async fn go_on(self, stop: CancellationToken) -> std::io::Result<Self> {
        let work = async move |keeper: &mut Keeper, _| keeper.go_on(&stop).await;
        self.each(work, 0).await
    }

    /// All programs side by side, each with its share.
    async fn each<W>(self, work: W, of: u64) -> std::io::Result<Self>
    where
        W: AsyncFn(&mut Keeper, u64) -> std::io::Result<()>,
    {
        let number = self.keepers.len() as u64;
        let one = async |(index, mut keeper): (u64, Keeper)| {
            work(&mut keeper, of / number + u64::from(index < of % number)).await?;
            std::io::Result::Ok(keeper)
        };
        let all = (0..).zip(self.keepers).map(one);
        Ok(Self { keepers: futures::future::try_join_all(all).await? })
    }
}
