//! The fence of one database: making sure that the application's roles can write no more, and
//! letting them in again.
//!
//! Invariant: when `fence` returns Ok, every transaction of the roles that will ever be committed
//! here ends at or before the returned position, until an `open` with no older epoch.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::Epoch;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::types::{PgLsn, ToSql};

/// How long sessions may take to end. A backend notices the signal at once unless its machine is
/// in trouble.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long a login that began before the fence may take before it is ended like a session.
const LOGIN_GRACE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// What a confirmed fence found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    pub sessions_cut: u32,
    /// Nothing of the application was committed after this.
    pub position: Lsn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceState {
    pub epoch: Epoch,
    /// Opened, and the server was not restarted since.
    pub open: bool,
}

pub async fn fence(
    endpoint: &PostgresEndpoint,
    roles: &[String],
    epoch: Epoch,
) -> Result<Fenced, Fault> {
    fence_within(endpoint, roles, epoch, DEADLINE).await
}

/// Fences, or says what is still able to write after `deadline`. Doing it again is safe.
pub async fn fence_within(
    endpoint: &PostgresEndpoint,
    roles: &[String],
    epoch: Epoch,
    deadline: Duration,
) -> Result<Fenced, Fault> {
    let mut session = Session::open(endpoint, "fence").await?;
    let known = fit_roles(&session, roles).await?;
    shut(&mut session, roles, &known, epoch).await?;
    let sessions_cut = cut(&session, roles, deadline).await?;
    refuse_prepared(&session, roles).await?;
    let position = seal(&session).await?;
    Ok(Fenced { sessions_cut, position })
}

/// Lets the roles in, for this run of the server, if `still` says that they may. Equal epochs may
/// open again.
///
/// Invariant: an opening never undoes a fence that came after `still` was asked, however long
/// whoever opens was stopped in between.
pub async fn open(
    endpoint: &PostgresEndpoint,
    roles: &[String],
    epoch: Epoch,
    still: impl Fn() -> bool,
) -> Result<(), Fault> {
    let mut session = Session::open(endpoint, "open").await?;
    let known = fit_roles(&session, roles).await?;
    let place = session.place().to_owned();
    if let Some(role) = roles.iter().find(|role| !known.contains(role)) {
        return Err(Fault::RoleMissing { place, role: role.clone() });
    }
    let row = session.row("read the fence", "SELECT xmin::text FROM mainstay.site", &[]).await?;
    let seen: String = row.get(0);
    if !still() {
        return Err(Fault::OpenedTooLate { place, epoch });
    }
    let sql = "UPDATE mainstay.site \
               SET epoch = $1, roles = $2, open = true, \
                   opened_postmaster = pg_catalog.pg_postmaster_start_time() \
               WHERE epoch <= $1 AND xmin::text = $3";
    let update = Update { doing: "open the site", sql, seen: Some(&seen), login: "LOGIN" };
    change(&mut session, update, roles, &known, epoch).await
}

pub async fn state(endpoint: &PostgresEndpoint) -> Result<FenceState, Fault> {
    state_in(&Session::open(endpoint, "fence state").await?).await
}

pub(crate) async fn state_in(session: &Session) -> Result<FenceState, Fault> {
    let sql = "SELECT epoch, open AND opened_postmaster \
                      IS NOT DISTINCT FROM pg_catalog.pg_postmaster_start_time() \
               FROM mainstay.site";
    let row = session.row("read the fence", sql, &[]).await?;
    Ok(FenceState { epoch: epoch_of(row.get(0)), open: row.get(1) })
}

