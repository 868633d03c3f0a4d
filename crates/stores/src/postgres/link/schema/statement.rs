//! One statement of SQL, and how it is cut out of a string of several.

use super::lexer::{Incomplete, Kind, Token, tokens};

/// Between the words of a command tag in a statement.
const QUALITIES: [&str; 12] = [
    "OR",
    "REPLACE",
    "TEMP",
    "TEMPORARY",
    "LOCAL",
    "GLOBAL",
    "UNLOGGED",
    "UNIQUE",
    "RECURSIVE",
    "TRUSTED",
    "PROCEDURAL",
    "CONSTRAINT",
];

/// One statement, without the semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub sql: String,
    pub tokens: Vec<Token>,
}

impl Statement {
    /// The string's statements in order; empty ones are none.
    pub fn split(sql: &str, backslashes: bool) -> Result<Vec<Self>, Incomplete> {
        let tokens = tokens(sql, backslashes)?;
        let mut bodies = Bodies::default();
        let mut statements = Vec::new();
        let mut first = 0;
        for (i, token) in tokens.iter().enumerate() {
            let text = &sql[token.at.clone()];
            bodies.see(token, text);
            if text == ";" && token.depth == 0 && !bodies.inside() {
                statements.extend(Self::cut(sql, &tokens[first..i]));
                first = i + 1;
                bodies = Bodies::default();
            }
        }
        if bodies.inside() {
            return Err(Incomplete);
        }
        statements.extend(Self::cut(sql, &tokens[first..]));
        Ok(statements)
    }

    fn cut(sql: &str, tokens: &[Token]) -> Option<Self> {
        let (start, end) = (tokens.first()?.at.start, tokens.last()?.at.end);
        let moved = |token: &Token| Token {
            kind: token.kind,
            at: token.at.start - start..token.at.end - start,
            depth: token.depth,
        };
        Some(Self { sql: sql[start..end].to_owned(), tokens: tokens.iter().map(moved).collect() })
    }

    pub fn text(&self, token: &Token) -> &str {
        &self.sql[token.at.clone()]
    }

