//! Whether the version of the application here is the one that is to be here.

use super::{Around, programs};
use crate::runbook::StepError;
use mainstay_core::runbook::Deploy;

pub async fn make(around: &Around<'_>, deploy: &Deploy) -> Result<String, StepError> {
    let version = printed(around, &deploy.version).await?;
    let wanted = printed(around, &deploy.wanted).await?;
    match version == wanted {
        true => Ok(format!("{} has version {version}", around.to)),
        false => Err(StepError::new(format!(
            "{} has version {version:?}, and {wanted:?} is wanted; deploy that, and retry",
            around.to
        ))),
    }
}

async fn printed(around: &Around<'_>, words: &[String]) -> Result<String, StepError> {
    let ran = around.program(words).run(around.timeout()).await;
    match ran.succeeded() && !ran.printed.trim().is_empty() {
        true => Ok(ran.printed.trim().to_owned()),
        false => Err(StepError::new(ran.said("the program that tells a version"))),
    }
}

/// The programs only look, so a plan runs them too.
pub async fn missing(around: &Around<'_>, deploy: &Deploy) -> Vec<String> {
    let missing = programs(&[&deploy.version, &deploy.wanted]);
    match missing.is_empty() {
        true => make(around, deploy).await.err().map(|why| why.0).into_iter().collect(),
        false => missing,
    }
}
