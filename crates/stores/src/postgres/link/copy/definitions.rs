//! The tables' definitions, by PostgreSQL's own `pg_dump` and `pg_restore`: nobody knows better
//! what belongs to them.

use super::super::LinkSpec;
use super::super::failure::LinkError;
use super::super::sql::Sql;
use super::script::{self, Step};
use super::steps::not_made;
use crate::postgres::connect::place;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What the source's tables are made of, as of a snapshot.
pub(super) struct Definitions {
    /// The script that makes them, without what is better made when their rows are there.
    script: String,
    pub steps: Vec<Step>,
}

/// `snapshot` is held by another session at the source.
pub(super) async fn read(
    spec: &LinkSpec,
    source: &Sql,
    snapshot: &str,
) -> Result<Definitions, LinkError> {
    new_enough(spec, source).await?;
    let failed = |why: String| LinkError::Schema { place: place(&spec.target), why };
    let folder = Folder::make().map_err(|e| failed(e.to_string()))?;
    let archive = folder.0.join("definitions");
    let list = folder.0.join("list");
    dump(spec, snapshot, &archive).await.map_err(failed)?;
    let all = contents(spec, &archive).await.map_err(failed)?;
    std::fs::write(&list, without_own(&all)).map_err(|e| failed(e.to_string()))?;
    let script = section(spec, "pre-data", &archive, &list).await.map_err(failed)?;
    let after = section(spec, "post-data", &archive, &list).await.map_err(failed)?;
    Ok(Definitions { script, steps: script::steps(&after) })
}

impl Definitions {
    /// All in one transaction with `record`: either the target has the tables and knows that they
    /// are to be filled, or it has neither.
    pub(super) async fn make(&self, spec: &LinkSpec, record: &str) -> Result<(), LinkError> {
        let target = Sql::open(&spec.target, &spec.apply_session()).await?;
        let settings = "SET session_replication_role = replica; \
                        SET client_min_messages = warning";
        target.batch("begin to make tables", settings).await?;
        let version = "SELECT current_setting('server_version_num')::int4 / 10000";
        let rows = target.rows("read the server's version", version, &[]).await?;
        let major: i32 = rows.first().map_or(0, |row| row.get(0));
        let script = for_server(&self.script, major);
        let sql = format!("BEGIN;\n{script}\n{record}\nCOMMIT");
        let made = target.batch("make the tables", &sql).await;
        made.map_err(|error| not_made(&target, "the tables' definitions", error))
    }
}

/// Without the commands of `psql`, and without a setting that the server does not have.
fn for_server(script: &str, major: i32) -> String {
    const SINCE_17: &str = "SET transaction_timeout = 0;";
    let old = |line: &str| major < 17 && line == SINCE_17;
    // Only the header has them: further below the line could be part of a function.
    let mut header = true;
    let mut kept = String::with_capacity(script.len());
    for line in script.lines() {
        header &= !line.starts_with("CREATE ");
        let left_out = header && (old(line) || line.starts_with("\\restrict "));
        if !left_out {
            kept += line;
            kept.push('\n');
        }
    }
    match kept.rfind("\n\\unrestrict ") {
        Some(end) => kept[..=end].to_owned(),
        None => kept,
    }
}

/// An older `pg_dump` refuses a newer server; said in time, with what to do.
async fn new_enough(spec: &LinkSpec, source: &Sql) -> Result<(), LinkError> {
    let mut command = tool(spec, "pg_dump", None);
    command.arg("--version");
    let failed = |why| LinkError::Schema { place: place(&spec.target), why };
    let told = run(command).await.map_err(failed)?;
    let version = "SELECT current_setting('server_version_num')::int4 / 10000";
    let rows = source.rows("read the server's version", version, &[]).await?;
    let server: i32 = rows.first().map_or(0, |row| row.get(0));
    match major(&told) {
        Some(tools) if tools < server => Err(LinkError::OldTools {
            place: source.place().to_owned(),
            folder: spec.tools.display().to_string(),
            tools,
            server,
        }),
        _ => Ok(()),
    }
}

