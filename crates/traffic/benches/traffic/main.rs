//! The gate beside HAProxy and nginx, in one run on the same cores with the same clients and the
//! same servers behind: `make bench-traffic`. It judges no figure of speed; but a failed request
//! and an answer of a site that is not active end the run.

mod child;
mod http;
mod idle;
mod load;
mod process;
mod report;
mod rivals;
mod switch;
mod tcp;
mod world;

#[path = "../../tests/it/support/certificates.rs"]
mod certificates;

use report::Report;

/// What a step of the benchmark gives; the first error ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What was asked for on the command line.
struct Arguments {
    only: Vec<String>,
    /// Does it run, not how fast.
    quick: bool,
    json: Option<std::path::PathBuf>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut arguments = Self { only: Vec::new(), quick: false, json: None };
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo's own, always there.
                "--bench" => {}
                "--quick" => arguments.quick = true,
                "--only" => arguments.only.push(words.next().ok_or("--only WHAT")?),
                "--json" => arguments.json = Some(words.next().ok_or("--json FILE")?.into()),
                other => return Err(format!("unknown argument {other}; see the script").into()),
            }
        }
        Ok(arguments)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == name)
    }

    /// How long each load lasts, in seconds, and how often each is repeated.
    fn load(&self) -> (u32, usize) {
        if self.quick { (1, 1) } else { (5, 3) }
    }
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match std::env::var(child::ORDER) {
        Ok(order) => runtime.block_on(child::run(&order)),
        Err(_) => runtime.block_on(measure(&Arguments::read(std::env::args().skip(1))?)),
    }
}

async fn measure(arguments: &Arguments) -> Outcome<()> {
    let mut report = Report::new(arguments.json.clone());
    if arguments.wants("http") {
        http::run(arguments, &mut report).await?;
    }
    if arguments.wants("tcp") {
        tcp::run(arguments, &mut report).await?;
    }
    if arguments.wants("postgres") {
        tcp::postgres(arguments, &mut report).await?;
    }
    if arguments.wants("switch") {
        switch::run(arguments, &mut report).await?;
    }
    if arguments.wants("idle") {
        idle::run(arguments, &mut report).await?;
    }
    println!("{report}");
    Ok(())
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}
