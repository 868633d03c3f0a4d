//! Keys of every type in every encoding that a server can write.

use super::{RedisClient, RedisKind};

/// 2100-01-01, in milliseconds, and a bit.
const EXPIRES: &str = "4102444800123";

/// Where the packed encodings of integers change, and what looks like an integer and is none.
const NUMBERS: [&str; 26] = [
    "0",
    "1",
    "12",
    "13",
    "63",
    "64",
    "127",
    "128",
    "-1",
    "-128",
    "-129",
    "4095",
    "4096",
    "-4096",
    "-4097",
    "32767",
    "-32768",
    "8388607",
    "-8388609",
    "2147483647",
    "-2147483649",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-0",
    "007",
];

struct Writer<'a> {
    client: &'a mut RedisClient,
}

impl Writer<'_> {
    fn run(&mut self, words: &[&str]) {
        self.client.run(words);
    }

    fn run_bytes(&mut self, words: &[&[u8]]) {
        self.client.run(words);
    }

    /// One command with many words, in portions of whole items of `size` words.
    fn add(&mut self, command: &str, key: &str, words: &[String], size: usize) {
        for part in words.chunks(size * 500) {
            let mut all = vec![command, key];
            all.extend(part.iter().map(String::as_str));
            self.client.run(&all);
        }
    }
}

pub(super) fn write(client: &mut RedisClient, kind: RedisKind) {
    let mut to = Writer { client };
    strings(&mut to);
    names(&mut to);
    lists(&mut to, kind);
    sets(&mut to);
    sorted_sets(&mut to);
    hashes(&mut to, kind);
    streams(&mut to);
    expiring(&mut to);
    if kind > RedisKind::Redis6 {
        functions(&mut to);
    }
    to.run(&["SELECT", "3"]);
    to.run(&["SET", "only in 3", "three"]);
    to.run(&["SET", "str:embstr", "another value than in 0"]);
    to.run(&["SELECT", "0"]);
}

/// Bytes that do not compress, from a generator that is always the same.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}

fn strings(to: &mut Writer) {
    for number in NUMBERS {
        to.run(&["SET", &format!("str:number {number}"), number]);
    }
    to.run(&["SET", "str:empty", ""]);
    to.run(&["SET", "str:embstr", "a short one"]);
    to.run_bytes(&[b"SET", b"str:raw", &noise(300)]);
    to.run_bytes(&[b"SET", b"str:every byte", &(0..=255).collect::<Vec<u8>>()]);
    to.run(&["SET", "str:same byte", &"x".repeat(30_000)]);
    let text: String = (0..2000).map(|n| format!("line {n} of some text; ")).collect();
    to.run(&["SET", "str:text", &text]);
    let mixed = [noise(5000), noise(5000), vec![0; 70_000], noise(300)].concat();
    to.run_bytes(&[b"SET", b"str:mixed", &mixed]);
    to.run_bytes(&[b"SET", b"str:large", &noise(1_200_000)]);
    to.run(&["SET", "str:large text", &text.repeat(25)]);
    to.run(&["SETBIT", "str:bits", "100000", "1"]);
    to.run(&["PFADD", "str:hyperloglog", "a", "b", "c"]);
}

fn names(to: &mut Writer) {
    for key in ["", "12", "-70000", "ключ", "with space\r\nand line"] {
        to.run(&["SET", key, "a key's name"]);
    }
    to.run_bytes(&[b"SET", &(0..=255).collect::<Vec<u8>>(), b"every byte"]);
    to.run(&["SET", &"long name ".repeat(3000), "a long name"]);
}

