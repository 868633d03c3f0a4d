use super::folder;
use std::process::Command;

pub(super) fn dump(mut pg_dump: Command, database: &str) -> String {
    pg_dump.args(["--exclude-schema=mainstay", "--no-publications", "--no-subscriptions"]);
    let text = folder::run(pg_dump.args(["--dbname", database]));
    let text = String::from_utf8(text).expect("the database's encoding is UTF-8");
    comparable(&text)
}

/// Sorts the rows of each COPY block, since their order has no meaning, and leaves out comments,
/// `\restrict` (its key is random) and the state of sequences.
fn comparable(dump: &str) -> String {
    let mut out = Vec::new();
    let mut lines = dump.lines();
    while let Some(line) = lines.next() {
        if is_noise(line) {
            continue;
        }
        out.push(line);
        if line.starts_with("COPY ") && line.ends_with(" FROM stdin;") {
            let mut rows: Vec<&str> = lines.by_ref().take_while(|row| *row != "\\.").collect();
            rows.sort_unstable();
            out.extend(rows);
            out.push("\\.");
        }
    }
    out.join("\n")
}

fn is_noise(line: &str) -> bool {
    let beginnings = ["--", "\\restrict ", "\\unrestrict ", "SELECT pg_catalog.setval("];
    line.is_empty() || beginnings.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn dumps_that_differ_only_in_the_order_of_rows_are_equal() {
        let one =
            "-- a comment\n\\restrict x\nCOPY public.t (a) FROM stdin;\n2\n1\n\\.\n\nSET x = 1;";
        let other = "COPY public.t (a) FROM stdin;\n1\n2\n\\.\nSET x = 1;";
        assert_eq!(comparable(one), comparable(other));
    }

    #[test]
    fn a_row_more_makes_a_difference() {
        let block = |rows| format!("COPY public.t (a) FROM stdin;\n{rows}\\.\n");
        assert_ne!(comparable(&block("1\n")), comparable(&block("1\n1\n")));
    }
}
