use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Bool, Integer, Text},
};
use farm_types::JobId;

use crate::Result;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    count: i32,
}

/// Withdraws what of a job has not ended. Answers how much that was; 0 when all had ended.
pub fn cancel_job(conn: &mut PgConnection, job: JobId, principal: &str) -> Result<i32> {
    let row: Count = sql_query("SELECT farm.cancel_job($1, $2) AS count")
        .bind::<BigInt, _>(job.0)
        .bind::<Text, _>(principal)
        .get_result(conn)?;
    Ok(row.count)
}

/// Builds again what did not succeed: the same job, the next attempt. Answers how many tasks.
pub fn retry_job(conn: &mut PgConnection, job: JobId, failed_only: bool) -> Result<i32> {
    let row: Count = sql_query("SELECT farm.retry_job($1, $2) AS count")
        .bind::<BigInt, _>(job.0)
        .bind::<Bool, _>(failed_only)
        .get_result(conn)?;
    Ok(row.count)
}
