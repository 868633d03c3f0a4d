//! The words of SQL, as far as they tell statements apart: PostgreSQL's quotes, comments and
//! dollar quotes (manual, "Lexical Structure"). What the words mean is not looked at.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key word or a name without quotes.
    Word,
    /// A name in double quotes.
    Name,
    /// A constant in single quotes or dollar quotes.
    Text,
    /// `$1`
    Parameter,
    Number,
    /// One character of anything else.
    Symbol,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
    /// Parentheses and brackets that are open around it.
    pub depth: usize,
}

/// A quote, comment or parenthesis has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incomplete;

/// `backslashes`: also in constants without `E` (`standard_conforming_strings` is off).
pub(super) fn tokens(sql: &str, backslashes: bool) -> Result<Vec<Token>, Incomplete> {
    let mut lexer = Lexer { sql, at: 0, depth: 0, backslashes };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    if lexer.depth == 0 { Ok(tokens) } else { Err(Incomplete) }
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    depth: usize,
    backslashes: bool,
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn goes_on_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit() || c == '$'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    /// Bytes at the beginning of the rest whose characters fit.
    fn run(&self, fits: impl Fn(char) -> bool) -> usize {
        self.rest().find(|c| !fits(c)).unwrap_or(self.rest().len())
    }

    fn next(&mut self) -> Result<Option<Token>, Incomplete> {
        self.skip()?;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let start = self.at;
        let depth = self.depth;
        let kind = match first {
            '\'' => self.quoted('\'', self.backslashes, Kind::Text)?,
            '"' => self.quoted('"', false, Kind::Name)?,
            '$' => self.dollar()?,
            'e' | 'E' if self.rest()[1..].starts_with('\'') => {
                self.at += 1;
                self.quoted('\'', true, Kind::Text)?
            }
            c if begins_word(c) => {
                self.at += self.run(goes_on_word);
                Kind::Word
            }
            c if c.is_ascii_digit() => {
                self.at += self.run(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
                Kind::Number
            }
            c => self.symbol(c)?,
        };
        Ok(Some(Token { kind, at: start..self.at, depth: depth.min(self.depth) }))
    }

    fn symbol(&mut self, c: char) -> Result<Kind, Incomplete> {
        match c {
            '(' | '[' => self.depth += 1,
            ')' | ']' => self.depth = self.depth.checked_sub(1).ok_or(Incomplete)?,
            _ => {}
        }
        self.at += c.len_utf8();
        Ok(Kind::Symbol)
    }

    /// White space and comments; those in slashes and stars nest.
    fn skip(&mut self) -> Result<(), Incomplete> {
        loop {
            self.at += self.run(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c'));
            if self.rest().starts_with("--") {
                self.at += self.run(|c| c != '\n' && c != '\r');
            } else if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn comment(&mut self) -> Result<(), Incomplete> {
        let mut open = 0;
        loop {
            let next = self.rest().find(['/', '*']).ok_or(Incomplete)?;
            self.at += next;
            if self.rest().starts_with("/*") {
                open += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                open -= 1;
                self.at += 2;
            } else {
                self.at += 1;
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// A doubled quote inside stands for one.
    fn quoted(&mut self, quote: char, backslashes: bool, kind: Kind) -> Result<Kind, Incomplete> {
        self.at += 1;
        loop {
            let stops = |c| c == quote || (backslashes && c == '\\');
            self.at += self.rest().find(stops).ok_or(Incomplete)?;
            if self.rest().starts_with('\\') {
                let escaped = self.rest()[1..].chars().next().ok_or(Incomplete)?;
                self.at += 1 + escaped.len_utf8();
                continue;
            }
            self.at += 1;
            if !self.rest().starts_with(quote) {
                return Ok(kind);
            }
            self.at += 1;
        }
    }

    fn dollar(&mut self) -> Result<Kind, Incomplete> {
        let digits = self.rest()[1..].find(|c: char| !c.is_ascii_digit());
        let digits = digits.unwrap_or(self.rest().len() - 1);
        if digits > 0 {
            self.at += 1 + digits;
            return Ok(Kind::Parameter);
        }
        let tag = self.rest()[1..].find(|c| c == '$' || !goes_on_word(c));
        let tag = tag.filter(|end| self.rest()[1 + end..].starts_with('$'));
        let Some(end) = tag else {
            self.at += 1;
            return Ok(Kind::Symbol);
        };
        let quote = self.rest()[..end + 2].to_owned();
        let inside = self.at + quote.len();
        let close = self.sql[inside..].find(&quote).ok_or(Incomplete)?;
        self.at = inside + close + quote.len();
        Ok(Kind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql, false).unwrap().into_iter().map(|token| &sql[token.at]).collect()
    }

    #[test]
    fn quotes_comments_and_dollars_hide_what_is_in_them() {
        assert_eq!(texts("a 'b;''c' d"), ["a", "'b;''c'", "d"]);
        assert_eq!(texts(r"E'b\';c' '\'"), [r"E'b\';c'", r"'\'"]);
        assert_eq!(texts(r#""a;""b" c"#), [r#""a;""b""#, "c"]);
        assert_eq!(texts("a -- ;'\nb /* ; /* ' */ ; */ c"), ["a", "b", "c"]);
        assert_eq!(texts("$x$ ; $$ ' $x$ $$;$$ $1"), ["$x$ ; $$ ' $x$", "$$;$$", "$1"]);
        assert_eq!(texts("a$x$ b"), ["a$x$", "b"], "a name may hold dollars");
        assert_eq!(texts("x=$tag"), ["x", "=", "$", "tag"]);
    }

    #[test]
    fn what_has_no_end_is_incomplete() {
        for sql in ["'a", "\"a", "$$ a $", "/* /* */", "(a", "a)", r"E'\'"] {
            assert_eq!(tokens(sql, false), Err(Incomplete), "{sql}");
        }
        assert_eq!(tokens(r"'\'", true), Err(Incomplete));
    }

    #[test]
    fn the_depth_counts_what_is_open_around_a_token() {
        let depths: Vec<_> = tokens("a (b [c]) d", false).unwrap();
        let depths: Vec<_> = depths.iter().map(|token| token.depth).collect();
        assert_eq!(depths, [0, 0, 1, 1, 2, 1, 0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn tokens_lie_in_order_within_the_text(sql in "[ab1'\"$/*(;\\\\\n -]{0,40}|\\PC{0,20}") {
            if let Ok(tokens) = tokens(&sql, false) {
                let mut end = 0;
                for token in tokens {
                    proptest::prop_assert!(end <= token.at.start && token.at.start < token.at.end);
                    proptest::prop_assert!(sql.get(token.at.clone()).is_some());
                    end = token.at.end;
                }
            }
        }
    }
}
