//! Read models as documents: a query makes JSON of the shape that the API shows, and serde reads it.
//!
//! One query per page instead of one per table, and one shape from the database to the browser.

use diesel::{PgConnection, QueryableByName, RunQueryDsl, query_dsl::LoadQuery, sql_types::Jsonb};
use serde::de::DeserializeOwned;

use crate::Result;

#[derive(QueryableByName)]
pub(crate) struct Document {
    #[diesel(sql_type = Jsonb)]
    document: serde_json::Value,
}

/// Runs a query whose rows have one column, `document`, of type jsonb.
pub(crate) fn documents<'q, T, Q>(conn: &mut PgConnection, query: Q) -> Result<Vec<T>>
where
    T: DeserializeOwned,
    Q: RunQueryDsl<PgConnection> + LoadQuery<'q, PgConnection, Document>,
{
    let rows: Vec<Document> = query.load(conn)?;
    Ok(rows.into_iter().map(|row| serde_json::from_value(row.document)).collect::<serde_json::Result<_>>()?)
}

/// The same, where there is at most one row.
pub(crate) fn document<'q, T, Q>(conn: &mut PgConnection, query: Q) -> Result<Option<T>>
where
    T: DeserializeOwned,
    Q: RunQueryDsl<PgConnection> + LoadQuery<'q, PgConnection, Document>,
{
    Ok(documents(conn, query)?.pop())
}
