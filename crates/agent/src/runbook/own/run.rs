//! A program of this machine.

use super::{Around, Looked};
use crate::runbook::StepError;
use mainstay_core::runbook::Run;

/// By the step's own probe; a program without one is made again only if that is said to be safe.
pub async fn look(around: &Around<'_>, run: &Run, repeatable: bool) -> Looked {
    if run.probe.is_empty() {
        return match repeatable {
            true => Looked::NotDone,
            false => Looked::Unknown(format!(
                "whether {} was carried out is not known, and it has no probe",
                run.command.join(" ")
            )),
        };
    }
    let ran = around.program(&run.probe).run(around.timeout()).await;
    match ran.code() {
        Some(0) => Looked::Done(ran.said("the probe")),
        Some(1) => Looked::NotDone,
        _ => Looked::Unknown(ran.said("the probe")),
    }
}

pub async fn make(around: &Around<'_>, run: &Run) -> Result<String, StepError> {
    ended(around, &run.command, "the program").await
}

pub async fn undo(around: &Around<'_>, run: &Run) -> Result<String, StepError> {
    ended(around, &run.undo, "the undoing").await
}

async fn ended(around: &Around<'_>, words: &[String], who: &str) -> Result<String, StepError> {
    let ran = around.program(words).run(around.timeout()).await;
    match ran.succeeded() {
        true => Ok(ran.said(who)),
        false => Err(StepError::new(ran.said(who))),
    }
}
