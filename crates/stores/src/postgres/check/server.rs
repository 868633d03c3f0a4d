//! One server and database by itself.

use crate::postgres::fault::Fault;
use crate::postgres::generated;
use crate::postgres::session::Session;
use crate::postgres::setup::LOGIN_TRIGGER_SINCE;
use mainstay_core::Finding;
use mainstay_core::estate::PostgresEndpoint;
use std::collections::BTreeMap;

/// Older majors lack what the link relies on (logical decoding of `TRUNCATE` to all tables,
/// `wal_status` of slots), and are no longer maintained.
const OLDEST: i32 = 14;

/// One slot for the link, one that pins the way back, one for a copy or a comparison.
const SLOTS: i64 = 3;

pub(super) struct Facts {
    /// Equal for two endpoints that lead to one database.
    pub identity: String,
    pub major: i32,
    pub version: String,
    pub encoding: String,
    pub collation: String,
    /// Installed ones and their versions.
    pub extensions: BTreeMap<String, String>,
    /// Those that could be installed.
    pub available: Vec<String>,
    /// Tables whose replica identity has generated columns.
    pub generated_identities: Vec<String>,
    superuser: bool,
    in_recovery: bool,
    wal_level: String,
    free_slots: i64,
    free_senders: i64,
    login_triggers: bool,
}

const FACTS: &str = "\
    SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text || '/' || d.oid \
               AS identity, \
           current_setting('server_version_num')::int4 / 10000 AS major, \
           current_setting('server_version') AS version, \
           pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding, \
           d.datcollate::text || ' ' || d.datlocprovider::text AS collation, \
           current_setting('is_superuser') = 'on' AS superuser, \
           pg_catalog.pg_is_in_recovery() AS in_recovery, \
           current_setting('wal_level') AS wal_level, \
           current_setting('max_replication_slots')::int8 - (SELECT count(*) \
               FROM pg_catalog.pg_replication_slots \
               WHERE slot_name NOT LIKE 'mainstay\\_%') AS free_slots, \
           current_setting('max_wal_senders')::int8 - (SELECT count(*) \
               FROM pg_catalog.pg_stat_replication \
               WHERE application_name NOT LIKE 'mainstay %') AS free_senders, \
           COALESCE(current_setting('event_triggers', true), 'on') = 'on' AS login_triggers \
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

pub(super) async fn read(session: &Session) -> Result<Facts, Fault> {
    let doing = "read the server's settings";
    let row = session.row(doing, FACTS, &[]).await?;
    let installed = "SELECT extname::text, extversion FROM pg_catalog.pg_extension";
    let installed = session.rows(doing, installed, &[]).await?;
    let available = "SELECT name::text FROM pg_catalog.pg_available_extensions";
    let available = session.rows(doing, available, &[]).await?;
    Ok(Facts {
        identity: row.get("identity"),
        major: row.get("major"),
        version: row.get("version"),
        encoding: row.get("encoding"),
        collation: row.get("collation"),
        extensions: installed.iter().map(|row| (row.get(0), row.get(1))).collect(),
        available: available.iter().map(|row| row.get(0)).collect(),
        generated_identities: generated::tables(session).await?,
        superuser: row.get("superuser"),
        in_recovery: row.get("in_recovery"),
        wal_level: row.get("wal_level"),
        free_slots: row.get("free_slots"),
        free_senders: row.get("free_senders"),
        login_triggers: row.get("login_triggers"),
    })
}

pub(super) fn findings(place: &str, endpoint: &PostgresEndpoint, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(access(place, endpoint, facts));
    found.extend(replication(place, facts));
    found.extend(version(place, facts));
    found
}

fn access(place: &str, endpoint: &PostgresEndpoint, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if !facts.superuser {
        found.push(Finding::error(
            "MS-PG-303",
            place,
            format!("Mainstay connects as \"{}\", which is not a superuser", endpoint.user),
            format!("ALTER ROLE \"{}\" SUPERUSER;", endpoint.user),
        ));
    }
    if facts.in_recovery {
        found.push(Finding::error(
            "MS-PG-304",
            place,
            "the server is a standby of another one, so it is read-only",
            "Name a primary server here: Mainstay replicates between primaries.",
        ));
    }
    found
}

fn replication(place: &str, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.wal_level != "logical" {
        found.push(Finding::error(
            "MS-PG-301",
            place,
            format!("wal_level is {}, and logical replication needs \"logical\"", facts.wal_level),
            "ALTER SYSTEM SET wal_level = 'logical'; then restart that server.",
        ));
    }
    let rooms =
        [("max_replication_slots", facts.free_slots), ("max_wal_senders", facts.free_senders)];
    for (setting, free) in rooms.into_iter().filter(|(_, free)| *free < SLOTS) {
        found.push(Finding::error(
            "MS-PG-302",
            place,
            format!("{setting} leaves Mainstay {}, and it needs {SLOTS}", free.max(0)),
            format!("Raise {setting} by {} and restart that server.", SLOTS - free),
        ));
    }
    found
}

fn version(place: &str, facts: &Facts) -> Vec<Finding> {
    if facts.major < OLDEST {
        return vec![Finding::error(
            "MS-PG-305",
            place,
            format!("PostgreSQL {} is too old", facts.version),
            format!("Upgrade both sites to one major version of at least {OLDEST}."),
        )];
    }
    let why = if facts.major < LOGIN_TRIGGER_SINCE {
        format!("PostgreSQL {} has no login triggers", facts.version)
    } else if facts.login_triggers {
        return Vec::new();
    } else {
        "event_triggers is off".to_owned()
    };
    vec![Finding::warning(
        "MS-PG-306",
        place,
        format!(
            "the fence does not hold at rest: {why}, so this server, killed while active and \
                 started again, lets the application's roles in until the agent has fenced it"
        ),
        "Let the roles connect through the gate only (pg_hba.conf), or use PostgreSQL 17 or \
         newer with event_triggers = on.",
    )]
}

#[cfg(test)]
impl Facts {
    /// A server that lacks nothing.
    pub fn example(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            major: 18,
            version: "18.6".to_owned(),
            encoding: "UTF8".to_owned(),
            collation: "C c".to_owned(),
            extensions: BTreeMap::from([("plpgsql".to_owned(), "1.0".to_owned())]),
            available: vec!["plpgsql".to_owned()],
            generated_identities: Vec::new(),
            superuser: true,
            in_recovery: false,
            wal_level: "logical".to_owned(),
            free_slots: 10,
            free_senders: 10,
            login_triggers: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = Facts::example("east");
        change(&mut facts);
        let found = [replication("east", &facts), version("east", &facts)].concat();
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn an_old_server_is_told_what_it_lacks() {
        assert!(codes(|_| {}).is_empty());
        assert_eq!(codes(|facts| facts.major = 16), ["MS-PG-306"]);
        assert_eq!(codes(|facts| facts.major = 13), ["MS-PG-305"]);
        assert_eq!(codes(|facts| facts.free_slots = 2), ["MS-PG-302"]);
    }
}
