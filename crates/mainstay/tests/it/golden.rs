//! Output that people read, as plain files in `tests/golden`. After a change that is meant:
//! `MAINSTAY_GOLDEN=write cargo nextest run -p mainstay`, and read the difference.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary, in an environment that has nothing of the person's own.
pub fn mainstay(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.current_dir(folder).env_clear().env("TZ", "UTC").env("XDG_RUNTIME_DIR", folder);
    command
}

/// Standard output and standard error, with the folder's name taken out.
pub fn shown(output: &Output, folder: &Path) -> String {
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "DIR");
    format!(
        "{}{}exit {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

/// Compares with the file, or writes it when asked to.
pub fn compare(name: &str, actual: &str) {
    compare_file(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name),
        actual,
    );
}

pub fn compare_file(path: &Path, actual: &str) {
    if std::env::var_os("MAINSTAY_GOLDEN").is_some_and(|value| value == "write") {
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).expect("a folder can be made");
        std::fs::write(path, actual).expect("the expected file can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs from what is expected; if the change is meant: MAINSTAY_GOLDEN=write cargo \
         nextest run -p mainstay\n--- expected\n{expected}\n--- actual\n{actual}",
        path.display()
    );
}