/// Those of `roles` that exist here. One that passes every check by being a superuser, or the one
/// that Mainstay itself connects as, cannot be fenced.
async fn fit_roles(session: &Session, roles: &[String]) -> Result<Vec<String>, Fault> {
    let sql = "SELECT rolname::text, rolsuper, rolname IN (session_user, current_user) \
               FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY 1";
    let rows = session.rows("read the application's roles", sql, &[&roles]).await?;
    for row in &rows {
        let why = match (row.get(2), row.get(1)) {
            (true, _) => "Mainstay itself connects as it",
            (_, true) => "it is a superuser",
            (false, false) => continue,
        };
        let place = session.place().to_owned();
        return Err(Fault::RoleUnfit { place, role: row.get(0), why });
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// From its commit on no login of the roles can begin: the role says so, and where the server has
/// login triggers the row says so too, to logins that had already passed the check of the role.
async fn shut(
    session: &mut Session,
    roles: &[String],
    known: &[String],
    epoch: Epoch,
) -> Result<(), Fault> {
    let sql = "UPDATE mainstay.site \
               SET epoch = $1, roles = $2, open = false, opened_postmaster = NULL \
               WHERE epoch <= $1";
    let update = Update { doing: "fence the site", sql, seen: None, login: "NOLOGIN" };
    change(session, update, roles, known, epoch).await
}

/// A change of the fence's row and of what the roles may.
struct Update<'a> {
    doing: &'static str,
    sql: &'static str,
    /// The row's version that it replaces; none where any may be replaced.
    seen: Option<&'a str>,
    login: &'static str,
}

/// The row first, which refuses a stale epoch and keeps out whoever else fences or opens; then the
/// roles; in one transaction, so that neither is ever seen without the other.
async fn change(
    session: &mut Session,
    update: Update<'_>,
    roles: &[String],
    known: &[String],
    epoch: Epoch,
) -> Result<(), Fault> {
    let place = session.place().to_owned();
    let failed = |error| super::session::fault(&place, update.doing, &error);
    let transaction = session.begin(update.doing).await?;
    let number = number(epoch);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&number, &roles];
    values.extend(update.seen.iter().map(|seen| seen as &(dyn ToSql + Sync)));
    if transaction.execute(update.sql, &values).await.map_err(failed)? == 0 {
        let row = transaction.query_one("SELECT epoch FROM mainstay.site", &[]).await;
        let seen = epoch_of(row.map_err(failed)?.get(0));
        return Err(match seen > epoch {
            true => Fault::StaleEpoch { place, asked: epoch, seen },
            false => Fault::OpenedTooLate { place, epoch },
        });
    }
    for role in known {
        let sql = format!("ALTER ROLE {} {}", escape_identifier(role), update.login);
        transaction.batch_execute(&sql).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Ends every session of the roles, and waits until none is left.
async fn cut(session: &Session, roles: &[String], deadline: Duration) -> Result<u32, Fault> {
    let began = Instant::now();
    let mut logins = logins(session).await?;
    let mut cut = BTreeSet::new();
    loop {
        // In this order: a login that has ended either failed or is a session by now.
        if !logins.is_empty() {
            let still = self::logins(session).await?;
            logins.retain(|pid| still.contains(pid));
        }
        if began.elapsed() > LOGIN_GRACE {
            end(session, &logins).await?;
        }
        let left = sessions(session, roles).await?;
        end(session, &left).await?;
        if left.is_empty() && logins.is_empty() {
            return Ok(u32::try_from(cut.len()).unwrap_or(u32::MAX));
        }
        cut.extend(left.iter().copied());
        if began.elapsed() > deadline {
            let pids = left.union(&logins).copied().collect();
            let place = session.place().to_owned();
            return Err(Fault::SessionsRemain { place, seconds: deadline.as_secs(), pids });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Backends of whatever kind that run as one of the roles, in any database.
async fn sessions(session: &Session, roles: &[String]) -> Result<BTreeSet<i32>, Fault> {
    let sql = "SELECT pid FROM pg_catalog.pg_stat_activity \
               WHERE usename = ANY ($1::text[]) AND pid <> pg_catalog.pg_backend_pid()";
    let rows = session.rows("look for the application's sessions", sql, &[&roles]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Backends that are starting up. Such a one may have passed the check of its role already, and
/// `pg_stat_activity` does not name its user yet; but it holds the lock of the transaction in which
/// PostgreSQL does both (`InitPostgres` in utils/init/postinit.c).
async fn logins(session: &Session) -> Result<BTreeSet<i32>, Fault> {
    let sql = "SELECT l.pid FROM pg_catalog.pg_locks l \
               LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
               WHERE l.locktype = 'virtualxid' AND l.granted AND a.usesysid IS NULL \
                     AND (a.backend_type IS NULL OR a.backend_type = 'client backend')";
    let rows = session.rows("look for logins under way", sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn end(session: &Session, pids: &BTreeSet<i32>) -> Result<(), Fault> {
    if pids.is_empty() {
        return Ok(());
    }
    let pids: Vec<i32> = pids.iter().copied().collect();
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM unnest($1::int4[]) pid";
    session.rows("end the application's sessions", sql, &[&pids]).await.map(drop)
}

/// A prepared transaction outlives its session, and somebody may still commit it.
async fn refuse_prepared(session: &Session, roles: &[String]) -> Result<(), Fault> {
    let sql = "SELECT pg_catalog.string_agg(pg_catalog.quote_literal(gid), ', ' ORDER BY gid) \
               FROM pg_catalog.pg_prepared_xacts WHERE owner = ANY ($1::text[])";
    let row = session.row("look for prepared transactions", sql, &[&roles]).await?;
    match row.get::<_, Option<String>>(0) {
        Some(gids) => Err(Fault::PreparedRemain { place: session.place().to_owned(), gids }),
        None => Ok(()),
    }
}

/// The end of history, made durable. Sessions with `synchronous_commit = off` may have left a tail
/// that is not on disk yet; a commit of our own behind it takes it there, and gives the link a
/// transaction that ends later than the position, so that it can be seen to arrive.
async fn seal(session: &Session) -> Result<Lsn, Fault> {
    let doing = "read the end of history";
    let row = session.row(doing, "SELECT pg_catalog.pg_current_wal_insert_lsn()", &[]).await?;
    let position: PgLsn = row.get(0);
    super::probe::beat(session).await?;
    Ok(Lsn(position.into()))
}

pub(crate) fn number(epoch: Epoch) -> i64 {
    i64::try_from(epoch.number()).unwrap_or(i64::MAX)
}

fn epoch_of(number: i64) -> Epoch {
    Epoch::new(u64::try_from(number).unwrap_or(0))
}
