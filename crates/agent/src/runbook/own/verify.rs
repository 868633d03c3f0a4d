//! Whether what clients need is there.

use super::{Around, call};
use crate::runbook::StepError;
use crate::stores::At;
use mainstay_core::StoreName;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::runbook::Check;
use mainstay_stores::postgres::ask::ask;

pub async fn make(around: &Around<'_>, check: &Check) -> Result<String, StepError> {
    let (store, query, expect, at_least) = match check {
        Check::Http(asked) => return call::make(around, asked).await,
        Check::Sql { store, query, expect, at_least } => (store, query, expect, at_least),
    };
    let endpoint = database(around, store)
        .ok_or_else(|| StepError::new(format!("{store} is no database of this site")))?;
    let found = ask(endpoint, query, around.timeout()).await.map_err(StepError::new)?;
    let found = found.ok_or_else(|| StepError::new(format!("{store} answers nothing")))?;
    if let Some(expect) = expect.as_ref().filter(|expect| **expect != found) {
        return Err(StepError::new(format!("{store} answers {found:?}, not {expect:?}")));
    }
    if let Some(least) = at_least {
        let number: Option<f64> = found.parse().ok();
        if !number.is_some_and(|number| number >= f64::from(*least)) {
            return Err(StepError::new(format!("{store} answers {found:?}, not {least} or more")));
        }
    }
    Ok(format!("{store} answers {found:?}"))
}

pub fn missing(around: &Around<'_>, check: &Check) -> Vec<String> {
    let Check::Sql { store, .. } = check else { return Vec::new() };
    let missing = database(around, store).is_none();
    missing.then(|| format!("{store} is no database of this site")).into_iter().collect()
}

fn database<'a>(around: &'a Around<'_>, store: &StoreName) -> Option<&'a PostgresEndpoint> {
    match around.application.stores_here().find(|(name, _)| *name == store)?.1 {
        At::Postgres(_, endpoint) => Some(endpoint),
        At::Redis(..) => None,
    }
}

pub fn what(around: &Around<'_>, check: &Check) -> String {
    match check {
        Check::Http(call) => {
            format!("look whether {}{} answers", call.address, around.fill(&call.path))
        }
        Check::Sql { store, query, .. } => format!("ask {store}: {query}"),
    }
}
