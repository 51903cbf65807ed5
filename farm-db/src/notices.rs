//! What operators are told: notices, written where something happens, and sent by the janitor.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Double, Integer, Nullable, Text},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{Result, document::document};

/// A notice to send.
#[derive(Debug, Clone, Deserialize)]
pub struct Notice {
    /// Its number, which tells it from all others for ever.
    pub id: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What it is about: `task 42`, `builder host1`.
    pub about: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// How often it was taken to be sent, this time included.
    pub tries: u32,
}

/// Takes the next notice that is to be sent, for so long: after that somebody else sends it.
pub fn take(conn: &mut PgConnection, hold_seconds: u32) -> Result<Option<Notice>> {
    let query = sql_query(
        "SELECT document FROM farm.take_notice(make_interval(secs => $1)) AS document WHERE document IS NOT NULL",
    );
    document(conn, query.bind::<Double, _>(f64::from(hold_seconds)))
}

/// A notice was sent, or why it could not be.
pub fn end(conn: &mut PgConnection, id: i64, error: Option<&str>) -> Result<()> {
    sql_query("SELECT farm.end_notice($1, $2)").bind::<BigInt, _>(id).bind::<Nullable<Text>, _>(error).execute(conn)?;
    Ok(())
}

/// Notices that were tried and could not be sent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Unsent {
    /// How many.
    pub count: u64,
    /// Why the last one.
    pub error: Option<String>,
}

/// How many notices could not be sent.
pub fn unsent(conn: &mut PgConnection) -> Result<Unsent> {
    Ok(document(conn, sql_query("SELECT farm.unsent_notices() AS document"))?.unwrap_or_default())
}

/// Forgets notices of long ago. Answers how many.
pub fn forget(conn: &mut PgConnection) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let row: Count = sql_query("SELECT farm.forget_notices() AS count").get_result(conn)?;
    Ok(row.count)
}
