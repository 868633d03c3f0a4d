//! The script that `pg_restore` writes, taken apart into its statements.

/// What is to be made when the rows are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An index, or a constraint that is one: of one table only, and work for many seconds.
    Key,
    /// Triggers, rules, policies and the like.
    Rest,
    /// It reads rows of several tables, so these must be of one instant.
    Late,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::Rest => "rest",
            Kind::Late => "late",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub kind: Kind,
    /// As SQL writes it; for keys.
    pub table: String,
    pub statement: String,
}

/// The steps of a script, in its order. Settings that matter for a step go with it.
pub(super) fn steps(script: &str) -> Vec<Step> {
    let mut tablespace = None;
    let mut steps = Vec::new();
    for statement in statements(script) {
        if let Some(setting) = statement.strip_prefix("SET default_tablespace = ") {
            tablespace = (setting != "''").then(|| setting.to_owned());
        } else if !is_setting(statement) {
            let (kind, table) = classify(statement);
            let local = tablespace.as_ref().filter(|_| kind == Kind::Key);
            let local = local.map(|t| format!("SET LOCAL default_tablespace = {t};\n"));
            let statement = local.unwrap_or_default() + statement;
            steps.push(Step { kind, table, statement });
        }
    }
    steps
}

fn is_setting(statement: &str) -> bool {
    statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config(")
}

fn classify(statement: &str) -> (Kind, String) {
    let words = words(statement);
    let at = |place: usize| words.get(place).copied().unwrap_or_default();
    let has = |word: &str| words.contains(&word);
    let late = || (Kind::Late, String::new());
    match at(0) {
        "CREATE" if at(1) == "INDEX" || (at(1) == "UNIQUE" && at(2) == "INDEX") => {
            (Kind::Key, after(&words, "ON").to_owned())
        }
        "ALTER" if at(1) == "TABLE" && has("ADD") && has("CONSTRAINT") => {
            let name = words.iter().position(|word| *word == "CONSTRAINT").unwrap_or_default();
            match words.get(name + 2).copied().unwrap_or_default() {
                "PRIMARY" | "UNIQUE" | "EXCLUDE" => (Kind::Key, after(&words, "TABLE").to_owned()),
                _ => late(),
            }
        }
        // Of foreign keys perhaps.
        "COMMENT" | "REFRESH" => late(),
        _ => (Kind::Rest, String::new()),
    }
}

/// The word after the first `mark`, without ONLY.
fn after<'a>(words: &[&'a str], mark: &str) -> &'a str {
    let mut after = words.iter().skip_while(|word| **word != mark).skip(1);
    after.find(|word| **word != "ONLY").copied().unwrap_or_default()
}

/// Split at white space, but names in double quotes are kept whole.
fn words(statement: &str) -> Vec<&str> {
    let mut quoted = false;
    let split = statement.split(|c: char| {
        quoted ^= c == '"';
        !quoted && (c.is_whitespace() || c == ';')
    });
    split.filter(|word| !word.is_empty()).collect()
}

/// The statements without what stands between them: comments, and the commands of `psql` that
/// newer versions write (a line that begins with a backslash).
pub(super) fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = script;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        if rest.starts_with("--") || rest.starts_with('\\') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let length = statement_length(rest);
        found.push(rest[..length].trim_end_matches(';').trim_end());
        rest = &rest[length..];
    }
}

/// Up to and including the semicolon that ends it: outside of quotes, comments and parentheses.
fn statement_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => at = string_end(bytes, at, at > 0 && matches!(bytes[at - 1], b'E' | b'e')),
            b'"' => at = string_end(bytes, at, false),
            b'-' if bytes[at..].starts_with(b"--") => at = line_end(bytes, at),
            b'$' => at = dollar_end(text, at),
            b';' if depth == 0 => return at + 1,
            b'(' => (depth, at) = (depth + 1, at + 1),
            b')' => (depth, at) = (depth.saturating_sub(1), at + 1),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the string that begins at `at`. Two quotes are one inside of it, which reads as two
/// strings side by side.
fn string_end(bytes: &[u8], at: usize, backslashes: bool) -> usize {
    let quote = bytes[at];
    let mut next = at + 1;
    while next < bytes.len() && bytes[next] != quote {
        next += if backslashes && bytes[next] == b'\\' { 2 } else { 1 };
    }
    (next + 1).min(bytes.len())
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Behind the `$tag$...$tag$` that begins at `at`, or behind the one character.
fn dollar_end(text: &str, at: usize) -> usize {
    let rest = &text[at + 1..];
    let tag = rest.find('$').map(|end| &rest[..end]);
    // Part of a name such as `a$b`, or of a parameter.
    let inside = at > 0 && is_name(text.as_bytes()[at - 1]);
    let Some(tag) = tag.filter(|tag| !inside && tag.bytes().all(is_name)) else { return at + 1 };
    let mark = format!("${tag}$");
    let body = at + mark.len();
    text[body..].find(&mark).map_or(text.len(), |end| body + end + mark.len())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = r#"--
-- PostgreSQL database dump
--
\restrict abc

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
SET default_tablespace = fast;

--
-- Name: t t_pkey; Type: CONSTRAINT; Schema: public; Owner: bank
--

ALTER TABLE ONLY public."my t"
    ADD CONSTRAINT t_pkey PRIMARY KEY (id);

SET default_tablespace = '';
CREATE UNIQUE INDEX "an index ON x" ON ONLY public.t USING btree (lower(a), ((b || ';'::text)));
CREATE RULE r AS ON DELETE TO public.t DO INSTEAD ( SELECT 1; SELECT $x$;'$x$; );
COMMENT ON INDEX public.i IS 'a; b'' -- c
-- Name: no; Type: INDEX
';
ALTER TABLE ONLY public.c
    ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES public.t(id);
CREATE TRIGGER g AFTER INSERT ON public.t FOR EACH ROW WHEN ((new.a = E'\';')) EXECUTE FUNCTION public.f();

\unrestrict abc
"#;

    #[test]
    fn a_script_is_taken_apart_into_the_steps_that_it_has() {
        let steps = steps(SCRIPT);
        let seen: Vec<_> = steps.iter().map(|s| (s.kind, s.table.as_str())).collect();
        let expected = [
            (Kind::Key, "public.\"my t\""),
            (Kind::Key, "public.t"),
            (Kind::Rest, ""),
            (Kind::Late, ""),
            (Kind::Late, ""),
            (Kind::Rest, ""),
        ];
        assert_eq!(seen, expected);
        assert!(steps[0].statement.starts_with("SET LOCAL default_tablespace = fast;\nALTER"));
        assert!(steps[2].statement.ends_with("SELECT $x$;'$x$; )"), "{:?}", steps[2]);
        assert!(steps[3].statement.ends_with("INDEX\n'"), "{:?}", steps[3]);
    }

    #[test]
    fn settings_and_commands_of_psql_are_no_statements_of_the_script() {
        assert_eq!(
            statements("\\restrict a\nSET a = 1;\n-- b;\nSELECT 1"),
            ["SET a = 1", "SELECT 1"]
        );
        assert_eq!(words("a \"b c\".d\n;"), ["a", "\"b c\".d"]);
    }
}
