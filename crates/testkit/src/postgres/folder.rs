use super::{PASSWORD, Postgres, USER};
use crate::user::{give_to_server, run_as_server};
use crate::watcher::Watcher;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A temporary folder with `data` (the cluster), `log`, and the server's socket.
pub(super) struct Folder {
    // Before the folder, which it too would remove.
    _watcher: Watcher,
    folder: TempDir,
}

impl Folder {
    /// `initdb` takes 0.4 s; a cluster copied from a template would be a little faster, but all
    /// copies would have the same system identifier, by which one server is told from another.
    pub(super) fn create(installation: &Path) -> Self {
        let folder = Self::empty();
        folder.initdb(installation);
        folder
    }

    /// With the cluster of a running server, set up to be its standby.
    pub(super) fn copied(primary: &Postgres) -> Self {
        let folder = Self::empty();
        let mut copy = primary.bin("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"]);
        copy.arg(folder.data());
        run_as_server(&mut copy);
        run(&mut copy);
        folder
    }

    fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("mainstay-pg-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        give_to_server(folder.path());
        Self { _watcher: Watcher::over(folder.path()), folder }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(super) fn log_file(&self) -> File {
        let log = File::options().create(true).append(true).open(self.log());
        log.expect("the log can be opened")
    }

    pub(super) fn read_log(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    fn initdb(&self, installation: &Path) {
        let password = self.path().join("password");
        fs::write(&password, PASSWORD).expect("the temporary folder is ours");
        give_to_server(&password);
        let mut initdb = program(installation, "initdb");
        initdb.args(["--username", USER, "--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(self.data());
        run_as_server(&mut initdb);
        run(&mut initdb);
    }
}

/// A program of the installation, with its own libraries: otherwise the machine's libpq of
/// another version could be taken.
pub(super) fn program(installation: &Path, name: &str) -> Command {
    let mut command = Command::new(installation.join("bin").join(name));
    let libraries = installation.join("lib");
    if libraries.join("libpq.so.5").exists() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    // Messages are compared in tests; and a server's folder need not be readable by others.
    command.env("LC_ALL", "C").env_remove("PGDATA").current_dir("/");
    command
}

/// Runs a program to its end and returns what it wrote.
pub(super) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {errors}", output.status);
    output.stdout
}