/// Strings of every length class of the packed encodings, and the numbers.
fn items() -> Vec<String> {
    let lengths = [0, 1, 63, 64, 253, 254, 300, 4095, 4096, 5000];
    let texts = lengths.iter().map(|length| "t".repeat(*length));
    texts.chain(NUMBERS.map(str::to_owned)).collect()
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

fn lists(to: &mut Writer, kind: RedisKind) {
    to.run(&["RPUSH", "list:one", "item"]);
    to.add("RPUSH", "list:items", &items(), 1);
    to.add("RPUSH", "list:many nodes", &numbered("item ", 4_000), 1);
    let packed = match kind {
        RedisKind::Redis6 => "list-max-ziplist-size",
        _ => "list-max-listpack-size",
    };
    to.run(&["CONFIG", "SET", packed, "3"]);
    to.run(&["CONFIG", "SET", "list-compress-depth", "1"]);
    let texts: Vec<String> = (0..50).map(|n| format!("text {n} ").repeat(40)).collect();
    to.add("RPUSH", "list:compressed", &texts, 1);
    to.run(&["CONFIG", "SET", packed, "-1"]);
    let large: Vec<String> = (0..4).map(|n| format!("large {n} ").repeat(3000)).collect();
    to.add("RPUSH", "list:large items", &large, 1);
    to.add("RPUSH", "list:large items", &items(), 1);
    to.run_bytes(&[b"RPUSH", b"list:one large item", &noise(1_200_000)]);
    to.run(&["CONFIG", "SET", packed, "-2"]);
    to.run(&["CONFIG", "SET", "list-compress-depth", "0"]);
    to.add("RPUSH", "list:large", &numbered("an item of a large list ", 12_000), 1);
}

fn sets(to: &mut Writer) {
    to.run(&["SADD", "set:int16", "-32768", "0", "1", "32767"]);
    to.run(&["SADD", "set:int32", "-2147483648", "5", "2147483647"]);
    to.run(&["SADD", "set:int64", "-9223372036854775808", "5", "9223372036854775807"]);
    to.run(&["SADD", "set:few", "a", "b", "3"]);
    to.add("SADD", "set:items", &items(), 1);
    to.add("SADD", "set:many", &numbered("member ", 2000), 1);
    to.add("SADD", "set:many integers", &numbered("", 2000), 1);
    to.add("SADD", "set:large", &numbered("a member of a large set ", 8_000), 1);
}

fn sorted_sets(to: &mut Writer) {
    let scores = ["0", "-0", "1", "-1", "1.5", "0.1", "1e300", "-1e-300", "5e-324", "inf", "-inf"];
    let scores = scores.iter().chain(&["1e21", "123456789012345680", "3.0000000000000004"]);
    let pairs: Vec<String> =
        scores.flat_map(|score| [(*score).to_owned(), format!("member {score}")]).collect();
    to.add("ZADD", "zset:scores", &pairs, 2);
    let members: Vec<String> = items().into_iter().flat_map(|item| ["7".into(), item]).collect();
    to.add("ZADD", "zset:items", &members, 2);
    let many = |count: u32| -> Vec<String> {
        let pair = |n: u32| [format!("{}", f64::from(n) / 7.0), format!("member {n}")];
        (0..count).flat_map(pair).collect()
    };
    to.add("ZADD", "zset:many", &[many(1000), pairs].concat(), 2);
    to.add("ZADD", "zset:large", &many(8_000), 2);
    to.run(&["GEOADD", "zset:places", "13.361389", "38.115556", "Palermo"]);
}

fn hashes(to: &mut Writer, kind: RedisKind) {
    to.run(&["HSET", "hash:few", "field", "value", "12", "-70000", "", ""]);
    let fields: Vec<String> =
        items().into_iter().flat_map(|item| [format!("f{item}"), item]).collect();
    to.add("HSET", "hash:items", &fields, 2);
    let many = |count: u32| -> Vec<String> {
        (0..count).flat_map(|n| [format!("field {n}"), format!("value {n}")]).collect()
    };
    to.add("HSET", "hash:many", &many(2000), 2);
    to.add("HSET", "hash:large", &many(8_000), 2);
    if kind >= RedisKind::Valkey9 {
        for (key, count) in [("hash:expiring few", 10), ("hash:expiring", 2000)] {
            to.add("HSET", key, &many(count), 2);
            to.run(&["HPEXPIREAT", key, EXPIRES, "FIELDS", "2", "field 3", "field 7"]);
        }
        to.add("HSET", "hash:expiring large", &many(8_000), 2);
        let mut all: Vec<String> = ["HPEXPIREAT", "hash:expiring large", EXPIRES, "FIELDS", "500"]
            .map(str::to_owned)
            .to_vec();
        all.extend(numbered("field ", 500));
        to.client.run(&all);
    }
}

fn streams(to: &mut Writer) {
    to.run(&["XGROUP", "CREATE", "stream:empty", "group", "$", "MKSTREAM"]);
    to.run(&["XADD", "stream:one", "1-1", "field", "value"]);
    for n in 1..=20 {
        let id = format!("{n}-{}", n % 3);
        to.run(&["XADD", "stream:fields", &id, "same", &n.to_string(), "fields", "here"]);
        to.run(&["XADD", "stream:fields", &format!("{n}-5"), "other", "one", "", "", "12", "-7"]);
    }
    for (at, item) in items().iter().enumerate() {
        to.run(&["XADD", "stream:items", &format!("0-{}", at + 1), item, item]);
    }
    many_entries(to, "stream:many", 350);
    to.run(&["XDEL", "stream:many", "3-0", "4-0", "200-0", "350-0"]);
    to.run(&["XTRIM", "stream:many", "MINID", "2-0"]);
    to.run(&["XGROUP", "CREATE", "stream:many", "behind", "5-0"]);
    to.run(&["XGROUP", "CREATE", "stream:many", "pending", "0"]);
    for (consumer, count) in [("one", "7"), ("two", "150"), ("one", "3")] {
        let read = ["XREADGROUP", "GROUP", "pending", consumer, "COUNT", count];
        to.run(&[&read[..], &["STREAMS", "stream:many", ">"]].concat());
    }
    to.run(&["XACK", "stream:many", "pending", "6-0", "7-0"]);
    to.run(&["XGROUP", "CREATECONSUMER", "stream:many", "pending", "idle"]);
    let claim = ["XCLAIM", "stream:many", "pending", "three", "0", "9-0", "10-0"];
    to.run(&[&claim[..], &["TIME", "1700000000123", "RETRYCOUNT", "9"]].concat());
    // An entry that is pending and no longer there.
    to.run(&["XDEL", "stream:many", "12-0"]);
    many_entries(to, "stream:all deleted", 5);
    to.run(&["XTRIM", "stream:all deleted", "MAXLEN", "0"]);
    to.run(&["XADD", "stream:last id", "18446744073709551615-18446744073709551615", "f", "v"]);
    many_entries(to, "stream:large", 4_000);
    to.run(&["XGROUP", "CREATE", "stream:large", "group", "0"]);
    let read = ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "1000"];
    to.run(&[&read[..], &["STREAMS", "stream:large", ">"]].concat());
}

