//! What an ACL user may do, by what the server itself says of its commands (Redis, "COMMAND" and
//! "ACL"). Which keys the user may name does not count: `FLUSHALL` names none.

use super::fault::Fault;
use super::reply::Reply;
use super::session::Session;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that do more than read, which only 6.2 says of them (`may_replicate`): they keep a count
/// beside the value, or tell others something.
const MORE: [&str; 3] = ["pfcount", "publish", "spublish"];

/// Before version 7.0 a server knows a command only as a whole. These parts of some do no harm.
const HARMLESS: [&str; 14] = [
    "acl|cat",
    "acl|genpass",
    "acl|help",
    "acl|whoami",
    "client|caching",
    "client|getname",
    "client|getredir",
    "client|help",
    "client|id",
    "client|info",
    "client|setinfo",
    "client|setname",
    "client|tracking",
    "client|trackinginfo",
];

/// More than reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    Writes,
    Rules,
    Scripts,
    Other,
}

impl Harm {
    pub fn words(self) -> &'static str {
        match self {
            Harm::Writes => "may write",
            Harm::Rules => "may change the server or cut others off",
            Harm::Scripts => "may run or change scripts",
            Harm::Other => "may do more than read",
        }
    }

    /// The category to which all that does this harm belongs.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Harm::Writes => Some("@write"),
            Harm::Rules => Some("@admin"),
            Harm::Scripts => Some("@scripting"),
            Harm::Other => None,
        }
    }
}

struct Command {
    categories: BTreeSet<String>,
    harm: Option<Harm>,
}

/// All commands of a server; of one with subcommands those: `config|set`.
pub(super) struct Commands(BTreeMap<String, Command>);

impl Commands {
    pub async fn ask(session: &mut Session) -> Result<Self, Fault> {
        Ok(Self::read(&session.call("ask for its commands", &["COMMAND"]).await?))
    }

    /// Name, arity, flags, first, last, step, categories; since 7.0 tips, keys, subcommands.
    fn read(answer: &Reply) -> Self {
        let mut known = BTreeMap::new();
        for item in answer.items() {
            let parts = item.items().get(9).map(Reply::items).unwrap_or_default();
            let leaves = if parts.is_empty() { std::slice::from_ref(item) } else { parts };
            known.extend(leaves.iter().filter_map(Command::read));
        }
        Commands(known)
    }

    /// What the rules allow that is more than reading. A rule that is not understood is an error.
    pub fn harm(&self, rules: &str) -> Result<BTreeMap<Harm, BTreeSet<String>>, String> {
        let mut found = BTreeMap::<Harm, BTreeSet<String>>::new();
        for name in self.allowed(rules)? {
            if let Some(harm) = self.harm_of(&name) {
                found.entry(harm).or_default().insert(name);
            }
        }
        Ok(found)
    }

    fn harm_of(&self, name: &str) -> Option<Harm> {
        if MORE.contains(&name) {
            return Some(Harm::Other);
        }
        let whole = || self.0.get(name.split('|').next()?).filter(|_| !HARMLESS.contains(&name));
        self.0.get(name).or_else(whole)?.harm
    }

    /// As the server itself reads them: from left to right, from nothing.
    fn allowed(&self, rules: &str) -> Result<BTreeSet<String>, String> {
        let mut allowed = BTreeSet::new();
        for rule in rules.split_ascii_whitespace() {
            let rule = match rule.to_ascii_lowercase().as_str() {
                "allcommands" => "+@all".to_owned(),
                "nocommands" => "-@all".to_owned(),
                other => other.to_owned(),
            };
            let not_understood = || format!("has a rule that is not understood ({rule})");
            if let Some(what) = rule.strip_prefix('+') {
                allowed.extend(self.named(what).ok_or_else(not_understood)?);
            } else if let Some(what) = rule.strip_prefix('-') {
                let taken = self.named(what).unwrap_or_default();
                let part = format!("{what}|");
                allowed.retain(|name| !taken.contains(name) && !name.starts_with(&part));
            } else {
                return Err(not_understood());
            }
        }
        Ok(allowed)
    }