    /// The key word at this place, in upper case; empty where there is none.
    pub fn word(&self, place: usize) -> String {
        match self.tokens.get(place) {
            Some(token) if token.kind == Kind::Word => self.text(token).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Where these words stand one after the other outside of parentheses, at `from` or later.
    pub fn find(&self, words: &[&str], from: usize) -> Option<usize> {
        let here = |place: usize| {
            let word = |(i, word): (usize, &&str)| {
                self.tokens.get(place + i).is_some_and(|t| t.depth == 0)
                    && self.word(place + i) == **word
            };
            words.iter().enumerate().all(word)
        };
        (from..self.tokens.len()).find(|place| here(*place))
    }

    /// The statement without the tokens of `range`.
    pub fn without(&self, range: std::ops::Range<usize>) -> String {
        let (Some(first), Some(last)) = (self.tokens.get(range.start), range.end.checked_sub(1))
        else {
            return self.sql.clone();
        };
        let end = self.tokens.get(last).map_or(first.at.end, |token| token.at.end);
        format!("{} {}", &self.sql[..first.at.start].trim_end(), self.sql[end..].trim_start())
            .trim()
            .to_owned()
    }

    /// Whether PostgreSQL's event triggers call this statement `tag`.
    pub fn is(&self, tag: &str) -> bool {
        match tag {
            "SELECT INTO" => self.makes_table_of_select(),
            "CREATE TABLE AS" => self.leads_with("CREATE TABLE") && self.as_query().is_some(),
            "CREATE TABLE" => self.leads_with(tag) && self.as_query().is_none(),
            // Memberships, and rights to what is not of one database, wake no event trigger.
            "GRANT" | "REVOKE" => self.leads_with(tag) && self.is_of_an_object(),
            "COMMENT" => self.leads_with(tag) && !self.is_shared(2),
            _ => self.leads_with(tag),
        }
    }

    /// Words such as TEMP and UNIQUE are in the statement, and not in the tag.
    fn leads_with(&self, tag: &str) -> bool {
        let words = (0..self.tokens.len()).map(|place| self.word(place));
        let mut words = words.filter(|word| !QUALITIES.contains(&word.as_str()));
        let found = tag.split(' ').all(|wanted| words.next().is_some_and(|word| word == wanted));
        // The tag of an operator is the beginning of those of its classes and families.
        let longer = tag.ends_with(" OPERATOR") && matches!(&*self.word(2), "CLASS" | "FAMILY");
        found && !longer
    }

    /// Where the query of `CREATE TABLE ... AS` begins.
    pub fn as_query(&self) -> Option<usize> {
        self.find(&["AS"], 2).map(|place| place + 1)
    }

    fn makes_table_of_select(&self) -> bool {
        let of_rows = |place: usize| matches!(self.word(place).as_str(), "INSERT" | "MERGE");
        matches!(self.word(0).as_str(), "SELECT" | "WITH")
            && self.find(&["INTO"], 1).is_some_and(|place| !of_rows(place - 1))
    }

    fn is_of_an_object(&self) -> bool {
        self.find(&["ON"], 1).is_some_and(|place| !self.is_shared(place + 1))
    }

    fn is_shared(&self, place: usize) -> bool {
        matches!(self.word(place).as_str(), "DATABASE" | "TABLESPACE" | "ROLE" | "PARAMETER")
    }
}

/// Bodies of functions that are written without quotes: `BEGIN ATOMIC ... END`.
#[derive(Default)]
struct Bodies {
    words: usize,
    of_function: bool,
    begun: usize,
    last: String,
}

impl Bodies {
    fn see(&mut self, token: &Token, text: &str) {
        self.words += 1;
        if token.kind != Kind::Word {
            self.last.clear();
            return;
        }
        let word = text.to_ascii_uppercase();
        match word.as_str() {
            "FUNCTION" | "PROCEDURE" if self.words <= 4 && self.last != "ON" => {
                self.of_function = true;
            }
            "ATOMIC" if self.of_function && self.last == "BEGIN" => self.begun += 1,
            "CASE" if self.begun > 0 => self.begun += 1,
            "END" if self.begun > 0 => self.begun -= 1,
            _ => {}
        }
        self.last = word;
    }

    fn inside(&self) -> bool {
        self.begun > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Statement {
        let mut all = Statement::split(sql, false).unwrap();
        assert_eq!(all.len(), 1, "{sql}");
        all.remove(0)
    }

    #[test]
    fn a_string_is_split_where_postgresql_splits_it() {
        let sql = "BEGIN; ; CREATE TABLE a (b text DEFAULT ';'); DO $$ BEGIN; END $$; -- ;\n\
                   CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); COMMIT";
        let all: Vec<_> = Statement::split(sql, false).unwrap();
        let all: Vec<_> = all.iter().map(|statement| statement.sql.as_str()).collect();
        assert_eq!(all.len(), 5, "{all:?}");
        assert_eq!(all[3], "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2)");
    }

    #[test]
    fn a_body_without_quotes_is_one_statement() {
        let sql = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE \
                   WHEN true THEN 2 END; END; SELECT 3";
        assert_eq!(Statement::split(sql, false).unwrap().len(), 2);
        assert!(Statement::split("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", false).is_err());
    }

    #[test]
    fn statements_are_known_by_their_tags() {
        for (sql, tag) in [
            ("create temp table a (b int)", "CREATE TABLE"),
            ("CREATE TABLE a (b int GENERATED ALWAYS AS (1) STORED)", "CREATE TABLE"),
            ("CREATE UNLOGGED TABLE a AS SELECT 1", "CREATE TABLE AS"),
            ("SELECT 1 INTO a", "SELECT INTO"),
            ("WITH x AS (SELECT 1) SELECT * INTO a FROM x", "SELECT INTO"),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON a (b)", "CREATE INDEX"),
            ("CREATE OR REPLACE RECURSIVE VIEW v (a) AS SELECT 1", "CREATE VIEW"),
            ("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a", "CREATE TRIGGER"),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW"),
            ("GRANT SELECT ON a TO b", "GRANT"),
            ("COMMENT ON TABLE a IS 'b'", "COMMENT"),
            ("ALTER TABLE ONLY a ADD b int", "ALTER TABLE"),
            ("CREATE OPERATOR + (LEFTARG = int)", "CREATE OPERATOR"),
            (
                "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS STORAGE int",
                "CREATE OPERATOR CLASS",
            ),
        ] {
            assert!(one(sql).is(tag), "{sql}");
        }
        for (sql, tag) in [
            ("CREATE TABLE a AS SELECT 1", "CREATE TABLE"),
            ("GRANT a TO b", "GRANT"),
            ("GRANT CONNECT ON DATABASE a TO b", "GRANT"),
            ("COMMENT ON ROLE a IS 'b'", "COMMENT"),
            ("CREATE OPERATOR FAMILY f USING btree", "CREATE OPERATOR"),
            ("INSERT INTO a SELECT 1", "SELECT INTO"),
            ("WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x", "SELECT INTO"),
            ("CREATE VIEW v AS SELECT 1", "CREATE TABLE AS"),
        ] {
            assert!(!one(sql).is(tag), "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn statements_that_were_joined_are_divided_again(
            chosen in proptest::collection::vec((0..5usize, 0..4usize), 1..8)
        ) {
            const STATEMENTS: [&str; 5] = [
                "CREATE TABLE \"a;b\" (c text DEFAULT ';''' /* ; */)",
                "DO $do$ BEGIN PERFORM ';'; END $do$",
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END",
                r"SELECT E'\';', '\', $$;$$",
                "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2)",
            ];
            const BETWEEN: [&str; 4] = [";", " ; ;\n", "; -- ;'\n", "; /* ' /* ; */ */ "];
            let sql: String =
                chosen.iter().map(|(s, b)| format!("{}{}", STATEMENTS[*s], BETWEEN[*b])).collect();
            let divided = Statement::split(&sql, false).unwrap();
            let divided: Vec<_> = divided.into_iter().map(|one| one.sql).collect();
            let wanted: Vec<_> = chosen.iter().map(|(s, _)| STATEMENTS[*s].to_owned()).collect();
            proptest::prop_assert_eq!(divided, wanted);
        }
    }

    #[test]
    fn tokens_are_left_out_of_a_statement() {
        let statement = one("CREATE INDEX /* now */ CONCURRENTLY i ON t (a)");
        let place = statement.find(&["CONCURRENTLY"], 0).unwrap();
        assert_eq!(statement.without(place..place + 1), "CREATE INDEX /* now */ i ON t (a)");
    }
}
