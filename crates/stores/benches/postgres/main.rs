//! Mainstay's link and PostgreSQL's own logical replication, side by side on the same two servers
//! in one run: `make bench-postgres`. It measures and judges no figure; but each work ends with a
//! comparison of source and both targets, and a difference ends the run.

mod applier;
mod arguments;
mod backlog;
mod child;
mod copy;
mod large;
mod mainstay;
mod native;
mod process;
mod report;
mod rivals;
mod steady;
mod world;

use arguments::{Arguments, Command};
use report::Report;
use world::Servers;

/// What a step of the benchmark gives; the first error ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments::read(std::env::args().skip(1))? {
        Command::Link => runtime.block_on(child::run()),
        Command::Measure(arguments) => runtime.block_on(measure(&arguments)),
    }
}

async fn measure(arguments: &Arguments) -> Outcome<()> {
    let mut report = Report::to_file(arguments.json.clone());
    let sizes = arguments.sizes();
    if arguments.wants_any(&backlog::NAMES) {
        let servers = Servers::start()?;
        backlog::run(&servers, &sizes, arguments, &mut report).await?;
    }
    if arguments.wants(large::NAME) {
        large::run(&Servers::start()?, &sizes, &mut report).await?;
    }
    if arguments.wants(steady::NAME) {
        steady::run(&Servers::start()?, &sizes, &mut report).await?;
    }
    if arguments.wants(copy::NAME) {
        copy::run(&Servers::start()?, &sizes, &mut report).await?;
    }
    println!("{report}");
    Ok(())
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}