/// Of `pg_dump (PostgreSQL) 18.6 (Debian ...)`, or of `17beta1`.
fn major(told: &str) -> Option<i32> {
    let version = told.split_once("(PostgreSQL) ")?.1;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// Mainstay's tables, publication and login trigger are each site's own.
async fn dump(spec: &LinkSpec, snapshot: &str, archive: &Path) -> Result<(), String> {
    let mut command = tool(spec, "pg_dump", Some(&spec.source));
    command.args(["--section=pre-data", "--section=post-data", "--format=custom"]);
    command.args(["--exclude-schema=mainstay", "--no-publications", "--no-subscriptions"]);
    command.arg("--no-password").arg(format!("--snapshot={snapshot}"));
    command.arg("--file").arg(archive);
    run(command).await.map(|_| ())
}

async fn contents(spec: &LinkSpec, archive: &Path) -> Result<String, String> {
    let mut command = tool(spec, "pg_restore", None);
    command.arg("--list").arg(archive);
    run(command).await
}

/// The archive's list of contents without what Mainstay made: event triggers are of no schema.
fn without_own(list: &str) -> String {
    let named = |line: &str| line.contains(" mainstay_") || line.contains(" _mainstay_");
    let own = |line: &&str| line.contains("EVENT TRIGGER") && named(line);
    let kept: Vec<_> = list.lines().filter(|line| !own(line)).collect();
    kept.join("\n") + "\n"
}

/// One section as a script.
async fn section(
    spec: &LinkSpec,
    name: &str,
    archive: &Path,
    list: &Path,
) -> Result<String, String> {
    let mut command = tool(spec, "pg_restore", None);
    command.arg(format!("--section={name}")).arg("--use-list").arg(list);
    command.arg("--file=-").arg(archive);
    run(command).await
}

/// Addresses and passwords go by the environment: arguments are seen by everybody on the machine.
fn tool(spec: &LinkSpec, name: &str, endpoint: Option<&PostgresEndpoint>) -> Command {
    let mut command = Command::new(spec.tools.join(name));
    // A relocated PostgreSQL finds its own libpq only when it is told.
    let lib = spec.tools.parent().map(|folder| folder.join("lib"));
    if let Some(lib) = lib.filter(|lib| lib.is_dir()) {
        command.env("LD_LIBRARY_PATH", lib);
    }
    if let Some(endpoint) = endpoint {
        address(&mut command, endpoint);
    }
    // The verdict on a failure reads its words, in English.
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn address(command: &mut Command, endpoint: &PostgresEndpoint) {
    command.env("PGHOST", &endpoint.host).env("PGPORT", endpoint.port.to_string());
    command.env("PGDATABASE", &endpoint.database).env("PGUSER", &endpoint.user);
    command.env("PGAPPNAME", "mainstay definitions").env("PGCONNECT_TIMEOUT", "5");
    if let Some(password) = &endpoint.password {
        command.env("PGPASSWORD", password.expose());
    }
    match &endpoint.tls {
        PostgresTls::Disable => command.env("PGSSLMODE", "disable"),
        PostgresTls::VerifyFull { authority } => {
            command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", authority)
        }
    };
}

/// What the tool wrote, or the end of its complaint.
async fn run(mut command: Command) -> Result<String, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.map_err(|e| format!("cannot run {program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} failed: {}", complaint(&String::from_utf8_lossy(&output.stderr))))
}

/// The end of what a program wrote, without the query, which can be longer than all the rest.
fn complaint(written: &str) -> String {
    let said = written.lines().take_while(|line| !line.contains("detail: Query was:"));
    let lines: Vec<_> = said.filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

/// A folder that only this user can enter, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("mainstay-{}", uuid::Uuid::new_v4()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(folder = %self.0.display(), %error, "cannot remove a temporary folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_made_fit_for_the_server() {
        let script = "\\restrict a\nSET transaction_timeout = 0;\nCREATE FUNCTION f() AS $$\n\
                      \\restrict b\nSET transaction_timeout = 0;\n$$;\n\\unrestrict a\n";
        let body = "CREATE FUNCTION f() AS $$\n\\restrict b\nSET transaction_timeout = 0;\n$$;\n";
        assert_eq!(for_server(script, 16), body);
        assert_eq!(for_server(script, 17), format!("SET transaction_timeout = 0;\n{body}"));
    }

    #[test]
    fn a_complaint_is_told_without_the_query() {
        let written = "pg_dump: error: query failed: FATAL:  terminating connection\n\
                       server closed the connection unexpectedly\n\n\
                       pg_dump: detail: Query was: SELECT a,\nb,\nc,\nd,\ne";
        let expected = "pg_dump: error: query failed: FATAL:  terminating connection; \
                        server closed the connection unexpectedly";
        assert_eq!(complaint(written), expected);
    }

    #[test]
    fn the_tools_tell_their_version() {
        assert_eq!(major("pg_dump (PostgreSQL) 18.6 (Debian 18.6-1)\n"), Some(18));
        assert_eq!(major("pg_dump (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("pg_dump of somebody else"), None);
    }

    #[test]
    fn our_own_event_trigger_is_left_out_and_nothing_else() {
        let list = "; Archive\n\
                    3; 3466 16400 EVENT TRIGGER - mainstay_refuse_login postgres\n\
                    6; 3466 16403 EVENT TRIGGER - _mainstay_schema_end postgres\n\
                    4; 3466 16401 EVENT TRIGGER - audit postgres\n\
                    5; 1259 16402 TABLE public mainstay_notes postgres\n";
        let kept = without_own(list);
        assert!(!kept.contains("mainstay_refuse_login") && !kept.contains("_mainstay_schema_end"));
        assert!(kept.contains("audit") && kept.contains("mainstay_notes"));
    }
}
