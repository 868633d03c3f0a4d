//! Both databases as `pg_dump` writes them.

use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, STANDBY};

/// Whether the bank's tables, their definitions, rights and rows, are the same at both sites.
pub async fn dumps_are_equal(lab: &CurrentLab) -> Result<bool, LabError> {
    let (home, standby) = tokio::try_join!(dump(lab, HOME), dump(lab, STANDBY))?;
    Ok(comparable(&home) == comparable(&standby))
}

async fn dump(lab: &CurrentLab, site: &str) -> Result<String, LabError> {
    let address = lab.plan.data(site)?.postgres;
    let doing = || format!("dump the database at {site}");
    let output = tokio::process::Command::new(lab.plan.postgres.join("bin/pg_dump"))
        .args(["--schema=public", "--no-publications", "--username=postgres", "--dbname=bank"])
        .args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()])
        .env("PGPASSWORD", &lab.secrets.postgres)
        .env("LD_LIBRARY_PATH", lab.plan.postgres.join("lib"))
        .output()
        .await
        .doing(doing)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(std::io::Error::other(said)).doing(doing);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sorts the rows of each table, since their order has no meaning, and leaves out comments, the
/// random key of `\restrict`, and the state of sequences, which a link brings at a move only.
fn comparable(dump: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut lines = dump.lines();
    let noise = ["--", "\\restrict ", "\\unrestrict ", "SELECT pg_catalog.setval("];
    while let Some(line) = lines.next() {
        if noise.iter().any(|beginning| line.starts_with(beginning)) {
            continue;
        }
        out.push(line);
        if line.starts_with("COPY ") && line.ends_with(" FROM stdin;") {
            let mut rows: Vec<&str> = lines.by_ref().take_while(|row| *row != "\\.").collect();
            rows.sort_unstable();
            out.extend(rows);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn the_order_of_rows_makes_no_difference_and_a_row_more_does() {
        let dump = |rows: &str| format!("-- noise\nCOPY t (a) FROM stdin;\n{rows}\\.\nSET x = 1;");
        assert_eq!(comparable(&dump("1\n2\n")), comparable(&dump("2\n1\n")));
        assert_ne!(comparable(&dump("1\n")), comparable(&dump("1\n1\n")));
    }
}
