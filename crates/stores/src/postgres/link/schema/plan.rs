//! What of a statement is made at the target: most as it is, some in another form, some not.

use super::lexer::Kind;
use super::statement::Statement;
use crate::postgres::replication::quote_literal;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Run(String),
    /// It has no effect that the target could have.
    Nothing,
    /// It would have another effect there; the words say why.
    Refuse(&'static str),
}

/// `tag` is PostgreSQL's command tag of the statement.
pub(super) fn plan(tag: &str, statement: &Statement) -> Plan {
    if statement.tokens.iter().any(|token| token.kind == Kind::Parameter) {
        return Plan::Refuse("its parameters are not known");
    }
    if names_the_session(statement) {
        return Plan::Refuse("it names SESSION_USER, and the link has a session of its own");
    }
    match tag {
        "CREATE TABLE AS" => table_of_query(statement),
        "SELECT INTO" => table_of_select(statement),
        "IMPORT FOREIGN SCHEMA" => {
            Plan::Refuse("it reads another server, which may answer the target otherwise")
        }
        "REINDEX" => Plan::Nothing,
        "CREATE INDEX" | "DROP INDEX" => Plan::Run(without_word(statement, "CONCURRENTLY")),
        "ALTER TABLE" if statement.find(&["DETACH", "PARTITION"], 2).is_some() => {
            Plan::Run(detach(statement))
        }
        _ => Plan::Run(statement.sql.clone()),
    }
}

/// As a role; as a value it has been worked out at the source.
fn names_the_session(statement: &Statement) -> bool {
    const BEFORE_A_ROLE: [&str; 7] = ["TO", "FROM", "FOR", "BY", "ROLE", "USER", "AUTHORIZATION"];
    (1..statement.tokens.len()).any(|place| {
        statement.word(place) == "SESSION_USER"
            && BEFORE_A_ROLE.contains(&statement.word(place - 1).as_str())
    })
}

/// The link makes everything in a transaction, where nothing can be done concurrently.
fn without_word(statement: &Statement, word: &str) -> String {
    match statement.find(&[word], 1) {
        Some(place) => statement.without(place..place + 1),
        None => statement.sql.clone(),
    }
}

/// The word ends the command, and so does FINALIZE, of what was interrupted and not made here. A
/// partition that is detached concurrently keeps its bounds as a constraint, unless it has one.
fn detach(statement: &Statement) -> String {
    let last = statement.tokens.len() - 1;
    let name = statement.find(&["PARTITION"], 2).map_or(last, |place| place + 1);
    if !matches!(statement.word(last).as_str(), "CONCURRENTLY" | "FINALIZE") || name >= last {
        return statement.sql.clone();
    }
    let (first, end) = (statement.tokens[name].at.start, statement.tokens[last - 1].at.end);
    let partition = &statement.sql[first..end];
    let body = format!(
        "DECLARE bounds text := pg_catalog.pg_get_partition_constraintdef({named}::regclass); \
         BEGIN {detach}; \
         IF bounds IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint \
             WHERE conrelid = {named}::regclass AND contype = 'c' \
               AND pg_catalog.pg_get_constraintdef(oid) = 'CHECK (' || bounds || ')') \
         THEN EXECUTE pg_catalog.concat({add}, bounds, ')'); END IF; END",
        named = quote_literal(partition),
        detach = statement.without(last..last + 1),
        add = quote_literal(&format!("ALTER TABLE {partition} ADD CHECK (")),
    );
    format!("DO {}", quote_literal(&body))
}

/// The table without its rows: they come by the stream, as they were.
fn table_of_query(statement: &Statement) -> Plan {
    let Some(query) = statement.as_query() else { return Plan::Run(statement.sql.clone()) };
    if is_temporary(statement, 1) {
        return Plan::Nothing;
    }
    if statement.word(query) == "EXECUTE" {
        return Plan::Refuse("the statement that it runs was prepared in its own session");
    }
    Plan::Run(with_no_data(statement))
}

fn with_no_data(statement: &Statement) -> String {
    let count = statement.tokens.len();
    let ends = |words: &[&str]| {
        count > words.len() && statement.find(words, count - words.len()).is_some()
    };
    if ends(&["WITH", "NO", "DATA"]) {
        statement.sql.clone()
    } else if ends(&["WITH", "DATA"]) {
        format!("{} WITH NO DATA", statement.without(count - 2..count))
    } else {
        format!("{} WITH NO DATA", statement.sql)
    }
}

