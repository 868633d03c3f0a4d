//! The tables' definitions, by PostgreSQL's own `pg_dump` and `pg_restore`: nobody knows better
//! what belongs to them.

use super::super::LinkSpec;
use super::super::failure::LinkError;
use crate::postgres::connect::place;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// All definitions in one transaction: either the target has its tables, or it has none.
pub(super) async fn copy(spec: &LinkSpec) -> Result<(), LinkError> {
    let failed = |why: String| LinkError::Schema { place: place(&spec.target), why };
    let folder = Folder::make().map_err(|e| failed(e.to_string()))?;
    let archive = folder.0.join("definitions");
    let list = folder.0.join("list");
    dump(spec, &archive).await.map_err(failed)?;
    let all = contents(spec, &archive).await.map_err(failed)?;
    std::fs::write(&list, without_own(&all)).map_err(|e| failed(e.to_string()))?;
    restore(spec, &archive, &list).await.map_err(failed)
}

/// Mainstay's tables, publication and login trigger are each site's own.
async fn dump(spec: &LinkSpec, archive: &Path) -> Result<(), String> {
    let mut command = tool(spec, "pg_dump", Some(&spec.source));
    command.args(["--schema-only", "--format=custom", "--exclude-schema=mainstay"]);
    command.args(["--no-publications", "--no-subscriptions", "--no-password"]);
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

async fn restore(spec: &LinkSpec, archive: &Path, list: &Path) -> Result<(), String> {
    let mut command = tool(spec, "pg_restore", Some(&spec.target));
    command.args(["--single-transaction", "--exit-on-error", "--no-password"]);
    command.arg("--dbname").arg(&spec.target.database);
    command.arg("--use-list").arg(list).arg(archive);
    run(command).await.map(|_| ())
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
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = complaint.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(4)..].join("; ");
    Err(format!("{program} failed: {last}"))
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
