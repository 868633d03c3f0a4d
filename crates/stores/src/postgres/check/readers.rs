//! Roles that only read: that they can do no more.

use crate::postgres::fault::Fault;
use crate::postgres::readers;
use crate::postgres::session::Session;
use mainstay_core::Finding;

pub(super) async fn findings(
    place: &str,
    session: &Session,
    names: &[String],
) -> Result<Vec<Finding>, Fault> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = missing(place, session, names).await?;
    for one in readers::look(session, names).await? {
        let what = format!("reader \"{}\" {}: it could write at a standby", one.reader, one.why);
        found.push(Finding::error(one.code, place, what, format!("{}.", one.mend)));
    }
    for (role, functions) in readers::definers(session, names).await? {
        let what = format!(
            "reader \"{role}\" may call functions that run with their owner's rights: {functions}"
        );
        let advice = "Look whether they write. REVOKE EXECUTE ON FUNCTION ... FROM PUBLIC, and grant \
                      it to the application's roles.";
        found.push(Finding::warning("MS-PG-320", place, what, advice));
    }
    Ok(found)
}

async fn missing(place: &str, session: &Session, names: &[String]) -> Result<Vec<Finding>, Fault> {
    let sql = "SELECT name FROM unnest($1::text[]) name WHERE NOT EXISTS \
               (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = name) ORDER BY 1";
    let rows = session.rows("read the roles", sql, &[&names]).await?;
    let told = rows.iter().map(|row| {
        let what = format!("role \"{}\" does not exist", row.get::<_, &str>(0));
        let advice = "Create it as it is at the other site: pg_dumpall --roles-only shows how.";
        Finding::error("MS-PG-112", place, what, advice)
    });
    Ok(told.collect())
}
