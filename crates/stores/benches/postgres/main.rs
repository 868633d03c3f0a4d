//! Mainstay's link and PostgreSQL's own logical replication, side by side on the same two servers
//! in one run: `make bench-postgres`. It measures and judges no figure; but each work ends with a
//! comparison of source and both targets, and a difference ends the run.

mod applier;
mod arguments;
mod backlog;
mod child;
mod compare;
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
    let mut report = Report::to_file(arguments.json.clone())?;
    let sizes = arguments.sizes();
    if arguments.wants_any(&backlog::NAMES) {
        let servers = servers(&mut report).await?;
        backlog::run(&servers, &sizes, arguments, &mut report).await?;
    }
    if arguments.wants(large::NAME) {
        let servers = servers(&mut report).await?;
        large::run(&servers, &sizes, &mut report).await?;
    }
    if arguments.wants(steady::NAME) {
        let servers = servers(&mut report).await?;
        steady::run(&servers, &sizes, &mut report).await?;
    }
    if arguments.wants(copy::NAME) {
        let servers = servers(&mut report).await?;
        copy::run(&servers, &sizes, &mut report).await?;
    }
    if arguments.wants(compare::NAME) {
        let servers = servers(&mut report).await?;
        compare::run(&servers, &sizes, &mut report).await?;
    }
    println!("{report}");
    Ok(())
}

/// New servers for each group of works: no group leaves the next one dirty buffers or history.
async fn servers(report: &mut Report) -> Outcome<Servers> {
    let servers = Servers::start()?;
    report.note(servers.surroundings().await?);
    Ok(servers)
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}
