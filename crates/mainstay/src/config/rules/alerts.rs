//! What each kind of notifier needs, and what means nothing to it.

use super::{applications, entries};
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Alert, File};
use crate::config::values::NotifierWord;
use mainstay_core::notifier::MailEncryption;

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    for (_, at) in entries(&file.alerts) {
        known_applications(file, &at.value, problems);
        let Some(kind) = at.value.kind.as_ref().map(|kind| kind.value) else { continue };
        for key in keys(&at.value) {
            // One that was refused is not there either, and was told already.
            let place = format!("{}.{}", at.place, key.name);
            let refused = problems.iter().any(|problem| problem.place == place);
            match (key.of.contains(&kind), &key.place) {
                (false, Some(blame)) => problems.push(blame(stray(&key, kind))),
                (true, None) if key.needed && !refused => problems.push(missing(at, &key)),
                _ => {}
            }
        }
        program(&at.value, problems);
        password(&at.value, problems);
        forgotten(&at.value, kind, problems);
    }
}

/// A key that only some kinds know.
struct Known<'a> {
    name: &'static str,
    of: &'static [NotifierWord],
    needed: bool,
    means: &'static str,
    /// None when it is not written.
    place: Option<Box<dyn Fn(Problem) -> Problem + 'a>>,
}

fn keys(alert: &Alert) -> [Known<'_>; 9] {
    use NotifierWord::{Alertmanager, Command, Email, Webhook};
    fn place<T>(at: &Option<At<T>>) -> Option<Box<dyn Fn(Problem) -> Problem + '_>> {
        let at = at.as_ref()?;
        Some(Box::new(move |problem| at.blame(problem)))
    }
    let key = |name, of, needed, means, place| Known { name, of, needed, means, place };
    [
        key("url", &[Webhook, Alertmanager], true, "where to", place(&alert.url)),
        key("secret", &[Webhook], false, "", place(&alert.secret)),
        key("authority", &[Webhook, Alertmanager, Email], false, "", place(&alert.authority)),
        key("run", &[Command], true, "the program and its arguments", place(&alert.run)),
        key("server", &[Email], true, "the mail server", place(&alert.server)),
        key("user", &[Email], false, "", place(&alert.user)),
        key("password", &[Email], false, "", place(&alert.password)),
        key("from", &[Email], true, "from whom", place(&alert.from)),
        key("to", &[Email], true, "to whom", place(&alert.to)),
    ]
}

fn word(kind: NotifierWord) -> &'static str {
    match kind {
        NotifierWord::Webhook => "webhook",
        NotifierWord::Command => "command",
        NotifierWord::Email => "email",
        NotifierWord::Alertmanager => "alertmanager",
    }
}

fn stray(key: &Known<'_>, kind: NotifierWord) -> Problem {
    let (name, kind) = (key.name, word(kind));
    let what = format!("`{name}` means nothing with `kind = \"{kind}\"`");
    Problem::error(code::UNKNOWN_KEY, what, format!("remove `{name}`")).label("of another kind")
}

fn missing(at: &At<Alert>, key: &Known<'_>) -> Problem {
    let what = format!("`{}` is missing in {}", key.name, at.place);
    let advice = format!("add `{} = ...`: {}", key.name, key.means);
    let problem = Problem::error(code::MISSING_KEY, what, advice);
    at.blame(problem.label(format!("`{}` is missing", key.name)))
}

fn known_applications(file: &File, alert: &Alert, problems: &mut Vec<Problem>) {
    let known: Vec<String> = applications(file).map(|(name, _)| name.to_string()).collect();
    for written in alert.applications.iter().flat_map(|list| &list.value) {
        if known.iter().any(|name| *name == written.value.as_str()) {
            continue;
        }
        let label = match nearest(written.value.as_str(), &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "no such application".to_owned(),
        };
        let what = format!("there is no application `{}`", written.value);
        let advice = format!("applications of this file: {}", known.join(", "));
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problems.push(written.blame(problem.label(label)));
    }
}

/// A relative path would be another program wherever the agent is started.
fn program(alert: &Alert, problems: &mut Vec<Problem>) {
    let Some(run) = &alert.run else { return };
    let problem = match run.value.first() {
        None => run.blame(Problem::error(
            code::MISSING_KEY,
            "`run` names no program",
            "write its absolute path first, then its arguments",
        )),
        Some(first) if !first.value.starts_with('/') => {
            let what = format!("{:?} is not an absolute path", first.value);
            first.blame(Problem::error(code::BAD_VALUE, what, "begin it with /"))
        }
        Some(_) => return,
    };
    problems.push(problem);
}

fn password(alert: &Alert, problems: &mut Vec<Problem>) {
    let open = alert.encryption.as_ref().is_some_and(|it| it.value == MailEncryption::None);
    if let (Some(password), true) = (&alert.password, open) {
        let what = "the password would go to the mail server in plain text";
        let advice = "write `encryption = \"starttls\"` or \"tls\"";
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problems.push(password.blame(problem.label("not encrypted")));
    }
    let alone = match (&alert.user, &alert.password) {
        (Some(user), None) => user.blame(Problem::error(
            code::MISSING_KEY,
            "`user` is written, and `password` is not",
            "add `password = \"env:NAME\"`, or remove `user`",
        )),
        (None, Some(password)) => password.blame(Problem::error(
            code::MISSING_KEY,
            "`password` is written, and `user` is not",
            "add `user = ...`, or remove `password`",
        )),
        _ => return,
    };
    problems.push(alone);
}

/// What Alertmanager is not told again it takes to be over.
fn forgotten(alert: &Alert, kind: NotifierWord, problems: &mut Vec<Problem>) {
    let Some(every) = &alert.every else { return };
    if kind == NotifierWord::Alertmanager && every.value.0.is_none() {
        let what = "Alertmanager takes what it is not told again to be over";
        let advice = "remove `every`, or write how often, such as \"1m\"";
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problems.push(every.blame(problem.label("would end by itself")));
    }
}
