//! Builders that register themselves: which may, and as what.

use diesel::{
    PgConnection, RunQueryDsl, sql_query,
    sql_types::{Array, Integer, Nullable, Text},
};
use farm_types::{FleetName, PlatformName};
use serde::{Deserialize, Serialize};

use crate::{
    Actor, DbError, Result,
    actor::{actor, bind},
    document::{document, documents},
};

/// Builders that may register themselves, and what they may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// What they are called together.
    pub name: FleetName,
    /// Their principals, as in `builder/*.fleet.example.org@EXAMPLE.ORG`: a star stands for a part of one label of the host.
    pub principals: String,
    /// What they may serve; `None` is every platform of their architectures.
    pub platforms: Option<Vec<PlatformName>>,
    /// How many slots each has at most.
    pub slots: u32,
    /// How many there may be at a time.
    pub builders: u32,
}

/// A fleet as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FleetState {
    /// What an administrator set.
    #[serde(flatten)]
    pub fleet: Fleet,
    /// How many of its builders are there.
    pub present: u32,
}

/// Lets builders register themselves whose principals match, or changes what those may.
pub fn allow_builders(conn: &mut PgConnection, actor: &Actor, fleet: &Fleet) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.allow_builders(", actor!(), ", $4, $5, $6, $7, $8)"));
    let platforms = fleet.platforms.as_deref().map(|names| names.iter().map(PlatformName::as_str).collect::<Vec<_>>());
    bind!(query, actor)
        .bind::<Text, _>(fleet.name.as_str())
        .bind::<Text, _>(&fleet.principals)
        .bind::<Nullable<Array<Text>>, _>(platforms)
        .bind::<Integer, _>(i32::try_from(fleet.slots).unwrap_or(i32::MAX))
        .bind::<Integer, _>(i32::try_from(fleet.builders).unwrap_or(i32::MAX))
        .execute(conn)?;
    Ok(())
}

/// Lets none of a fleet register any more. Answers how many are there, which finish what they have and are given no more.
pub fn disallow_builders(conn: &mut PgConnection, actor: &Actor, fleet: &FleetName) -> Result<u32> {
    let query = sql_query(concat!("SELECT to_jsonb(farm.disallow_builders(", actor!(), ", $4)) AS document"));
    let query = bind!(query, actor).bind::<Text, _>(fleet.as_str());
    document(conn, query)?.ok_or_else(|| DbError::Data("a fleet has no number of builders".to_owned()))
}

/// All fleets, by name.
pub fn fleets(conn: &mut PgConnection) -> Result<Vec<FleetState>> {
    let query = "SELECT to_jsonb(f) || jsonb_build_object('present', (SELECT count(*) FROM farm.builder b
                   WHERE b.fleet_id = f.id AND b.left_at IS NULL)) AS document FROM farm.fleet f ORDER BY f.name";
    documents(conn, sql_query(query))
}
