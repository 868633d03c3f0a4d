//! One value that a person's question comes to.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// The first value of the first row, as text; none when there is no row, or it is null. The
/// transaction cannot write, and the server ends it when its time is over.
pub async fn ask(
    endpoint: &PostgresEndpoint,
    query: &str,
    within: Duration,
) -> Result<Option<String>, Fault> {
    let session = Session::open(endpoint, "verify").await?;
    let millis = within.as_millis().max(1);
    let begin = format!(
        "BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {millis}; \
         SET LOCAL search_path = public"
    );
    session.batch("begin to verify", &begin).await?;
    let doing = "verify";
    let answer = session.client().simple_query(query).await;
    let answer = answer.map_err(|error| session.fault(doing, &error))?;
    let row = answer.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    Ok(row.flatten())
}
