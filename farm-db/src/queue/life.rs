//! How builders and hubs are: what they say of themselves, and what that decides.

use diesel::{
    IntoSql as _, OptionalExtension as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Bool, Double, Float, Integer, Nullable, Text, Uuid as SqlUuid},
};
use farm_api::hub::{Status, Wanted};
use farm_types::BuilderId;
use uuid::Uuid;

use crate::{
    DbError, Result,
    call::call,
    document::{self, document},
};

/// Keeps how a builder stands, and answers what an operator wants of it.
pub fn tell_status(conn: &mut PgConnection, builder: BuilderId, status: &Status) -> Result<Wanted> {
    let large = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let query = sql_query("SELECT farm.tell_status($1, $2, $3, $4, $5, $6, $7, $8) AS document")
        .bind::<Integer, _>(builder.0)
        .bind::<SqlUuid, _>(status.instance)
        .bind::<Nullable<Text>, _>(status.reason.as_deref())
        .bind::<Float, _>(status.load)
        .bind::<Integer, _>(i32::try_from(status.processors).unwrap_or(i32::MAX))
        .bind::<BigInt, _>(large(status.memory_available))
        .bind::<BigInt, _>(large(status.disk_available))
        .bind::<BigInt, _>(large(status.files_available));
    document(conn, query)?.ok_or_else(|| DbError::NotFound(format!("there is no builder {builder}")))
}

/// The same of many builders, in one statement; answers in the same order.
pub fn tell_statuses(conn: &mut PgConnection, statuses: &[(BuilderId, Status)]) -> Result<Vec<Wanted>> {
    let large = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let each = || statuses.iter().map(|(_, status)| status);
    let arguments = (
        statuses.iter().map(|(builder, _)| builder.0).collect::<Vec<_>>().into_sql::<Array<Integer>>(),
        each().map(|status| status.instance).collect::<Vec<_>>().into_sql::<Array<SqlUuid>>(),
        each().map(|status| status.reason.as_deref()).collect::<Vec<_>>().into_sql::<Array<Nullable<Text>>>(),
        each().map(|status| status.load).collect::<Vec<_>>().into_sql::<Array<Float>>(),
        each()
            .map(|status| i32::try_from(status.processors).unwrap_or(i32::MAX))
            .collect::<Vec<_>>()
            .into_sql::<Array<Integer>>(),
        each().map(|status| large(status.memory_available)).collect::<Vec<_>>().into_sql::<Array<BigInt>>(),
        each().map(|status| large(status.disk_available)).collect::<Vec<_>>().into_sql::<Array<BigInt>>(),
        each().map(|status| large(status.files_available)).collect::<Vec<_>>().into_sql::<Array<BigInt>>(),
    );
    document::in_order(call("SELECT * FROM farm.tell_statuses(", arguments, ")").load(conn)?)
}

/// This life of a builder hands over to the next one: what it holds stays with it.
pub fn leave(conn: &mut PgConnection, builder: BuilderId, instance: Uuid) -> Result<()> {
    sql_query("SELECT farm.leave($1, $2)").bind::<Integer, _>(builder.0).bind::<SqlUuid, _>(instance).execute(conn)?;
    Ok(())
}

/// This life of a builder is the last one: a builder that registered itself is taken off the list. Answers whether it was.
pub fn deregister(conn: &mut PgConnection, builder: BuilderId, instance: Uuid) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Left {
        #[diesel(sql_type = Bool)]
        left: bool,
    }
    let query = sql_query("SELECT farm.deregister($1, $2) AS \"left\"");
    let row: Left = query.bind::<Integer, _>(builder.0).bind::<SqlUuid, _>(instance).get_result(conn)?;
    Ok(row.left)
}

/// How many slots a builder has, as the farm counts since its last hello.
pub fn slots_of(conn: &mut PgConnection, builder: BuilderId) -> Result<u32> {
    #[derive(QueryableByName)]
    struct Has {
        #[diesel(sql_type = Integer)]
        slots: i32,
    }
    let row: Has = sql_query("SELECT farm.slots_of($1) AS slots").bind::<Integer, _>(builder.0).get_result(conn)?;
    Ok(u32::try_from(row.slots).unwrap_or(0))
}

/// How many slots have to be free for the task that a builder keeps them for; `None`: it keeps none.
pub fn saves_slots(conn: &mut PgConnection, builder: BuilderId) -> Result<Option<u32>> {
    #[derive(QueryableByName)]
    struct Saves {
        #[diesel(sql_type = Integer)]
        slots: i32,
    }
    let query = sql_query("SELECT slots FROM farm.saves_slots($1) AS slots WHERE slots IS NOT NULL");
    let row: Option<Saves> = query.bind::<Integer, _>(builder.0).get_result(conn).optional()?;
    Ok(row.and_then(|row| u32::try_from(row.slots).ok()))
}

/// A hub is there and takes renewals, of leases that last so long.
pub fn pulse(conn: &mut PgConnection, lease_seconds: u32) -> Result<()> {
    sql_query("SELECT farm.pulse(make_interval(secs => $1))")
        .bind::<Double, _>(f64::from(lease_seconds))
        .execute(conn)?;
    Ok(())
}
