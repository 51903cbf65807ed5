//! What operators do: platforms, builders, buckets. Needs the rights of `farm_owner`.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, Binary, Bool, Jsonb, Nullable, Text},
};
use farm_api::recipe::Recipe;
use farm_types::{BuilderId, BuilderName, BuilderState, Digest, PlatformName};
use serde::Deserialize;

use crate::{DbError, Result, document::document};

/// Adds a platform, or gives a known one a new recipe. Answers whether it is new.
pub fn put_platform(conn: &mut PgConnection, recipe: &Recipe) -> Result<bool> {
    #[derive(QueryableByName)]
    struct New {
        #[diesel(sql_type = Bool)]
        new: bool,
    }
    let row: New = sql_query(
        "INSERT INTO farm.platform (name, release, arch, recipe, auto) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET recipe = excluded.recipe, auto = excluded.auto, updated_at = now()
         RETURNING created_at = updated_at AS new",
    )
    .bind::<Text, _>(recipe.name.as_str())
    .bind::<Text, _>(&recipe.release)
    .bind::<Text, _>(&recipe.arch)
    .bind::<Jsonb, _>(serde_json::to_value(recipe)?)
    .bind::<Bool, _>(recipe.auto)
    .get_result(conn)?;
    Ok(row.new)
}

/// Opens or closes a platform. Of a closed one no tasks are made, and those that wait are given to nobody until it is open
/// again; what is being built is built to its end.
pub fn enable_platform(conn: &mut PgConnection, name: &PlatformName, enabled: bool) -> Result<()> {
    let changed = sql_query("UPDATE farm.platform SET enabled = $2, updated_at = now() WHERE name = $1")
        .bind::<Text, _>(name.as_str())
        .bind::<Bool, _>(enabled)
        .execute(conn)?;
    if changed == 0 {
        return Err(DbError::NotFound(format!("there is no platform {name}")));
    }
    if enabled {
        // Tasks may be there already, and a hub would else see them only when it next looks by itself.
        sql_query("SELECT pg_notify('farm_ready', $1)").bind::<Text, _>(name.as_str()).execute(conn)?;
    }
    Ok(())
}

/// The recipe of a platform.
pub fn recipe(conn: &mut PgConnection, name: &PlatformName) -> Result<Recipe> {
    let query =
        sql_query("SELECT recipe AS document FROM farm.platform WHERE name = $1").bind::<Text, _>(name.as_str());
    document(conn, query)?.ok_or_else(|| DbError::NotFound(format!("there is no platform {name}")))
}

/// Registers a builder, or gives a known one a new token. `platforms`: what it may serve; `None` is every platform of
/// its architectures.
pub fn put_builder(
    conn: &mut PgConnection,
    name: &BuilderName,
    token: &Digest,
    platforms: Option<&[PlatformName]>,
) -> Result<()> {
    sql_query(
        "INSERT INTO farm.builder (name, token_digest, platforms) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET token_digest = excluded.token_digest, platforms = excluded.platforms",
    )
    .bind::<Text, _>(name.as_str())
    .bind::<Binary, _>(token.as_bytes().as_slice())
    .bind::<Nullable<Array<Text>>, _>(platforms.map(|names| names.iter().map(PlatformName::as_str).collect::<Vec<_>>()))
    .execute(conn)?;
    Ok(())
}

/// Says whether a builder is given tasks, and why not.
pub fn set_builder_state(
    conn: &mut PgConnection,
    name: &BuilderName,
    state: BuilderState,
    reason: Option<&str>,
) -> Result<()> {
    let changed = sql_query("UPDATE farm.builder SET state = $2::farm.builder_state, reason = $3 WHERE name = $1")
        .bind::<Text, _>(name.as_str())
        .bind::<Text, _>(state.as_str())
        .bind::<Nullable<Text>, _>(reason)
        .execute(conn)?;
    if changed == 0 {
        return Err(DbError::NotFound(format!("there is no builder {name}")));
    }
    if state == BuilderState::Enabled {
        // It may be waiting, and tasks for it too.
        sql_query(
            "SELECT pg_notify('farm_ready', platform) FROM farm.builder b, unnest(farm.platforms_of(b.id)) AS platform
             WHERE b.name = $1",
        )
        .bind::<Text, _>(name.as_str())
        .execute(conn)?;
    }
    Ok(())
}

/// The builder whose token has that digest.
#[derive(Debug, Clone, Deserialize)]
pub struct KnownBuilder {
    /// Its number.
    pub id: BuilderId,
    /// Its name.
    pub name: BuilderName,
}

/// Finds out who comes with a token.
pub fn builder_by_token(conn: &mut PgConnection, token: &Digest) -> Result<Option<KnownBuilder>> {
    let query = sql_query("SELECT document FROM farm.builder_by_token($1) AS document WHERE document IS NOT NULL");
    document(conn, query.bind::<Binary, _>(token.as_bytes().as_slice()))
}
