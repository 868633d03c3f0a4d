//! What `agent` and `gate` share: the estate as this site sees it, and the signals to stop.

use super::failure::code;
use super::{Context, Failure, output};
use crate::config::problem::code::{SITE_NOT_CHOSEN, UNREADABLE};
use crate::config::{self, Look};
use mainstay_core::estate::Estate;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The estate, or every problem of the file.
pub fn estate(context: &Context, look: Look) -> Result<Estate, Failure> {
    if context.global.site.is_none() {
        let what = "it was not said which site of the configuration this is";
        return Err(Failure::new(SITE_NOT_CHOSEN, what, "add --site NAME, or set MAINSTAY_SITE"));
    }
    let checked = context.check(&context.configuration(), look);
    for problem in &checked.problems {
        output::remark(&config::render(problem, &checked.source));
    }
    let errors: Vec<_> = checked.problems.iter().filter(|problem| problem.is_error()).collect();
    let code = errors.first().map_or(UNREADABLE, |problem| problem.code);
    let file = checked.source.path.display();
    let what =
        format!("nothing was done: {} in {file}", super::text::count(errors.len() as u64, "error"));
    let advice = format!("mend it, then look again: mainstay check {file}");
    checked.estate.ok_or_else(|| Failure::new(code, what, advice))
}

/// Cancelled by SIGTERM and SIGINT.
pub fn stop_signal() -> Result<CancellationToken, Failure> {
    let token = CancellationToken::new();
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        tracing::info!("told to stop");
    });
    Ok(token)
}

pub fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    let advice = "look at the limits of this process (ulimit -a)";
    signal(kind).map_err(|error| {
        Failure::new(code::STRANGE_ANSWER, format!("cannot wait for signals: {error}"), advice)
    })
}
