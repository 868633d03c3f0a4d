//! The source's sequences, as last seen: logical replication does not carry them.

use super::LinkSpec;
use super::failure::LinkError;
use super::shared::SequenceValue;
use super::sql::Sql;

/// What the target was told already, so that an idle source writes nothing.
#[derive(Debug, Default)]
pub(super) struct Written(Vec<SequenceValue>);

pub(super) async fn read(source: &Sql) -> Result<Vec<SequenceValue>, LinkError> {
    // `last_value` is null until the sequence is used for the first time.
    const READ: &str = "SELECT schemaname::text, sequencename::text, \
                        coalesce(last_value, start_value), last_value IS NOT NULL \
                        FROM pg_sequences WHERE schemaname <> 'mainstay' ORDER BY 1, 2";
    let rows = source.rows("read the sequences", READ, &[]).await?;
    let value = |row: &tokio_postgres::Row| SequenceValue {
        schema: row.get(0),
        name: row.get(1),
        last_value: row.get(2),
        is_called: row.get(3),
    };
    Ok(rows.iter().map(value).collect())
}

impl Written {
    /// Only under this link's epoch: a stale link writes nothing.
    pub async fn write(
        &mut self,
        target: &Sql,
        spec: &LinkSpec,
        values: Vec<SequenceValue>,
    ) -> Result<(), LinkError> {
        const WRITE: &str = "
            INSERT INTO mainstay.sequence (link, schema_name, sequence_name, last_value, is_called)
            SELECT $1, v.s, v.n, v.l, v.c
            FROM unnest($3::text[], $4::text[], $5::bigint[], $6::boolean[]) AS v (s, n, l, c)
            WHERE EXISTS (SELECT FROM mainstay.link WHERE name = $1 AND epoch = $2)
            ON CONFLICT (link, schema_name, sequence_name)
            DO UPDATE SET last_value = EXCLUDED.last_value, is_called = EXCLUDED.is_called";
        if self.0 == values {
            return Ok(());
        }
        let changed: Vec<_> = values.iter().filter(|value| !self.0.contains(value)).collect();
        let schemas: Vec<_> = changed.iter().map(|v| v.schema.as_str()).collect();
        let names: Vec<_> = changed.iter().map(|v| v.name.as_str()).collect();
        let last: Vec<_> = changed.iter().map(|v| v.last_value).collect();
        let called: Vec<_> = changed.iter().map(|v| v.is_called).collect();
        let (name, epoch) = (spec.name(), spec.epoch.number() as i64);
        target
            .execute(
                "write the sequences",
                WRITE,
                &[&name, &epoch, &schemas, &names, &last, &called],
            )
            .await?;
        self.0 = values;
        Ok(())
    }
}
