//! One schema change, made at the target in the transaction that is open there.

use super::lexer::Kind;
use super::message::{SchemaChange, Told};
use super::plan::{Plan, plan};
use super::run::{Failed, run};
use super::statement::Statement;
use super::volatile::Fill;
use super::{find, skip, volatile};
use crate::postgres::link::LinkSpec;
use crate::postgres::link::failure::{LinkError, heals};
use crate::postgres::link::sql::Sql;
use std::collections::BTreeMap;

/// Characters of a statement that people are shown.
const SHOWN: usize = 300;

const TWICE: &str = "it writes rows anew, and the first copy, which was interrupted, may have \
    read them afterwards: look whether the rows there have it already, and leave it out then";

/// Makes the change, or leaves it out where a person decided so. Anything else is an error: the
/// transaction has to be rolled back. `rows_are_newer`: the first copy read some tables after it.
pub(in crate::postgres::link) async fn apply(
    sql: &Sql,
    spec: &LinkSpec,
    change: &SchemaChange,
    rows_are_newer: bool,
) -> Result<(), LinkError> {
    if skip::is_left_out(sql, &spec.name(), change.at).await? {
        tracing::warn!(link = %spec.name(), at = %change.at, "a schema change is left out");
        return Ok(());
    }
    let told = &change.told;
    let refused = |statement: Option<&Statement>, why: String| LinkError::SchemaChange {
        place: sql.place().to_owned(),
        store: format!("{}/{}", spec.application, spec.store),
        at: change.at,
        statement: statement.map_or_else(|| told.tag.clone(), shown),
        why,
    };
    let statement = find::statement(told).map_err(|why| refused(None, why.to_string()))?;
    if let Some(why) = &told.refusal {
        return Err(refused(Some(&statement), why.clone()));
    }
    if told.retyped && rows_are_newer {
        return Err(refused(Some(&statement), TWICE.to_owned()));
    }
    match plan(&told.tag, &statement) {
        Plan::Nothing => Ok(()),
        Plan::Refuse(why) => Err(refused(Some(&statement), why.to_owned())),
        Plan::Run(text) => match make(sql, told, &statement, &text).await? {
            None => Ok(()),
            Some(why) => Err(refused(Some(&statement), why)),
        },
    }
}

/// Why it was not possible, if so.
async fn make(
    sql: &Sql,
    told: &Told,
    statement: &Statement,
    text: &str,
) -> Result<Option<String>, LinkError> {
    if let Some(why) = volatile::retyping(sql, told, statement).await? {
        return Ok(Some(why));
    }
    let before = volatile::before(sql, told).await?;
    if let Err(failed) = run(sql, &told.role, &told.settings, text).await {
        return judged(sql, failed).map(Some);
    }
    let fill = match volatile::fill(sql, told, &before).await? {
        Fill::Impossible(why) => return Ok(Some(why)),
        Fill::By(updates) => updates,
    };
    for update in fill {
        // The values are written as this session writes them. Constraints may call functions of
        // the application, so this needs the author's rights too.
        if let Err(failed) = run(sql, &told.role, &BTreeMap::new(), &update).await {
            return judged(sql, failed).map(Some);
        }
    }
    Ok(None)
}

/// Why a statement was refused for good; an error when it may be accepted later.
fn judged(sql: &Sql, failed: Failed) -> Result<String, LinkError> {
    match &failed.sqlstate {
        Some(code) if !may_pass(code) => Ok(failed.why),
        _ => Err(LinkError::Sql {
            place: sql.place().to_owned(),
            doing: "make a schema change".to_owned(),
            why: failed.why,
            sqlstate: failed.sqlstate,
        }),
    }
}

/// Whether the statement may be accepted later. Here nobody else uses the objects and settings of
/// this session: what is "in use" or "not in the state for it" stays so.
fn may_pass(code: &str) -> bool {
    heals(code) && !matches!(code, "55000" | "55006")
}

/// Shortened, and without constants where one of them could be a secret.
fn shown(statement: &Statement) -> String {
    const SECRETIVE: [&str; 4] = ["PASSWORD", "OPTIONS", "CONNECTION", "SECRET"];
    let upper = statement.sql.to_ascii_uppercase();
    let secretive = SECRETIVE.iter().any(|word| upper.contains(word));
    let (mut text, mut end) = (String::new(), 0);
    for token in &statement.tokens {
        let spaced = end < token.at.start && end > 0;
        text.push_str(if spaced { " " } else { "" });
        let hidden = secretive && token.kind == Kind::Text;
        text.push_str(if hidden { "'...'" } else { statement.text(token) });
        end = token.at.end;
    }
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(sql: &str) -> String {
        shown(&Statement::split(sql, false).unwrap()[0])
    }

    #[test]
    fn people_see_a_statement_without_its_secrets() {
        let sql = "CREATE USER MAPPING FOR a SERVER b\n OPTIONS (user 'c', password 'hush')";
        let text = shown_of(sql);
        assert_eq!(text, "CREATE USER MAPPING FOR a SERVER b OPTIONS (user '...', password '...')");
        assert_eq!(shown_of("ALTER TYPE a ADD VALUE 'b'"), "ALTER TYPE a ADD VALUE 'b'");
        let long = shown_of(&format!("CREATE VIEW v AS SELECT {}", "a, ".repeat(500)));
        assert!(long.ends_with("...") && long.chars().count() == SHOWN + 3);
    }
}
