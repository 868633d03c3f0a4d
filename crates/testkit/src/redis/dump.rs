//! What a server holds, told by its own reading commands.

use super::{RedisClient, RedisKind, Reply};
use std::fmt::Write;

pub(super) fn dump(client: &mut RedisClient, kind: RedisKind, oldest: RedisKind) -> String {
    let mut text = String::new();
    if oldest > RedisKind::Redis6 {
        functions(client, &mut text);
    }
    let databases = client.run(&["CONFIG", "GET", "databases"]).list()[1].int();
    for database in 0..databases {
        client.run(&["SELECT", &database.to_string()]);
        for key in keys(client) {
            let shown = key.escape_ascii().to_string();
            // A key that expired since it was listed is not there.
            if let Some((kind_of, value)) = value(client, &key, kind, oldest) {
                let expiry = expiry(client, &key);
                writeln!(text, "{database} {shown} {kind_of} {expiry} {value}").expect("a string");
            }
        }
    }
    text
}

fn functions(client: &mut RedisClient, text: &mut String) {
    let list = client.run(&["FUNCTION", "LIST", "WITHCODE"]);
    let mut libraries: Vec<String> = list
        .list()
        .iter()
        .map(|library| {
            let fields = library.list();
            let of = |name: &str| {
                let at = fields.iter().position(|field| *field == Reply::Text(name.into()));
                fields[at.expect("the field is there") + 1].bytes().escape_ascii().to_string()
            };
            format!("function {} {} {}\n", of("library_name"), of("engine"), of("library_code"))
        })
        .collect();
    libraries.sort();
    text.extend(libraries);
}

fn keys(client: &mut RedisClient) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let page = client.run(&["SCAN", &cursor, "COUNT", "1000"]);
        keys.extend(page.list()[1].list().iter().map(Reply::bytes));
        cursor = page.list()[0].text();
        if cursor == "0" {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// When a key expires. `PEXPIRETIME` came with 7.0; before, it is what is left and the time, when
/// both were said within one millisecond.
fn expiry(client: &mut RedisClient, key: &[u8]) -> i64 {
    loop {
        let before = now(client);
        let left = client.run(&[b"PTTL", key]).int();
        if left < 0 {
            return left;
        }
        if before == now(client) {
            return before + left;
        }
    }
}

fn now(client: &mut RedisClient) -> i64 {
    let time = client.run(&["TIME"]);
    let [seconds, micros] = time.list() else { panic!("TIME has two parts") };
    seconds.int() * 1000 + micros.int() / 1000
}

fn value(
    client: &mut RedisClient,
    key: &[u8],
    kind: RedisKind,
    oldest: RedisKind,
) -> Option<(String, String)> {
    let kind_of = client.run(&[b"TYPE", key]).text();
    let mut ask = |words: &[&[u8]]| {
        let mut command = vec![words[0], key];
        command.extend(&words[1..]);
        client.run(&command)
    };
    let value = match kind_of.as_str() {
        "none" => return None,
        "string" => shown(&ask(&[b"GET"])),
        "list" => shown(&ask(&[b"LRANGE", b"0", b"-1"])),
        "set" => sorted(&ask(&[b"SMEMBERS"]), 1),
        "zset" => scored(&ask(&[b"ZRANGE", b"0", b"-1", b"WITHSCORES"])),
        "hash" => {
            let all = ask(&[b"HGETALL"]);
            let mut text = sorted(&all, 2);
            if kind >= RedisKind::Valkey9 && oldest >= RedisKind::Valkey9 {
                text.push_str(&field_expiry(client, key, &all));
            }
            text
        }
        "stream" => {
            let entries = shown(&ask(&[b"XRANGE", b"-", b"+"]));
            let all = client.run(&[b"XINFO".as_slice(), b"STREAM", key, b"FULL", b"COUNT", b"0"]);
            format!("{entries} {}", stream(&all, oldest))
        }
        other => panic!("the type {other} of {}", key.escape_ascii()),
    };
    Some((kind_of, value))
}

fn field_expiry(client: &mut RedisClient, key: &[u8], all: &Reply) -> String {
    let mut fields: Vec<Vec<u8>> = all.list().iter().step_by(2).map(Reply::bytes).collect();
    fields.sort();
    let count = fields.len().to_string();
    let mut command = vec![b"HPEXPIRETIME".as_slice(), key, b"FIELDS", count.as_bytes()];
    command.extend(fields.iter().map(Vec::as_slice));
    format!(" fields expire {}", shown(&client.run(&command)))
}

/// Names in `XINFO STREAM … FULL` that tell how a server holds a stream and not what it holds.
const OF_THE_SERVER: [&str; 5] =
    ["radix-tree-keys", "radix-tree-nodes", "seen-time", "active-time", "lag"];
/// Names that came with 7.0.
const SINCE_7: [&str; 4] =
    ["entries-added", "max-deleted-entry-id", "recorded-first-entry-id", "entries-read"];

/// Fields by name, without some.
fn stream(reply: &Reply, oldest: RedisKind) -> String {
    let Reply::List(items) = reply else { return shown(reply) };
    let named = items.len() % 2 == 0
        && items.iter().step_by(2).all(|item| matches!(item, Reply::Text(name) if is_name(name)));
    if !named || items.is_empty() {
        let inner: Vec<String> = items.iter().map(|item| stream(item, oldest)).collect();
        return format!("[{}]", inner.join(" "));
    }
    let mut fields = Vec::new();
    for pair in items.chunks(2) {
        let name = pair[0].text();
        let told = oldest > RedisKind::Redis6 || !SINCE_7.contains(&name.as_str());
        // The entries themselves were told whole before.
        if told && !OF_THE_SERVER.contains(&name.as_str()) && name != "entries" {
            fields.push(format!("{name}={}", stream(&pair[1], oldest)));
        }
    }
    format!("{{{}}}", fields.join(" "))
}

fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

/// Members with their scores. Each version writes the same number in its own way.
fn scored(reply: &Reply) -> String {
    let number = |score: &Reply| score.text().parse::<f64>().expect("a score is a number");
    let items = reply.list().chunks(2);
    let mut items: Vec<String> =
        items.map(|item| format!("{}={}", shown(&item[0]), number(&item[1]))).collect();
    items.sort();
    items.join(" ")
}

/// Items of `size` parts each, in an order of their own.
fn sorted(reply: &Reply, size: usize) -> String {
    let parts: Vec<String> = reply.list().iter().map(shown).collect();
    let mut items: Vec<String> = parts.chunks(size).map(|item| item.join("=")).collect();
    items.sort();
    items.join(" ")
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::Int(number) => number.to_string(),
        Reply::Text(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Error(why) => panic!("the server answers {why}"),
        Reply::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
    }
}