fn many_entries(to: &mut Writer, key: &str, count: usize) {
    let entry = |n: usize| {
        let id = format!("{}-0", n + 1);
        let value = format!("the value of entry {n}");
        ["XADD", key, &id, "name", &value, "n", &n.to_string()].map(|w| w.as_bytes().to_vec())
    };
    let commands: Vec<Vec<Vec<u8>>> = (0..count).map(|n| entry(n).to_vec()).collect();
    to.client.pipeline(&commands);
}

fn expiring(to: &mut Writer) {
    to.run(&["SET", "expires:string", "value"]);
    to.run(&["RPUSH", "expires:list", "value"]);
    to.add("SADD", "expires:large set", &numbered("a member of a set that expires ", 8_000), 1);
    for key in ["expires:string", "expires:list", "expires:large set"] {
        to.run(&["PEXPIREAT", key, EXPIRES]);
    }
    to.run(&["SET", "expires:by the second", "value"]);
    to.run(&["EXPIREAT", "expires:by the second", "4102444800"]);
}

fn functions(to: &mut Writer) {
    for name in ["first", "second"] {
        let code = format!(
            "#!lua name={name}\nredis.register_function('{name}_call', function() return 1 end)"
        );
        to.run(&["FUNCTION", "LOAD", &code]);
    }
}
