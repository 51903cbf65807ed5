use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Bool, Integer},
};
use farm_types::JobId;

use crate::{
    Actor, Result,
    actor::{actor, bind},
};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    count: i32,
}

/// Withdraws what of a job has not ended. Answers how much that was; 0 when all had ended.
pub fn cancel_job(conn: &mut PgConnection, actor: &Actor, job: JobId) -> Result<i32> {
    let query = sql_query(concat!("SELECT farm.cancel_job(", actor!(), ", $4) AS count"));
    let row: Count = bind!(query, actor).bind::<BigInt, _>(job.0).get_result(conn)?;
    Ok(row.count)
}

/// Builds again what did not succeed: the same job, the next attempt. Answers how many tasks.
pub fn retry_job(conn: &mut PgConnection, actor: &Actor, job: JobId, failed_only: bool) -> Result<i32> {
    let query = sql_query(concat!("SELECT farm.retry_job(", actor!(), ", $4, $5) AS count"));
    let row: Count = bind!(query, actor).bind::<BigInt, _>(job.0).bind::<Bool, _>(failed_only).get_result(conn)?;
    Ok(row.count)
}
