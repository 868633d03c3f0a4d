//! Whether servers can be looked after, before anything is touched: everything here only reads.

use super::fault::Fault;
use super::readers;
use super::session::Session;
use super::users;
use mainstay_core::Finding;
use mainstay_core::estate::{Estate, RedisEndpoint, RedisStore, StoreKind};

/// What a server says of itself.
struct Facts {
    /// Where in the configuration: `applications.bank.stores.cache.endpoints.west`.
    place: String,
    run: String,
    version: String,
    /// Of its version, for comparing two of them.
    numbers: Vec<u32>,
    cluster: bool,
    modules: Vec<String>,
    limited: Option<String>,
    backlog: u64,
    kept: bool,
}

/// The oldest version whose effects and snapshots are known, and the smallest backlog that bridges
/// more than a moment.
const OLDEST: [u32; 2] = [6, 2];
const BACKLOG: u64 = 64 * 1024 * 1024;

/// Every Redis store of the estate.
pub async fn estate(estate: &Estate) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (application, settings) in &estate.applications {
        for (name, store) in &settings.stores {
            if let StoreKind::Redis(redis) = &store.kind {
                let place = format!("applications.{application}.stores.{name}");
                findings.extend(self::findings(&place, redis).await);
            }
        }
    }
    findings
}

/// One store; `place` is where it is in the configuration: `applications.bank.stores.cache`.
pub async fn findings(place: &str, store: &RedisStore) -> Vec<Finding> {
    let (mut findings, mut seen) = (Vec::new(), Vec::<Facts>::new());
    for (site, endpoint) in &store.endpoints {
        let place = format!("{place}.endpoints.{site}");
        match one(&place, endpoint, &store.users, &store.readers).await {
            Ok((facts, found)) => {
                findings.extend(found);
                seen.push(facts);
            }
            Err(fault) => findings.push(unanswered(&place, &fault)),
        }
    }
    findings.extend(together(&seen));
    findings
}

/// What stands in the way at one server alone, apart from its readers.
pub async fn endpoint(place: &str, endpoint: &RedisEndpoint, users: &[String]) -> Vec<Finding> {
    match one(place, endpoint, users, &[]).await {
        Ok((_, found)) => found,
        Err(fault) => vec![unanswered(place, &fault)],
    }
}

async fn one(
    place: &str,
    endpoint: &RedisEndpoint,
    users: &[String],
    readers: &[String],
) -> Result<(Facts, Vec<Finding>), Fault> {
    let mut session = Session::open(endpoint, "check").await?;
    let facts = read(place, &mut session).await?;
    let mut found = alone(&facts);
    // A node of a cluster refuses the keys of the fence.
    if !facts.cluster {
        found.extend(users::findings(place, endpoint, (users, readers), &mut session).await?);
        found.extend(readers::findings(place, &mut session, readers).await?);
    }
    Ok((facts, found))
}

async fn read(place: &str, session: &mut Session) -> Result<Facts, Fault> {
    let server = session.info("server").await?;
    let cluster = session.info("cluster").await?;
    let field = |name: &str| server.get(name).cloned().unwrap_or_default();
    let version = server.get("valkey_version").cloned().unwrap_or_else(|| field("redis_version"));
    let numbers = version.split('.').map_while(|number| number.parse().ok()).collect();
    let modules = session.call("list its modules", &["MODULE", "LIST"]).await?;
    let names = modules.items().iter().filter_map(|module| module.items().get(1)?.text());
    // Valkey keeps its scripts in one, which has no values.
    let modules = names.filter(|name| *name != "lua").map(str::to_owned).collect();
    let mut setting = async |name| -> Result<String, Fault> {
        Ok(session.setting(name).await?.unwrap_or_default())
    };
    let (memory, policy) = (setting("maxmemory").await?, setting("maxmemory-policy").await?);
    let limited = (memory != "0" && policy != "noeviction").then_some(policy);
    let backlog = setting("repl-backlog-size").await?.parse().unwrap_or(0);
    let kept = setting("appendonly").await? == "yes" || !setting("save").await?.is_empty();
    Ok(Facts {
        place: place.to_owned(),
        run: field("run_id"),
        version,
        numbers,
        cluster: cluster.get("cluster_enabled").is_some_and(|enabled| enabled == "1"),
        modules,
        limited,
        backlog,
        kept,
    })
}

fn alone(facts: &Facts) -> Vec<Finding> {
    let (place, mut found) = (&facts.place, Vec::new());
    if facts.numbers < OLDEST.to_vec() {
        let what = format!("this is version {}, and Mainstay needs 6.2 or newer", facts.version);
        found.push(Finding::error("MS-RD-301", place, what, "update the server"));
    }
    if facts.cluster {
        let what = "this is a node of a cluster, which has a part of the keys only";
        let advice = "name a server with cluster-enabled no; clusters are not replicated yet";
        found.push(Finding::error("MS-RD-302", place, what, advice));
    }
    if !facts.modules.is_empty() {
        let what = format!(
            "modules are loaded ({}), whose values are not replicated",
            facts.modules.join(", ")
        );
        let advice =
            "make sure that no key has a value of a module: the link stops at the first one";
        found.push(Finding::warning("MS-RD-303", place, what, advice));
    }
    if let Some(policy) = &facts.limited {
        let what = format!("this server removes keys by itself when its memory is full ({policy})");
        let advice = "at a site that receives, keys are missing then without a trace: \
                      CONFIG SET maxmemory-policy noeviction, or give it more memory than the active one";
        found.push(Finding::warning("MS-RD-304", place, what, advice));
    }
    if facts.backlog < BACKLOG {
        let what = format!("repl-backlog-size is {} bytes", facts.backlog);
        let advice = "a link that was away for longer than that many written bytes copies \
                      everything anew: CONFIG SET repl-backlog-size 256mb, and CONFIG REWRITE";
        found.push(Finding::warning("MS-RD-305", place, what, advice));
    }
    if !facts.kept {
        let what = "this server keeps nothing on disk, and has no keys after a restart";
        let advice = "CONFIG SET appendonly yes, and CONFIG REWRITE";
        found.push(Finding::warning("MS-RD-306", place, what, advice));
    }
    found
}

fn together(seen: &[Facts]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (n, one) in seen.iter().enumerate() {
        for other in &seen[n + 1..] {
            if one.run == other.run {
                let what = format!("this is the same server as {}", other.place);
                let advice = "give each site a server of its own";
                found.push(Finding::error("MS-RD-309", &one.place, what, advice));
            } else if one.numbers.first() != other.numbers.first() {
                let (a, b) = (&one.version, &other.version);
                let what = format!("this is version {a}, and {} is version {b}", other.place);
                let advice = "values that only the newer one knows stop the link to the older \
                              one; update the older one";
                found.push(Finding::warning("MS-RD-307", &one.place, what, advice));
            }
        }
    }
    found
}

/// The error says itself what to do; it becomes what was found there.
fn unanswered(place: &str, fault: &Fault) -> Finding {
    let text = fault.to_string();
    let (what, advice) = text.rsplit_once("; ").unwrap_or((&text, "look at that server's log"));
    Finding::error(fault.code(), place, what, advice)
}
