//! Which statement a schema change was, from what the client sent and which functions ran.

use super::message::Told;
use super::statement::Statement;

/// Why the statement is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    #[error("the source did not say what its client sent")]
    NoText,
    #[error("what the client sent cannot be divided into statements")]
    NotDivided,
    #[error("several such statements were sent at once, and it is not known which of them it is")]
    Several,
    #[error("none of the statements that the client sent is this one")]
    NotThere,
    #[error("it was run by {0}, which does not say its statements")]
    ByFunction(String),
}

/// The statement alone. Never another one: where that is not certain, it is unknown.
pub(super) fn statement(told: &Told) -> Result<Statement, Unknown> {
    match &told.callers {
        None => sent(told),
        Some(callers) => called(told, callers),
    }
}

/// The source counted the statements of each tag that one string ran. What takes back the work of
/// earlier ones takes back the counting too.
fn sent(told: &Told) -> Result<Statement, Unknown> {
    let query = told.query.as_deref().ok_or(Unknown::NoText)?;
    let all = split(told, query)?;
    let doubtful = all.iter().any(takes_back);
    let mut such: Vec<_> = all.into_iter().filter(|one| one.is(&told.tag)).collect();
    match (such.len(), doubtful) {
        (0, _) => Err(Unknown::NotThere),
        (1, _) => Ok(such.remove(0)),
        (_, true) => Err(Unknown::Several),
        (many, false) if (1..=many).contains(&told.nth) => Ok(such.swap_remove(told.nth - 1)),
        _ => Err(Unknown::NotThere),
    }
}

fn takes_back(statement: &Statement) -> bool {
    match statement.word(0).as_str() {
        "ROLLBACK" | "ABORT" | "DISCARD" => true,
        "SET" | "RESET" => matches!(statement.word(1).as_str(), "ALL" | "MAINSTAY"),
        _ => false,
    }
}

fn split(told: &Told, sql: &str) -> Result<Vec<Statement>, Unknown> {
    Statement::split(sql, told.backslashes()).map_err(|_| Unknown::NotDivided)
}

/// By a function. PostgreSQL shows what PL/pgSQL and its like ran with its text, and what a
/// function in SQL ran by its number.
fn called(told: &Told, callers: &str) -> Result<Statement, Unknown> {
    if let Some(rest) = callers.strip_prefix("SQL statement \"") {
        return shown(told, rest);
    }
    let by_function = || {
        let line = callers.lines().next().unwrap_or_default();
        Unknown::ByFunction(line.split(" line ").next().unwrap_or(line).to_owned())
    };
    let numbered = callers.strip_prefix("SQL function \"").and_then(|rest| {
        let number = rest.lines().next()?.rsplit_once("\" statement ")?.1;
        number.parse::<usize>().ok()
    });
    match (numbered, told.bodies.as_slice()) {
        (Some(number), [body]) => {
            let all = split(told, body)?;
            let one = number.checked_sub(1).and_then(|place| all.into_iter().nth(place));
            one.filter(|one| one.is(&told.tag)).ok_or(Unknown::NotThere)
        }
        _ => Err(by_function()),
    }
}

/// The text ends at the quote before the next line of the stack; a quote that is part of the text
/// leaves it incomplete there.
fn shown(told: &Told, rest: &str) -> Result<Statement, Unknown> {
    const NEXT: [&str; 4] = ["PL/", "SQL ", "unnamed portal", "portal "];
    let ends = rest.match_indices('"').map(|(place, _)| place).filter(|place| {
        let after = &rest[place + 1..];
        let next = after.strip_prefix('\n');
        after.is_empty() || next.is_some_and(|next| NEXT.iter().any(|one| next.starts_with(one)))
    });
    for end in ends {
        let Ok(mut all) = split(told, &rest[..end]) else { continue };
        all.retain(|one| one.is(&told.tag));
        return match all.len() {
            0 => Err(Unknown::NotThere),
            1 => Ok(all.remove(0)),
            _ => Err(Unknown::Several),
        };
    }
    Err(Unknown::NotDivided)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(tag: &str, more: serde_json::Value) -> Told {
        let mut told = json!({"version": 1, "token": "t", "tag": tag, "role": "r", "settings": {}});
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(told).unwrap()
    }

    fn found(told: &Told) -> Result<String, Unknown> {
        statement(told).map(|statement| statement.sql)
    }

    #[test]
    fn of_several_statements_the_counted_one_is_found() {
        let query = "CREATE TABLE a (); ALTER TABLE a ADD b int; CREATE TABLE c ();";
        let of = |tag: &str, nth: usize| found(&told(tag, json!({"query": query, "nth": nth})));
        assert_eq!(of("CREATE TABLE", 2).unwrap(), "CREATE TABLE c ()");
        assert_eq!(of("ALTER TABLE", 1).unwrap(), "ALTER TABLE a ADD b int");
        assert_eq!(of("CREATE TABLE", 3), Err(Unknown::NotThere));
        assert_eq!(of("CREATE VIEW", 1), Err(Unknown::NotThere));
    }

    #[test]
    fn what_could_be_two_statements_is_unknown() {
        let query = "SAVEPOINT s; CREATE TABLE a (); ROLLBACK TO s; CREATE TABLE b ()";
        let told = told("CREATE TABLE", json!({"query": query, "nth": 1}));
        assert_eq!(found(&told), Err(Unknown::Several));
    }

    #[test]
    fn what_a_function_ran_is_in_the_stack() {
        let text = "CREATE TABLE \"a\" (b text DEFAULT '\"\nPL/pgSQL')";
        let stack = format!(
            "SQL statement \"{text}\"\nPL/pgSQL function f() line 3 at EXECUTE\n\
             SQL statement \"SELECT f()\"\nPL/pgSQL function g() line 1 at PERFORM"
        );
        let told = told("CREATE TABLE", json!({"callers": stack}));
        assert_eq!(found(&told).unwrap(), text);
    }

    #[test]
    fn a_function_in_sql_is_known_when_only_one_has_its_name() {
        let callers = "SQL function \"f\" statement 2";
        let body = "INSERT INTO a VALUES (1); CREATE TABLE b ()";
        let one = told("CREATE TABLE", json!({"callers": callers, "bodies": [body]}));
        assert_eq!(found(&one).unwrap(), "CREATE TABLE b ()");
        let two = told("CREATE TABLE", json!({"callers": callers, "bodies": [body, body]}));
        assert!(matches!(found(&two), Err(Unknown::ByFunction(_))));
    }
}
