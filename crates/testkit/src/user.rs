//! Who runs the servers. PostgreSQL refuses to run as root ("server must be started under an
//! unprivileged user ID"), so root lends them another user.

use nix::unistd::{Group, Uid, User, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const OWN: &str = "mainstay-test";

/// The user who runs the servers when this process is root.
pub(crate) fn server_user() -> Option<&'static User> {
    static USER: OnceLock<Option<User>> = OnceLock::new();
    USER.get_or_init(|| Uid::effective().is_root().then(find_or_create)).as_ref()
}

fn find_or_create() -> User {
    let find = |name| User::from_name(name).expect("the user database can be read");
    find("postgres").or_else(|| find(OWN)).unwrap_or_else(|| {
        // Another test may create it at the same moment; only the result counts.
        let made = Command::new("useradd").args(["--system", "--no-create-home", OWN]).output();
        find(OWN).unwrap_or_else(|| panic!("could not create the user {OWN}: {made:?}"))
    })
}

/// Another user of this machine, by name and group, when this process is root and can be it.
pub fn other_user() -> Option<(String, String)> {
    let user = server_user()?;
    let group = Group::from_gid(user.gid).expect("the group database can be read");
    Some((user.name.clone(), group.expect("a user has a group").name))
}

/// The command runs as that user; with no other user as this one.
pub fn run_as_other(command: &mut Command) {
    run_as_server(command);
}

/// Makes `command` run as the servers' user.
pub(crate) fn run_as_server(command: &mut Command) {
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
}

/// Gives `path` to the servers' user.
pub(crate) fn give_to_server(path: &Path) {
    if let Some(user) = server_user() {
        chown(path, Some(user.uid), Some(user.gid))
            .unwrap_or_else(|e| panic!("cannot give {} to {}: {e}", path.display(), user.name));
    }
}
