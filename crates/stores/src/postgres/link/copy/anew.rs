//! A copy that was cut off and cannot go on begins anew: what it brought is taken away.

use super::super::failure::LinkError;
use super::super::shared::Shared;
use super::super::sql::Sql;
use super::record::{self, Begun, Recorded};
use super::tables::{self, SourceTable};

/// Everything that is directly in a schema of the application. Extensions stay, with what is
/// theirs; what belongs to a dropped table goes with it.
const DROP_ALL: &str = "
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT i.type, i.identity
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
        CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.deptype = 'n'
          AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'mainstay')
          AND d.classid <> 'pg_catalog.pg_extension'::regclass
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                          WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
          AND i.type NOT IN ('default acl', 'index', 'toast table')
        ORDER BY d.classid <> 'pg_catalog.pg_class'::regclass
    LOOP
        EXECUTE format('DROP %s IF EXISTS %s CASCADE',
                       CASE found.type WHEN 'composite type' THEN 'type'
                                       WHEN 'statistics object' THEN 'statistics'
                                       ELSE found.type END, found.identity);
    END LOOP;
    FOR found IN
        SELECT n.nspname FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'mainstay', 'public')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extnamespace = n.oid)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                          WHERE e.classid = 'pg_catalog.pg_namespace'::regclass
                            AND e.objid = n.oid AND e.deptype = 'e')
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname);
    END LOOP;
END
$$;";

/// Why the tables that are still to be copied cannot be, when they cannot. A table is told by its
/// number at the source, as another one may have taken its name.
pub(super) fn changed(begun: &Begun, now: &[SourceTable]) -> Option<String> {
    let waiting = begun.tables.iter().filter(|(_, recorded)| !recorded.copied);
    let mut names: Vec<_> = waiting.collect();
    names.sort_by_key(|(name, _)| name.as_str());
    let unlike = |(name, recorded): &(&String, &Recorded)| match now
        .iter()
        .find(|table| table.name == **name)
    {
        None => Some(format!("the table {name} is gone from the source")),
        Some(table) if table.oid != recorded.oid || table.shape != recorded.shape => {
            Some(format!("the table {name} was changed at the source"))
        }
        Some(_) => None,
    };
    names.iter().find_map(unlike)
}

/// Takes away what the copy brought, and what is known of it, in one transaction.
pub(super) async fn begin(
    shared: &Shared,
    target: &Sql,
    begun: &Begun,
    why: &str,
) -> Result<(), LinkError> {
    let name = shared.spec.name();
    tracing::warn!(link = %name, why, "the first copy begins anew");
    let take_away = match begun.made {
        true => DROP_ALL.to_owned(),
        false => empty(target, begun).await?,
    };
    let sql = format!(
        "BEGIN; SET LOCAL session_replication_role = replica; \
         SET LOCAL client_min_messages = warning;\n{take_away}\n{}COMMIT",
        record::forget(&name)
    );
    target.batch("take away what a first copy that was cut off had brought", &sql).await
}

async fn empty(target: &Sql, begun: &Begun) -> Result<String, LinkError> {
    let here = tables::present(target).await?;
    let ours = here.iter().filter(|table| begun.tables.contains_key(&table.name));
    let names: Vec<_> = ours.map(|table| table.quoted.as_str()).collect();
    Ok(match names.is_empty() {
        true => String::new(),
        false => format!("TRUNCATE ONLY {} CASCADE;", names.join(", ONLY ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::position::Lsn;

    #[test]
    fn a_table_that_is_still_to_be_copied_must_be_the_one_that_was_recorded() {
        let recorded = |copied| Recorded {
            oid: 1,
            shape: "1 id bigint".to_owned(),
            copied,
            rows: 0,
            bytes: 0,
        };
        let begun = |copied| Begun {
            start: Lsn(1),
            made: true,
            tables: [("t".to_owned(), recorded(copied))].into(),
        };
        let table = |oid, shape: &str| SourceTable {
            oid,
            shape: shape.to_owned(),
            ..SourceTable::example("t")
        };
        assert_eq!(changed(&begun(false), &[table(1, "1 id bigint")]), None);
        assert!(changed(&begun(false), &[table(1, "1 id int")]).is_some());
        assert!(changed(&begun(false), &[table(2, "1 id bigint")]).is_some());
        assert!(changed(&begun(false), &[]).is_some());
        assert_eq!(changed(&begun(true), &[]), None);
    }
}
