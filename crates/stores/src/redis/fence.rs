//! The fence of one Redis server: the application's ACL users are switched off and their
//! connections cut; opening switches them on, in the server's memory only.
//!
//! Invariant: when `fence` returns Ok, every write of the users that will ever be made here ends at
//! or before the returned position, until an `open` with no older epoch. A server that starts again
//! has them off by itself, where its configuration or ACL file says so.

use super::expiry;
use super::fault::Fault;
use super::reply::{self, Reply};
use super::session::Session;
use mainstay_core::Epoch;
use mainstay_core::estate::RedisEndpoint;
use mainstay_core::position::ReplicationOffset;
use std::time::Duration;
use tokio::time::Instant;

/// The fence of this server: `<epoch> open <run of the server>`, or `<epoch> fenced`. In database
/// 0, and never replicated.
const SITE: &str = "mainstay:site";
const PAUSE: Duration = Duration::from_millis(10);

/// What a confirmed fence found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenced {
    pub connections_cut: u32,
    /// Nothing of the application was written after this.
    pub position: ReplicationOffset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceState {
    pub epoch: Epoch,
    /// Opened by Mainstay in this run of the server, and every user is on.
    pub open: bool,
    /// A user is on, whoever switched it on.
    pub admits: bool,
}

/// Fences, or says what is still connected after `deadline`. Doing it again is safe.
pub async fn fence(
    endpoint: &RedisEndpoint,
    users: &[String],
    epoch: Epoch,
    deadline: Duration,
) -> Result<Fenced, Fault> {
    let began = Instant::now();
    let mut session = Session::open(endpoint, "fence").await?;
    let known = fit_users(&mut session, endpoint, users).await?;
    let mut connections_cut = shut(&mut session, &known, epoch).await?;
    // A connection that was waiting for an answer ends a moment later.
    while let Some(left) = connected(&mut session, &known).await? {
        if began.elapsed() > deadline {
            let place = session.place().to_owned();
            return Err(Fault::ConnectionsRemain { place, seconds: deadline.as_secs(), left });
        }
        connections_cut += kill(&mut session, &known).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let position = super::probe::position(&mut session).await?;
    Ok(Fenced { connections_cut, position })
}

/// Lets the users in, for this run of the server, if `still` says that they may. Equal epochs may
/// open again.
///
/// Invariant: an opening never undoes a fence that came after `still` was asked, however long
/// whoever opens was stopped in between: the server gives up a transaction whose watched key has
/// been written since.
pub async fn open(
    endpoint: &RedisEndpoint,
    users: &[String],
    epoch: Epoch,
    still: impl Fn() -> bool,
) -> Result<(), Fault> {
    let mut session = Session::open(endpoint, "open").await?;
    let known = fit_users(&mut session, endpoint, users).await?;
    let place = session.place().to_owned();
    if let Some(user) = users.iter().find(|user| !known.contains(user)) {
        return Err(Fault::UserMissing { place, user: user.clone() });
    }
    must_be_newest(&mut session, epoch).await?;
    if !still() {
        return Err(Fault::OpenedTooLate { place, epoch });
    }
    let run = run(&mut session).await?;
    let site = format!("{} open {run}", epoch.number());
    let doing = "open the site";
    let mut commands = vec![owned(&["SET", SITE, &site])];
    commands.extend(known.iter().map(|user| owned(&["ACL", "SETUSER", user, "on"])));
    match transaction(&mut session, doing, &commands).await? {
        // A link that was killed could not do so itself.
        Outcome::Done(_) => expiry::release_in(&mut session).await,
        Outcome::Changed => Err(Fault::OpenedTooLate { place, epoch }),
        Outcome::NotTaken(why) => Err(session.refused(doing, why)),
    }
}

pub async fn state(endpoint: &RedisEndpoint, users: &[String]) -> Result<FenceState, Fault> {
    state_in(&mut Session::open(endpoint, "fence state").await?, users).await
}

pub(crate) async fn state_in(session: &mut Session, users: &[String]) -> Result<FenceState, Fault> {
    let site = site(session).await?;
    let run = run(session).await?;
    let mut on = 0;
    for user in users {
        on += usize::from(is_on(session, user).await? == Some(true));
    }
    let opened = site.opened.is_some_and(|opened| opened == run);
    Ok(FenceState { epoch: site.epoch, open: opened && on == users.len(), admits: on > 0 })
}

/// What stands in the key; an absent one was never written, or the application has flushed it away.
#[derive(Default)]
struct Site {
    epoch: Epoch,
    /// The run of the server in which it was opened.
    opened: Option<String>,
}

async fn site(session: &mut Session) -> Result<Site, Fault> {
    let kept = session.call("read the fence", &["GET", SITE]).await?;
    let mut words = kept.text().unwrap_or_default().split(' ');
    let number = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let opened = words.next() == Some("open");
    let opened = words.next().filter(|_| opened).map(str::to_owned);
    Ok(Site { epoch: Epoch::new(number), opened })
}

/// Reads the fence under watch: what was read is what a transaction after it replaces.
async fn must_be_newest(session: &mut Session, epoch: Epoch) -> Result<(), Fault> {
    session.call("watch the fence", &["WATCH", SITE]).await?;
    let seen = site(session).await?.epoch;
    match seen > epoch {
        true => {
            let place = session.place().to_owned();
            Err(Fault::StaleEpoch { place, asked: epoch, seen })
        }
        false => Ok(()),
    }
}

/// The key, the users and their connections in one transaction: nobody ever sees one without the
/// others. How many connections it cut.
async fn shut(session: &mut Session, users: &[String], epoch: Epoch) -> Result<u32, Fault> {
    let doing = "fence the site";
    let site = format!("{} fenced", epoch.number());
    let mut commands = vec![owned(&["SET", SITE, &site])];
    commands.extend(users.iter().map(|user| owned(&["ACL", "SETUSER", user, "off"])));
    commands.extend(users.iter().map(|user| owned(&["CLIENT", "KILL", "USER", user])));
    loop {
        must_be_newest(session, epoch).await?;
        match transaction(session, doing, &commands).await? {
            Outcome::Done(answers) => return Ok(counted(&answers)),
            // Somebody else fenced or opened it just then.
            Outcome::Changed => {}
            Outcome::NotTaken(why) => {
                tracing::warn!(place = session.place(), why, "fencing without a transaction");
                return shut_alone(session, users).await;
            }
        }
    }
}

/// A server whose memory or disk is full takes neither a key nor a transaction, and yet has to be
/// fenced. Nobody can open it meanwhile: that would have to write the key, too.
async fn shut_alone(session: &mut Session, users: &[String]) -> Result<u32, Fault> {
    for user in users {
        session.call("fence the site", &["ACL", "SETUSER", user, "off"]).await?;
    }
    kill(session, users).await
}

/// What `CLIENT KILL` answered, behind the answers to the other commands.
fn counted(answers: &[Reply]) -> u32 {
    let killed = answers.iter().filter_map(|answer| match answer {
        Reply::Number(count) => u32::try_from(*count).ok(),
        _ => None,
    });
    killed.sum()
}

pub(super) enum Outcome {
    Done(Vec<Reply>),
    /// The fence was changed by somebody since it was read.
    Changed,
    /// The server does not take one of the commands now; nothing was done.
    NotTaken(String),
}

pub(super) async fn transaction(
    session: &mut Session,
    doing: &'static str,
    commands: &[Vec<String>],
) -> Result<Outcome, Fault> {
    let mut bytes = Vec::new();
    reply::encode(&mut bytes, &["MULTI"]);
    for command in commands {
        reply::encode(&mut bytes, command);
    }
    reply::encode(&mut bytes, &["EXEC"]);
    let mut answers = session.pipeline(doing, &bytes, commands.len() + 2).await?;
    let done = answers.pop();
    for answer in answers {
        if let Reply::Error(why) = answer {
            return Ok(Outcome::NotTaken(why));
        }
    }
    match done {
        Some(Reply::Nil) => Ok(Outcome::Changed),
        Some(Reply::Array(answers)) => {
            let failed = answers.iter().find_map(|answer| match answer {
                Reply::Error(why) => Some(why.clone()),
                _ => None,
            });
            failed.map_or(Ok(Outcome::Done(answers)), |why| Err(session.refused(doing, why)))
        }
        other => Err(session.refused(doing, format!("it answered {other:?}"))),
    }
}

/// Those of `users` that exist here. The one that Mainstay itself logs in as cannot be fenced.
async fn fit_users(
    session: &mut Session,
    endpoint: &RedisEndpoint,
    users: &[String],
) -> Result<Vec<String>, Fault> {
    let own = endpoint.user.as_deref().unwrap_or("default");
    if let Some(user) = users.iter().find(|user| *user == own) {
        let place = session.place().to_owned();
        return Err(Fault::UserUnfit { place, user: user.clone() });
    }
    let mut known = Vec::new();
    for user in users {
        if is_on(session, user).await?.is_some() {
            known.push(user.clone());
        }
    }
    Ok(known)
}

/// None for a user that does not exist.
pub(crate) async fn is_on(session: &mut Session, user: &str) -> Result<Option<bool>, Fault> {
    let answer = session.call("read the ACL", &["ACL", "GETUSER", user]).await?;
    let fields = answer.items();
    let flags = fields.iter().position(|name| name.text() == Some("flags"));
    let flags = flags.and_then(|at| fields.get(at + 1));
    Ok(flags.map(|flags| flags.items().iter().any(|flag| flag.text() == Some("on"))))
}

/// What is still connected as one of the users, in words; none when nothing is.
async fn connected(session: &mut Session, users: &[String]) -> Result<Option<String>, Fault> {
    let list = session.call("look for the application's connections", &["CLIENT", "LIST"]).await?;
    let field = |line: &str, name: &str| {
        let mut fields = line.split(' ').filter_map(|it| it.split_once('='));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    let left = list
        .text()
        .unwrap_or_default()
        .lines()
        .filter(|line| field(line, "user").is_some_and(|user| users.contains(&user)));
    let left: Vec<String> = left.filter_map(|line| field(line, "addr")).collect();
    Ok((!left.is_empty()).then(|| left.join(", ")))
}

async fn kill(session: &mut Session, users: &[String]) -> Result<u32, Fault> {
    let mut killed = 0;
    for user in users {
        let command = ["CLIENT", "KILL", "USER", user];
        let answer = session.call("cut the application's connections", &command).await?;
        killed += counted(&[answer]);
    }
    Ok(killed)
}

/// Names this run of the server: a restart gives it another.
pub(super) async fn run(session: &mut Session) -> Result<String, Fault> {
    let info = session.info("server").await?;
    let run = info.get("run_id").cloned();
    run.ok_or_else(|| session.refused("read its run", "INFO has no run_id".to_owned()))
}

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
