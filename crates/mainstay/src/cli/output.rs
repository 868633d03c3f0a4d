//! Writing to standard output. A reader that went away is no error.

use super::{Context, Failure, Form};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const CARE: Style = AnsiColor::Yellow.on_default();
pub const DIM: Style = Style::new().dimmed();
pub const STRONG: Style = Style::new().bold();

/// Text with a style; the stream takes it out again when it is no terminal.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes text, which brings its own line ends.
pub fn say(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line for the person, apart from the result.
pub fn remark(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The same without an end of the line: for a question.
pub fn say_aside(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The line of standard error, a terminal, that the next one replaces.
pub fn follow_line(text: &str) {
    // Without wrapping (DECAWM) a long line stays one line.
    let mut out = anstream::stderr().lock();
    let _ = write!(out, "\r\x1b[K\x1b[?7l{text}\x1b[?7h").and_then(|()| out.flush());
}

impl Context {
    pub fn json(&self) -> bool {
        self.global.output == Form::Json
    }

    /// The result, as JSON or as text.
    pub fn show<T: Serialize>(
        &self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json() {
            return say_json(result);
        }
        say(&text(result));
        Ok(())
    }

    pub fn show_failure(&self, failure: &Failure) -> ExitCode {
        if self.json() {
            let error =
                json!({"code": failure.code, "what": failure.what, "advice": failure.advice});
            say(&format!("{:#}\n", json!({ "error": error })));
        } else {
            let head = styled(BAD, format!("error {}", failure.code));
            remark(&format!(
                "{head}: {}\n  {} {}",
                failure.what,
                styled(STRONG, "next:"),
                failure.advice
            ));
        }
        ExitCode::FAILURE
    }
}

fn say_json<T: Serialize>(result: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(result).map_err(|error| {
        Failure::new(super::failure::code::STRANGE_ANSWER, error.to_string(), "use --output text")
    })?;
    say(&(text + "\n"));
    Ok(())
}
