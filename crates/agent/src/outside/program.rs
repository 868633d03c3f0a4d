//! One run of one program: no shell, no environment but what is named, an end to its time, and to
//! what it may print.

use mainstay_core::Secret;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// So much of what it prints is kept, after its secrets were covered in so much of it; the rest is
/// read and forgotten.
const KEPT: usize = 1024;
const COVERED: usize = 64 * 1024;
/// A program that has ended may leave a child behind that holds its output open.
const LAST_WORDS: Duration = Duration::from_millis(100);

pub struct Program<'a> {
    pub words: Vec<String>,
    pub environment: &'a BTreeMap<String, Secret>,
}

pub struct Ran {
    ended: Ended,
    /// On standard output, or on standard error when nothing was printed there.
    pub printed: String,
}

enum Ended {
    With(ExitStatus),
    OutOfTime(Duration),
    NotStarted(String),
}

impl Ran {
    pub fn succeeded(&self) -> bool {
        matches!(self.ended, Ended::With(status) if status.success())
    }

    /// Its exit status; none when it did not come to one.
    pub fn code(&self) -> Option<i32> {
        match self.ended {
            Ended::With(status) => status.code(),
            Ended::OutOfTime(_) | Ended::NotStarted(_) => None,
        }
    }

    pub fn began(&self) -> bool {
        !matches!(self.ended, Ended::NotStarted(_))
    }

    /// It did not come to an answer by itself.
    pub fn hindered(&self) -> bool {
        !matches!(self.ended, Ended::With(_))
    }

    /// For people: how it ended and what it printed.
    pub fn said(&self, who: &str) -> String {
        let ended = match &self.ended {
            Ended::With(status) => format!("{who} ended with {status}"),
            Ended::OutOfTime(after) => {
                format!("{who} was killed after {:.1} s", after.as_secs_f64())
            }
            Ended::NotStarted(why) => format!("{who} could not be started: {why}"),
        };
        match self.printed.trim() {
            "" => ended,
            printed => format!("{ended}: {printed:?}"),
        }
    }
}

impl Program<'_> {
    /// To its end, or until its time is over: then it is killed, with all that it started.
    pub async fn run(&self, timeout: Duration) -> Ran {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(why) => return Ran { ended: Ended::NotStarted(why), printed: String::new() },
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = {
            let reads = futures::future::join(
                gather(child.stdout.take(), &mut out),
                gather(child.stderr.take(), &mut err),
            );
            tokio::pin!(reads);
            let ends = async {
                tokio::select! {
                    status = child.wait() => {
                        // What it printed last may still be on its way.
                        let _rest = tokio::time::timeout(LAST_WORDS, &mut reads).await;
                        status
                    }
                    _ = &mut reads => child.wait().await,
                }
            };
            tokio::time::timeout(timeout, ends).await
        };
        if let Some(group) = group {
            // Nobody is left of it, as a rule.
            let _gone = killpg(group, Signal::SIGKILL);
        }
        let ended = match ended {
            Ok(Ok(status)) => Ended::With(status),
            Ok(Err(why)) => Ended::NotStarted(why.to_string()),
            Err(_) => {
                let _reaped = child.wait().await;
                Ended::OutOfTime(timeout)
            }
        };
        let printed = if out.is_empty() { err } else { out };
        Ran { ended, printed: self.without_secrets(&String::from_utf8_lossy(&printed)) }
    }

    fn start(&self) -> Result<Child, String> {
        let (program, arguments) = self.words.split_first().ok_or("no program is named")?;
        let environment = self.environment.iter().map(|(name, secret)| (name, secret.expose()));
        let started = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        started.map_err(|why| format!("{program}: {why}"))
    }

    /// A program that tells its environment must not put it into a ledger.
    fn without_secrets(&self, printed: &str) -> String {
        let secrets = self.environment.values().map(Secret::expose).filter(|it| !it.is_empty());
        let covered = secrets.fold(printed.to_owned(), |text, it| text.replace(it, "***"));
        covered.chars().take(KEPT).collect()
    }
}

async fn gather(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let room = COVERED.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
}

pub fn cannot_start(program: &str) -> Option<String> {
    let refused = access(program, AccessFlags::X_OK).err()?;
    Some(format!("{program}: {}", refused.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn run(script: &str, environment: &BTreeMap<String, Secret>, millis: u64) -> Ran {
        let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Program { words, environment }.run(Duration::from_millis(millis)).await
    }

    #[tokio::test]
    async fn only_exit_status_nought_is_success_and_the_environment_is_what_was_named() {
        let secret = |value: &str| Secret::new(value);
        let environment = BTreeMap::from([("TOKEN".to_owned(), secret("hush-hush"))]);
        let ran = run("test \"$TOKEN\" = hush-hush && test -z \"$HOME\"", &environment, 5000).await;
        assert!(ran.succeeded(), "{}", ran.said("it"));
        for script in ["exit 3", "kill -TERM $$", "exec /nowhere"] {
            assert!(!run(script, &BTreeMap::new(), 5000).await.succeeded(), "{script}");
        }
        let nowhere = Program { words: vec!["/nowhere".to_owned()], environment: &environment };
        let ran = nowhere.run(Duration::from_secs(5)).await;
        assert!(!ran.succeeded() && !ran.began(), "{}", ran.said("it"));
        let told = run("echo my $TOKEN; env", &environment, 5000).await.said("it");
        assert!(told.contains("my ***") && !told.contains("hush"), "{told}");
    }

    #[tokio::test]
    async fn what_it_prints_is_bounded_and_never_blocks_it() {
        let ran = run("head -c 3000000 /dev/zero | tr '\\0' x", &BTreeMap::new(), 20_000).await;
        assert!(ran.succeeded(), "{}", ran.said("it"));
        assert_eq!(ran.printed.len(), KEPT);
    }

    /// The oracle is the system's own list of processes.
    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
        let began = Instant::now();
        let ran = run("sleep 4711 & echo $!; wait", &BTreeMap::new(), 300).await;
        assert!(!ran.succeeded() && ran.began());
        assert!(began.elapsed() < Duration::from_secs(600), "{:?}", began.elapsed());
        let child: i32 = ran.printed.trim().parse().expect("a pid");
        let runs = || {
            let command = std::fs::read_to_string(format!("/proc/{child}/cmdline"));
            command.unwrap_or_default().contains("4711")
        };
        // It was killed; on a busy machine it takes a moment until it is gone.
        mainstay_testkit::wait_for("it is gone", Duration::from_secs(60), async || !runs()).await;
    }

    #[tokio::test]
    async fn a_child_left_behind_that_holds_the_output_keeps_nobody_waiting() {
        let ran = run("sleep 4712 & echo done", &BTreeMap::new(), 20_000).await;
        assert!(ran.succeeded(), "{}", ran.said("it"));
        assert_eq!(ran.printed.trim(), "done");
    }
}
