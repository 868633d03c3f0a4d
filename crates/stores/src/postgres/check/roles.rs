//! The application's roles: that the fence will hold them, and only them.

use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::Finding;

const DOING: &str = "read the roles";

pub(super) async fn findings(
    place: &str,
    session: &Session,
    names: &[String],
    readers: &[String],
) -> Result<Vec<Finding>, Fault> {
    let mut found = named(place, session, names).await?;
    let known = [names, readers].concat();
    found.extend(other_writers(place, session, &known).await?);
    found.extend(prepared(place, session, names).await?);
    Ok(found)
}

/// Each role of the configuration: there, and weaker than the fence.
async fn named(place: &str, session: &Session, names: &[String]) -> Result<Vec<Finding>, Fault> {
    let sql = "SELECT n.name, r.oid IS NULL AS missing, COALESCE(r.rolsuper, false) AS super, \
                      n.name IN (session_user, current_user) AS own, \
                      EXISTS (SELECT FROM pg_catalog.pg_roles s \
                          WHERE s.rolsuper AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER')) \
                      AS strong \
               FROM unnest($1::text[]) n (name) \
               LEFT JOIN pg_catalog.pg_roles r ON r.rolname = n.name ORDER BY 1";
    let rows = session.rows(DOING, sql, &[&names]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let flag = |name| row.get::<_, bool>(name);
            role(place, row.get(0), flag("missing"), flag("super"), flag("own"), flag("strong"))
        })
        .collect())
}

fn role(
    place: &str,
    name: &str,
    missing: bool,
    superuser: bool,
    own: bool,
    strong: bool,
) -> Option<Finding> {
    let unfit = |why: &str| {
        let what = format!("role \"{name}\" cannot be fenced: {why}");
        Finding::error("MS-PG-111", place, what, "Give the application a plain role of its own.")
    };
    if missing {
        let what = format!("role \"{name}\" does not exist");
        let advice = "Create it as it is at the other site: pg_dumpall --roles-only shows how.";
        return Some(Finding::error("MS-PG-112", place, what, advice));
    }
    if own {
        return Some(unfit("Mainstay itself connects as it"));
    }
    if superuser {
        return Some(unfit("it is a superuser"));
    }
    strong.then(|| unfit("it can become a superuser, and so undo the fence"))
}

/// Roles that are not fenced and yet may log in and write to the application's tables.
async fn other_writers(
    place: &str,
    session: &Session,
    names: &[String],
) -> Result<Vec<Finding>, Fault> {
    let sql = "SELECT r.rolname::text FROM pg_catalog.pg_roles r \
               WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> ALL ($1::text[]) \
                     AND pg_catalog.has_database_privilege(r.oid, \
                             pg_catalog.current_database(), 'CONNECT') \
                     AND EXISTS (SELECT FROM pg_catalog.pg_class c \
                         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                         WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'mainstay' \
                               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
                               AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') \
                               AND pg_catalog.has_table_privilege(r.oid, c.oid, \
                                       'INSERT, UPDATE, DELETE, TRUNCATE')) \
               ORDER BY 1 LIMIT 20";
    let rows = session.rows(DOING, sql, &[&names]).await?;
    let advice = "Add it to `roles` of the store, or revoke its right to log in or to write.";
    Ok(rows
        .iter()
        .map(|row| {
            let what = format!(
                "role \"{}\" may log in and write, but is not in `roles`, so a fence leaves it in",
                row.get::<_, &str>(0)
            );
            Finding::warning("MS-PG-307", place, what, advice)
        })
        .collect())
}

async fn prepared(place: &str, session: &Session, names: &[String]) -> Result<Vec<Finding>, Fault> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_prepared_xacts \
               WHERE owner = ANY ($1::text[]) AND database = pg_catalog.current_database()";
    let count: i64 = session.row(DOING, sql, &[&names]).await?.get(0);
    let what =
        format!("{count} prepared transactions are left; while there is one, no fence holds");
    let advice = "Decide each of pg_prepared_xacts by COMMIT PREPARED or ROLLBACK PREPARED.";
    Ok((count > 0)
        .then(|| Finding::warning("MS-PG-114", place, what, advice))
        .into_iter()
        .collect())
}
