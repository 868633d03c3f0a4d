//! Cleans up after a test process that could not do it itself, because it was killed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The shell waits for the end of its input, which comes when the test process ends in whatever
/// way; then it stops the servers that work in folders of this one, and removes all. The number in
/// a pid file is trusted only if that process works in the file's folder. A paused process is
/// resumed: otherwise it would not take the signal.
const SCRIPT: &str = r#"
read -r _
for file in "$1"/*/postmaster.pid; do
    pid=$(head -n 1 "$file" 2>/dev/null)
    folder=${file%/*}
    if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$folder" ]; then
        kill -QUIT "$pid"
        kill -CONT "$pid"
        while [ "$(readlink "/proc/$pid/cwd")" = "$folder" ]; do sleep 0.1; done
    fi
done
rm -rf "$1"
"#;

/// A shell that outlives the test process by a moment.
pub(crate) struct Watcher(Child);

impl Watcher {
    pub(crate) fn over(folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "mainstay-test-watcher"]).arg(folder);
        // In a group of its own, so that an interrupt from the keyboard does not end it too.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().expect("sh starts"))
    }
}

impl Drop for Watcher {
    /// `wait` closes the shell's input first.
    fn drop(&mut self) {
        self.0.wait().expect("the watcher is our child");
    }
}
