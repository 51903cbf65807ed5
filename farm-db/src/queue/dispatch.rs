//! What a hub asks to decide whom to wake. All of it is a hint: the claim decides.

use std::collections::HashMap;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Integer, Text},
};
use farm_types::{BuilderId, PlatformName};

use crate::{DbError, Result};

/// The platforms whose tasks each of these builders is given now.
pub fn platforms_of(conn: &mut PgConnection, builders: &[BuilderId]) -> Result<HashMap<BuilderId, Vec<PlatformName>>> {
    #[derive(QueryableByName)]
    struct Serves {
        #[diesel(sql_type = Integer)]
        builder: i32,
        #[diesel(sql_type = Array<Text>)]
        platforms: Vec<String>,
    }
    let builders: Vec<i32> = builders.iter().map(|id| id.0).collect();
    let rows: Vec<Serves> =
        sql_query("SELECT builder, farm.platforms_of(builder) AS platforms FROM unnest($1) AS builder")
            .bind::<Array<Integer>, _>(builders)
            .load(conn)?;
    rows.into_iter()
        .map(|row| {
            let platforms = row.platforms.into_iter().map(platform).collect::<Result<_>>()?;
            Ok((BuilderId(row.builder), platforms))
        })
        .collect()
}

/// How many tasks of each of these platforms can be claimed now, counted to `at_most`; platforms without any are left
/// out.
pub fn ready_counts(
    conn: &mut PgConnection,
    platforms: &[PlatformName],
    at_most: u32,
) -> Result<Vec<(PlatformName, u32)>> {
    #[derive(QueryableByName)]
    struct Ready {
        #[diesel(sql_type = Text)]
        platform: String,
        #[diesel(sql_type = BigInt)]
        ready: i64,
    }
    let platforms: Vec<&str> = platforms.iter().map(PlatformName::as_str).collect();
    let rows: Vec<Ready> = sql_query(
        "SELECT p.name AS platform, r.ready FROM unnest($1) AS p(name) CROSS JOIN LATERAL (
           SELECT count(*) AS ready FROM (
             SELECT FROM farm.ready WHERE platform = p.name AND not_before <= now() LIMIT $2) AS head) AS r
         WHERE r.ready > 0",
    )
    .bind::<Array<Text>, _>(platforms)
    .bind::<BigInt, _>(i64::from(at_most))
    .load(conn)?;
    rows.into_iter().map(|row| Ok((platform(row.platform)?, u32::try_from(row.ready).unwrap_or(u32::MAX)))).collect()
}

fn platform(name: String) -> Result<PlatformName> {
    PlatformName::try_from(name).map_err(|e| DbError::Data(e.to_string()))
}
