use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable, Text},
};
use farm_api::people::{Builder, Platform, Queue, RunningTask};
use farm_types::{BuilderName, FleetName, PlatformName};
use serde::{Deserialize, Serialize};

use crate::{DbError, Result, Viewer, document::documents};

const PLATFORM: &str =
    "jsonb_build_object('name', p.name, 'description', coalesce(p.description, ''), 'enabled', p.enabled,
  'auto', p.auto, 'pending', p.pending, 'running', p.running, 'builders', p.builders)";

const RUNNING: &str = "jsonb_build_object('job', r.job_id, 'task', r.task_id, 'platform', r.platform,
  'title', CASE WHEN farm.sees($1, r.job_id) THEN r.title ELSE 'not public' END, 'stage', r.stage, 'started', r.started_at,
  'weight', r.weight)";

/// All platforms, by name.
pub fn platforms(conn: &mut PgConnection) -> Result<Vec<Platform>> {
    documents(conn, sql_query(format!("SELECT {PLATFORM} AS document FROM farm.platform_view p ORDER BY p.name")))
}

/// All builders that are there, by name; or the one of that name, also when it has left.
pub fn builders(conn: &mut PgConnection, viewer: Viewer, name: Option<&BuilderName>) -> Result<Vec<Builder>> {
    let query = format!(
        "SELECT {} AS document FROM farm.builder_view b WHERE b.name = $2 OR $2 IS NULL AND farm.left_since(b.id) IS NULL ORDER BY b.name",
        builder()
    );
    let query = sql_query(query).bind::<Nullable<Integer>, _>(viewer.number());
    documents(conn, query.bind::<Nullable<Text>, _>(name.map(BuilderName::as_str)))
}

fn builder() -> String {
    format!(
        "jsonb_build_object('name', b.name, 'state', b.state, 'reason', b.reason, 'out', farm.out_since(b.id), 'alive', b.alive,
           'last_seen', b.last_seen_at, 'version', b.version, 'arches', b.arches, 'slots', b.slots,
           'used', b.used, 'takes_nothing', CASE WHEN b.alive THEN b.takes_nothing END, 'saves_for', b.saves_for,
           'spare_slots', farm.spare_slots_of(b.id),
           'machine', CASE WHEN b.told_at IS NOT NULL THEN jsonb_build_object('load', b.load, 'processors', b.processors,
              'memory_available', b.memory_available, 'disk_available', b.disk_available, 'files_available', b.files_available,
              'at', b.told_at) END,
           'gone', farm.gone_since(b.id), 'left', farm.left_since(b.id),
           'running', (SELECT coalesce(jsonb_agg({RUNNING} ORDER BY r.started_at), '[]')
                       FROM farm.running_view r WHERE r.builder = b.name))"
    )
}

/// A builder as operators see it: with what they set, which the public lists do not show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegisteredBuilder {
    /// What everybody sees.
    #[serde(flatten)]
    pub builder: Builder,
    /// The principal of its ticket, where it has one.
    pub principal: Option<String>,
    /// Whether there is a token by which it may come in.
    pub has_token: bool,
    /// What it may serve; `None` is every platform of its architectures.
    pub platforms: Option<Vec<PlatformName>>,
    /// Where it called from last.
    pub address: Option<String>,
    /// The fleet as one of which it registered itself.
    pub fleet: Option<FleetName>,
}

/// All builders, by name, for operators.
pub fn registered_builders(conn: &mut PgConnection) -> Result<Vec<RegisteredBuilder>> {
    let query = format!(
        "SELECT {} || jsonb_build_object('principal', x.principal, 'has_token', x.token_digest IS NOT NULL,
           'platforms', x.platforms, 'address', x.address,
           'fleet', (SELECT f.name FROM farm.fleet f WHERE f.id = x.fleet_id)) AS document
         FROM farm.builder_view b JOIN farm.builder x ON x.id = b.id WHERE x.left_at IS NULL ORDER BY b.name",
        builder()
    );
    documents(conn, sql_query(query).bind::<Nullable<Integer>, _>(Viewer::ANYBODY.number()))
}

/// What is being built, the longest first.
pub fn running(conn: &mut PgConnection, viewer: Viewer, limit: u32) -> Result<Vec<RunningTask>> {
    let query = format!("SELECT {RUNNING} AS document FROM farm.running_view r ORDER BY r.started_at LIMIT $2");
    let query = sql_query(query).bind::<Nullable<Integer>, _>(viewer.number());
    documents(conn, query.bind::<BigInt, _>(i64::from(limit)))
}

/// The state of the whole queue.
pub fn queue(conn: &mut PgConnection) -> Result<Queue> {
    let query = format!(
        "SELECT jsonb_build_object(
           'submitted', (SELECT count(*) FROM farm.job WHERE state = 'submitted'),
           'waiting', (SELECT count(*) FROM farm.task t JOIN farm.job j ON j.id = t.job_id
                       WHERE j.after_job IS NOT NULL AND t.state = 'waiting'),
           'pending', (SELECT count(*) FROM farm.ready),
           'running', (SELECT count(*) FROM farm.running_view),
           'oldest_pending', (SELECT min(t.created_at) FROM farm.ready r JOIN farm.task t ON t.id = r.task_id),
           'platforms', (SELECT coalesce(jsonb_agg({PLATFORM} ORDER BY p.name), '[]') FROM farm.platform_view p)) AS document"
    );
    documents(conn, sql_query(query))?.pop().ok_or_else(|| DbError::Data("the queue has no state".to_owned()))
}
