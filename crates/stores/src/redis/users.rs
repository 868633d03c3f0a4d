//! Whether the users of a server are such that a fence holds.

use super::fault::Fault;
use super::fence;
use super::reply::Reply;
use super::session::Session;
use mainstay_core::Finding;
use mainstay_core::estate::RedisEndpoint;

/// Rules of an ACL that let a user write whatever the keys, or change the ACL itself.
const WRITES: [&str; 2] = ["+@all", "+@write"];
const RULES: [&str; 4] = ["+@all", "+@admin", "+@dangerous", "+acl"];
const TAKEN_BACK: [&str; 3] = ["-@admin", "-@dangerous", "-acl"];

/// One user as the server's ACL has it.
struct User {
    name: String,
    on: bool,
    needs_no_password: bool,
    commands: String,
}

impl User {
    fn has(&self, rules: &[&str]) -> bool {
        self.commands.split(' ').any(|word| rules.contains(&word))
    }

    fn writes(&self) -> bool {
        self.on && self.has(&WRITES)
    }
}

/// `place` is where the endpoint is in the configuration. Readers are judged by themselves.
pub(crate) async fn findings(
    place: &str,
    endpoint: &RedisEndpoint,
    (users, readers): (&[String], &[String]),
    session: &mut Session,
) -> Result<Vec<Finding>, Fault> {
    let own = endpoint.user.as_deref().unwrap_or("default");
    let all = read(session).await?;
    let opened = fence::state_in(session, users).await?.open;
    let mut findings = Vec::new();
    for name in users {
        match all.iter().find(|user| user.name == *name) {
            Some(user) => findings.extend(application(place, user, opened)),
            None => findings.push(Finding::error(
                "MS-RD-112",
                place,
                format!("the ACL user \"{name}\" does not exist: the application could not log in"),
                "create it there as it is at the other sites, switched `off`",
            )),
        }
    }
    let others =
        all.iter().filter(|user| !users.contains(&user.name) && !readers.contains(&user.name));
    findings.extend(others.filter_map(|user| other(place, user, own)));
    Ok(findings)
}

fn application(place: &str, user: &User, opened: bool) -> Vec<Finding> {
    let name = &user.name;
    let mut findings = Vec::new();
    if user.on && !opened {
        findings.push(Finding::warning(
            "MS-RD-116",
            place,
            format!(
                "the ACL user \"{name}\" is on, and Mainstay has not switched it on in this run of \
                 the server: a server that starts by itself would take its writes"
            ),
            format!(
                "write `off` instead of `on` for {name} in the server's ACL file, or in its \
                 configuration; Mainstay switches it on at the active site"
            ),
        ));
    }
    if user.has(&RULES) && !user.has(&TAKEN_BACK) {
        findings.push(Finding::warning(
            "MS-RD-118",
            place,
            format!("the ACL user \"{name}\" may change the ACL, and so what fences it"),
            format!("add `-@admin -@dangerous` to the rules of {name}"),
        ));
    }
    findings
}

/// A user that is neither the application's nor fenced with it.
fn other(place: &str, user: &User, own: &str) -> Option<Finding> {
    let name = &user.name;
    if name == own {
        return user.needs_no_password.then(|| {
            Finding::error(
                "MS-RD-117",
                place,
                format!("\"{name}\" needs no password: anybody can write there, fenced or not"),
                format!("give it a password: ACL SETUSER {name} resetpass '>PASSWORD'"),
            )
        });
    }
    if !user.writes() {
        return None;
    }
    if name == "default" {
        return Some(Finding::error(
            "MS-RD-117",
            place,
            "the user \"default\" may write: a fence does not stop who logs in as nobody else",
            "write `user default off ~* &* +@all` in the server's ACL file, or in its configuration",
        ));
    }
    Some(Finding::warning(
        "MS-RD-119",
        place,
        format!("the ACL user \"{name}\" may write, and a fence does not stop it"),
        format!("name it in `users` of the store, or switch it off: ACL SETUSER {name} off"),
    ))
}

async fn read(session: &mut Session) -> Result<Vec<User>, Fault> {
    let doing = "read the ACL";
    let names = session.call(doing, &["ACL", "USERS"]).await?;
    let mut users = Vec::new();
    for name in names.items().iter().filter_map(Reply::text) {
        let fields = session.call(doing, &["ACL", "GETUSER", name]).await?;
        let field = |wanted: &str| {
            let at = fields.items().iter().position(|it| it.text() == Some(wanted))?;
            fields.items().get(at + 1)
        };
        let flags = field("flags").map(Reply::items).unwrap_or_default();
        let flag = |wanted| flags.iter().any(|flag| flag.text() == Some(wanted));
        users.push(User {
            name: name.to_owned(),
            on: flag("on"),
            needs_no_password: flag("nopass"),
            commands: field("commands").and_then(Reply::text).unwrap_or_default().to_owned(),
        });
    }
    Ok(users)
}
