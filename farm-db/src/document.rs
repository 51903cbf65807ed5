//! Read models as documents: a query makes JSON of the shape that the API shows, and serde reads it.
//!
//! One query per page instead of one per table, and one shape from the database to the browser.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl,
    query_dsl::LoadQuery,
    sql_types::{Integer, Jsonb, Nullable},
};
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

/// An answer to one of many, by the place of what was asked, counted from 1; NULL: there is nothing to say.
#[derive(QueryableByName)]
pub(crate) struct Placed {
    #[diesel(sql_type = Integer)]
    place: i32,
    #[diesel(sql_type = Nullable<Jsonb>)]
    document: Option<serde_json::Value>,
}

/// The answers in the order of what was asked.
pub(crate) fn in_order<T: DeserializeOwned>(mut rows: Vec<Placed>) -> Result<Vec<T>> {
    rows.sort_by_key(|row| row.place);
    let read = |row: Placed| serde_json::from_value(row.document.unwrap_or_default());
    Ok(rows.into_iter().map(read).collect::<serde_json::Result<_>>()?)
}
