//! A question to a person at a terminal, who has seen what would be done.

use super::output::{STRONG, remark, say_aside, styled};
use super::{Context, Failure, failure};
use std::io::{BufRead, IsTerminal};

/// Whether somebody is there to answer: a script never is.
pub fn is_possible(context: &Context) -> bool {
    !context.json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Shows what would be done and waits for a yes; everything else is a no.
pub fn given(shown: &str, question: &str) -> Result<bool, Failure> {
    remark(shown.trim_end());
    say_aside(&format!("{} [y/N] ", styled(STRONG, question)));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|why| {
        let what = format!("your answer cannot be read: {why}");
        Failure::new(failure::code::STRANGE_ANSWER, what, "answer beforehand, with --yes")
    })?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