    /// What a rule names; none when the server has no such command.
    fn named(&self, what: &str) -> Option<BTreeSet<String>> {
        let category = what.starts_with('@');
        let all = what == "@all";
        let part = format!("{what}|");
        let names = self.0.iter().filter(|(name, command)| match category {
            true => all || command.categories.contains(what),
            false => *name == what || name.starts_with(&part),
        });
        let names: BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
        if category || !names.is_empty() {
            return Some(names);
        }
        // A part of a command that the server knows as a whole.
        let (whole, _) = what.split_once('|')?;
        self.0.contains_key(whole).then(|| [what.to_owned()].into())
    }
}

impl Command {
    fn read(item: &Reply) -> Option<(String, Self)> {
        let words = |at: usize| -> BTreeSet<String> {
            let words = item.items().get(at).map(Reply::items).unwrap_or_default();
            words.iter().filter_map(Reply::text).map(str::to_owned).collect()
        };
        let (flags, categories) = (words(2), words(6));
        let name = item.items().first()?.text()?.to_ascii_lowercase();
        let harm = if flags.contains("write") || categories.contains("@write") {
            Some(Harm::Writes)
        } else if flags.contains("admin") {
            Some(Harm::Rules)
        } else if categories.contains("@scripting") && !flags.contains("readonly") {
            Some(Harm::Scripts)
        } else if flags.contains("may_replicate") {
            Some(Harm::Other)
        } else {
            None
        };
        Some((name, Self { categories, harm }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Reply {
        Reply::Array(words.iter().map(|word| Reply::Status((*word).to_owned())).collect())
    }

    fn command(name: &str, flags: &[&str], categories: &[&str], parts: Vec<Reply>) -> Reply {
        let (name, none) = (Reply::Bulk(name.into()), || Reply::Number(0));
        let (tips, keys) = (words(&[]), words(&[]));
        let parts = Reply::Array(parts);
        let head = [name, none(), words(flags), none(), none(), none(), words(categories)];
        Reply::Array(head.into_iter().chain([tips, keys, parts]).collect())
    }

    fn server() -> Commands {
        Commands::read(&Reply::Array(vec![
            command("get", &["readonly"], &["@read"], vec![]),
            command("set", &["write"], &["@write"], vec![]),
            command("pfcount", &["readonly"], &["@read"], vec![]),
            command("eval_ro", &["readonly"], &["@scripting"], vec![]),
            command("eval", &[], &["@scripting"], vec![]),
            command("client", &["admin"], &["@admin", "@connection"], vec![]),
            command(
                "config",
                &[],
                &[],
                vec![
                    command("config|get", &["admin"], &["@admin"], vec![]),
                    command("config|help", &[], &[], vec![]),
                ],
            ),
        ]))
    }

    fn harm(rules: &str) -> Vec<String> {
        server().harm(rules).unwrap().into_values().flatten().collect()
    }

    #[test]
    fn rules_are_read_from_left_to_right_and_all_that_is_more_than_reading_is_found() {
        assert_eq!(harm("-@all +@read -pfcount"), [""; 0]);
        assert_eq!(harm("+@read"), ["pfcount"]);
        assert_eq!(harm("allcommands -@write -@admin -@scripting -pfcount"), [""; 0]);
        assert_eq!(harm("-@write +SET"), ["set"]);
        assert_eq!(harm("+set +@all -@all +eval_ro"), [""; 0]);
        assert_eq!(harm("+@all"), ["set", "client", "config|get", "eval", "pfcount"]);
        assert_eq!(harm("+config"), ["config|get"]);
        assert_eq!(harm("+config -config|get"), [""; 0]);
    }

    #[test]
    fn a_part_of_a_command_that_is_known_only_as_a_whole_is_as_bad_as_that_unless_it_is_known() {
        assert_eq!(harm("+client|setname"), [""; 0]);
        assert_eq!(harm("+client|kill"), ["client|kill"]);
        assert_eq!(harm("+client|kill -client"), [""; 0]);
    }

    #[test]
    fn what_is_not_understood_is_not_taken_for_harmless() {
        assert!(server().harm("+@read %set").is_err());
        assert!(server().harm("+json.set").is_err());
        assert_eq!(server().harm("+@read -pfcount -json.set").unwrap().len(), 0);
    }
}