/// TEMPORARY among the words from `from` to the name, or a name in the temporary schema.
fn is_temporary(statement: &Statement, from: usize) -> bool {
    let mut place = from;
    loop {
        match statement.word(place).as_str() {
            "TEMP" | "TEMPORARY" => return true,
            "LOCAL" | "GLOBAL" | "UNLOGGED" | "TABLE" | "IF" | "NOT" | "EXISTS" => place += 1,
            name => return name == "PG_TEMP",
        }
    }
}

fn table_of_select(statement: &Statement) -> Plan {
    let Some(into) = statement.find(&["INTO"], 1) else {
        return Plan::Refuse("its INTO was not found");
    };
    if is_temporary(statement, into + 1) {
        return Plan::Nothing;
    }
    let unlogged = statement.word(into + 1) == "UNLOGGED";
    let mut name = into + 1 + usize::from(unlogged);
    name += usize::from(statement.word(name) == "TABLE");
    let mut end = name + 1;
    while statement.tokens.get(end).is_some_and(|token| statement.text(token) == ".") {
        end += 2;
    }
    let (Some(first), Some(last)) = (statement.tokens.get(name), statement.tokens.get(end - 1))
    else {
        return Plan::Refuse("the name of its table was not found");
    };
    let table = &statement.sql[first.at.start..last.at.end];
    let kind = if unlogged { "UNLOGGED TABLE" } else { "TABLE" };
    Plan::Run(format!("CREATE {kind} {table} AS {} WITH NO DATA", statement.without(into..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(tag: &str, sql: &str) -> Plan {
        plan(tag, &Statement::split(sql, false).unwrap()[0])
    }

    fn run(sql: &str) -> Plan {
        Plan::Run(sql.to_owned())
    }

    #[test]
    fn nothing_is_done_concurrently() {
        let index = planned("CREATE INDEX", "CREATE INDEX CONCURRENTLY i ON t (a)");
        assert_eq!(index, run("CREATE INDEX i ON t (a)"));
        let drop = planned("DROP INDEX", "DROP INDEX concurrently IF EXISTS i");
        assert_eq!(drop, run("DROP INDEX IF EXISTS i"));
        let detach = "ALTER TABLE t DETACH PARTITION p";
        assert_eq!(planned("ALTER TABLE", detach), run(detach));
        for last in ["CONCURRENTLY", "FINALIZE"] {
            let Plan::Run(text) = planned("ALTER TABLE", &format!("{detach} {last}")) else {
                panic!("it is made in another form")
            };
            assert!(text.contains(&format!("BEGIN {detach};")), "{text}");
            assert!(text.contains("ALTER TABLE p ADD CHECK ("), "{text}");
        }
    }

    #[test]
    fn a_role_that_depends_on_the_session_is_refused() {
        let refused = |tag, sql| matches!(planned(tag, sql), Plan::Refuse(_));
        assert!(refused("ALTER TABLE", "ALTER TABLE t OWNER TO session_user"));
        assert!(refused("CREATE SCHEMA", "CREATE SCHEMA AUTHORIZATION SESSION_USER"));
        assert!(!refused("ALTER TABLE", "ALTER TABLE t ALTER a SET DEFAULT SESSION_USER"));
    }

    #[test]
    fn a_table_made_of_a_query_is_made_without_its_rows() {
        let tag = "CREATE TABLE AS";
        let made = "CREATE TABLE t AS SELECT 1 WITH NO DATA";
        assert_eq!(planned(tag, "CREATE TABLE t AS SELECT 1"), run(made));
        assert_eq!(planned(tag, "CREATE TABLE t AS SELECT 1 WITH DATA"), run(made));
        assert_eq!(planned(tag, made), run(made));
        assert_eq!(planned(tag, "CREATE TEMP TABLE t AS SELECT 1"), Plan::Nothing);
        assert_eq!(planned(tag, "CREATE TABLE pg_temp.t AS SELECT 1"), Plan::Nothing);
        assert!(matches!(planned(tag, "CREATE TABLE t AS EXECUTE p"), Plan::Refuse(_)));
        assert!(matches!(planned(tag, "CREATE TABLE t AS SELECT $1"), Plan::Refuse(_)));
    }

    #[test]
    fn select_into_becomes_a_table_made_of_a_query() {
        let tag = "SELECT INTO";
        let made = "CREATE TABLE s.\"t\" AS SELECT a FROM b WITH NO DATA";
        assert_eq!(planned(tag, "SELECT a INTO TABLE s.\"t\" FROM b"), run(made));
        let made = "CREATE UNLOGGED TABLE t AS SELECT a FROM b WITH NO DATA";
        assert_eq!(planned(tag, "SELECT a INTO UNLOGGED t FROM b"), run(made));
        assert_eq!(planned(tag, "SELECT a INTO TEMP t FROM b"), Plan::Nothing);
    }
}
