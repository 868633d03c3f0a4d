//! ACL users that only read, and that may do so at a site whose server refuses the application.
//!
//! They are `off` in the server's file like the application's, and are switched on in the server's
//! memory: at a standby once its link has brought what the source had, so that what a server had
//! before it was killed, or half of a copy, is read by nobody.
//!
//! Invariant: one that could write is shut out of a server that is not open. Invariant: a server
//! that was started anew, or is being copied to, lets no reader in before its link is complete.

use super::fault::Fault;
use super::fence::{self, Outcome, owned};
use super::reply::Reply;
use super::rights::{Commands, Harm};
use super::session::Session;
use crate::readers::{Kept, Unfit};
use mainstay_core::Finding;
use mainstay_core::estate::RedisEndpoint;
use std::collections::BTreeSet;

/// The run of the server in which the readers were let in, or that it is being copied to. In database
/// 0, and never replicated.
pub(super) const MARK: &str = "mainstay:readers";
const COPYING: &str = "copying";
const CODE: &str = "MS-RD-120";
const DOING: &str = "look at the readers";
/// Of what a reader may do, this many are named.
const MOST_NAMED: usize = 4;

/// A reader as the server's ACL has it.
struct Reader {
    name: String,
    on: bool,
    unfit: Vec<Unfit>,
}

/// Lets those in that can only read: in an `open` server, or one whose link was complete in this
/// run (`complete_in`), or that let them in before in this run. All others are shut out; those that
/// could write are told, and are left alone in an open server. May be run again at any time.
pub async fn keep(
    endpoint: &RedisEndpoint,
    readers: &[String],
    open: bool,
    complete_in: Option<&str>,
) -> Result<Kept, Fault> {
    let mut session = Session::open(endpoint, "readers").await?;
    let commands = Commands::ask(&mut session).await?;
    loop {
        // A copy that begins meanwhile changes it, and nobody is let in.
        session.call(DOING, &["WATCH", MARK]).await?;
        let mark = session.call(DOING, &["GET", MARK]).await?;
        let mark = mark.text().unwrap_or_default();
        let run = fence::run(&mut session).await?;
        let complete = mark != COPYING && complete_in == Some(run.as_str());
        let let_in = open || mark == run || complete;
        let known = look(&mut session, &commands, readers).await?;
        for reader in known.iter().filter(|it| !let_in || (!open && !it.unfit.is_empty())) {
            shut(&mut session, reader).await?;
        }
        let waiting = known.iter().filter(|it| let_in && !it.on && it.unfit.is_empty());
        let mut changes: Vec<_> =
            waiting.map(|it| owned(&["ACL", "SETUSER", &it.name, "on"])).collect();
        if let_in && mark != run {
            changes.insert(0, owned(&["SET", MARK, &run]));
        }
        let done = match changes.is_empty() {
            true => Outcome::Done(Vec::new()),
            false => fence::transaction(&mut session, DOING, &changes).await?,
        };
        match done {
            Outcome::Done(_) => {
                let unfit = known.into_iter().flat_map(|it| it.unfit).collect();
                return Ok(Kept { unfit, let_in });
            }
            Outcome::Changed => {}
            Outcome::NotTaken(why) => return Err(session.refused("let the readers in", why)),
        }
    }
}

async fn shut(session: &mut Session, reader: &Reader) -> Result<(), Fault> {
    let doing = "keep the readers out";
    if reader.on {
        session.call(doing, &["ACL", "SETUSER", &reader.name, "off"]).await?;
    }
    session.call(doing, &["CLIENT", "KILL", "USER", &reader.name]).await.map(drop)
}

/// What a link has done in the transaction that empties the server for a copy.
pub(super) async fn shutting(
    session: &mut Session,
    readers: &[String],
) -> Result<Vec<Vec<String>>, Fault> {
    let mut known = Vec::new();
    for reader in readers {
        if fence::is_on(session, reader).await?.is_some() {
            known.push(reader);
        }
    }
    let off = known.iter().map(|it| owned(&["ACL", "SETUSER", it, "off"]));
    let kill = known.iter().map(|it| owned(&["CLIENT", "KILL", "USER", it]));
    Ok(std::iter::once(owned(&["SET", MARK, COPYING])).chain(off).chain(kill).collect())
}

