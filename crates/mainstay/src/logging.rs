//! Logs of the long-running commands, to standard error.

use crate::cli::Form;
use tracing_subscriber::EnvFilter;

/// `MAINSTAY_LOG` holds the levels, such as `debug` or `info,mainstay_stores=debug`.
pub fn start(form: Form) {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // When nobody reads standard error any more, work goes on: a complaint about that, written to
    // standard error itself, would panic in whatever task logs.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // A second start finds a subscriber in place and changes nothing.
    let _ = match form {
        Form::Json => logs.json().try_init(),
        Form::Text => {
            logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
    };
}