/// Those that exist.
async fn look(
    session: &mut Session,
    commands: &Commands,
    names: &[String],
) -> Result<Vec<Reader>, Fault> {
    let mut found = Vec::new();
    for name in names {
        let answer = session.call(DOING, &["ACL", "GETUSER", name]).await?;
        if answer != Reply::Nil {
            found.push(reader(commands, name, &answer));
        }
    }
    Ok(found)
}

fn reader(commands: &Commands, name: &str, answer: &Reply) -> Reader {
    let flags = field(answer, "flags").map(Reply::items).unwrap_or_default();
    let on = flags.iter().any(|flag| flag.text() == Some("on"));
    let rules = |of: &Reply| field(of, "commands").and_then(Reply::text).map(str::to_owned);
    let mut unfit = judge(commands, name, rules(answer), None);
    // More rules of the same user (since 7.0).
    for selector in field(answer, "selectors").map(Reply::items).unwrap_or_default() {
        let mend = format!("ACL SETUSER {name} clearselectors, and the same in its ACL file");
        unfit.extend(judge(commands, name, rules(selector), Some(mend)));
    }
    Reader { name: name.to_owned(), on, unfit }
}

fn field<'a>(fields: &'a Reply, wanted: &str) -> Option<&'a Reply> {
    let at = fields.items().iter().position(|it| it.text() == Some(wanted))?;
    fields.items().get(at + 1)
}

fn judge(
    commands: &Commands,
    name: &str,
    rules: Option<String>,
    mend: Option<String>,
) -> Vec<Unfit> {
    let unfit = |why, mend| Unfit { code: CODE, reader: name.to_owned(), why, mend };
    let rules = rules.ok_or_else(|| "has no rules that could be read".to_owned());
    match rules.and_then(|rules| commands.harm(&rules)) {
        Err(why) => vec![unfit(why, format!("look at ACL GETUSER {name}"))],
        Ok(found) => {
            let told = found.iter().map(|(harm, names)| {
                unfit(why(*harm, names), mend.clone().unwrap_or_else(|| less(name, *harm, names)))
            });
            told.collect()
        }
    }
}

/// `may write (append, bitfield, copy, decr and 90 more)`
fn why(harm: Harm, names: &BTreeSet<String>) -> String {
    let named: Vec<_> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match names.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} ({}{more})", harm.words(), named.join(", "))
}

fn less(name: &str, harm: Harm, names: &BTreeSet<String>) -> String {
    let taken = match harm.category() {
        Some(category) => format!("-{category}"),
        None => names.iter().map(|it| format!("-{it}")).collect::<Vec<_>>().join(" "),
    };
    format!("ACL SETUSER {name} {taken}, and the same in its ACL file")
}

/// What stands in the way; `place` is where the endpoint is in the configuration.
pub(super) async fn findings(
    place: &str,
    session: &mut Session,
    names: &[String],
) -> Result<Vec<Finding>, Fault> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let commands = Commands::ask(session).await?;
    let mark = session.call(DOING, &["GET", MARK]).await?;
    let ours = mark.text() == Some(fence::run(session).await?.as_str());
    let known = look(session, &commands, names).await?;
    let missing = names.iter().filter(|name| known.iter().all(|it| it.name != **name));
    let mut found: Vec<_> = missing.map(|name| absent(place, name)).collect();
    for one in known.iter().flat_map(|it| &it.unfit) {
        let what = format!("reader \"{}\" {}: it must only read", one.reader, one.why);
        found.push(Finding::error(one.code, place, what, &one.mend));
    }
    found.extend(known.iter().filter(|it| it.on && !ours).map(|it| on_at_rest(place, &it.name)));
    Ok(found)
}

fn absent(place: &str, name: &str) -> Finding {
    let what = format!("the ACL user \"{name}\" does not exist: nobody could read as it");
    let advice = "create it there as it is at the other sites, switched `off`";
    Finding::error("MS-RD-112", place, what, advice)
}

fn on_at_rest(place: &str, name: &str) -> Finding {
    let what = format!(
        "reader \"{name}\" is on, and Mainstay has not switched it on in this run of the server: \
         one that starts by itself would be read with what it had then"
    );
    let advice = format!(
        "write `off` instead of `on` for {name} in the server's ACL file, or in its configuration"
    );
    Finding::warning("MS-RD-121", place, what, advice)
}
