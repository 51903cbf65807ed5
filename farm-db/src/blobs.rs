//! Blobs and the uploads that bring them. The bytes are in the store; here is only that they are.

use diesel::{
    OptionalExtension, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Text, Uuid as SqlUuid},
};
use farm_types::Digest;
use serde::Deserialize;
use uuid::Uuid;

use crate::{DbError, Result, document::document};

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Upload {
    /// Its number, also of the staged bytes in the store.
    pub id: Uuid,
    /// What the whole file has to be.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

const UPLOAD: &str = "jsonb_build_object('id', id, 'digest', encode(digest, 'hex'), 'size', size) AS document";

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    size: i64,
}

/// The size of a blob, if there is one of that digest.
pub fn size(conn: &mut PgConnection, digest: &Digest) -> Result<Option<i64>> {
    let row: Option<Size> = sql_query("SELECT size FROM farm.blob WHERE digest = $1")
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .get_result(conn)
        .optional()?;
    Ok(row.map(|row| row.size))
}

/// Records that the store has a blob. Call it after the store has it, never before.
pub fn record(conn: &mut PgConnection, digest: &Digest, size: u64) -> Result<()> {
    let size = i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?;
    sql_query("INSERT INTO farm.blob (digest, size) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING")
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .bind::<BigInt, _>(size)
        .execute(conn)?;
    Ok(())
}

/// Begins an upload, or finds the one that the same person began before.
pub fn begin_upload(conn: &mut PgConnection, principal: &str, digest: &Digest, size: u64) -> Result<Upload> {
    let size = i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?;
    let query = format!(
        "INSERT INTO farm.upload (person_id, digest, size) VALUES (farm.person_of($1), $2, $3)
         ON CONFLICT (person_id, digest, size) DO UPDATE SET touched_at = now() RETURNING {UPLOAD}"
    );
    let query = sql_query(query)
        .bind::<Text, _>(principal)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .bind::<BigInt, _>(size);
    document(conn, query)?.ok_or_else(|| DbError::Data("an upload was not recorded".to_owned()))
}

/// Finds an upload of a person.
pub fn find_upload(conn: &mut PgConnection, principal: &str, id: Uuid) -> Result<Upload> {
    let query = format!(
        "UPDATE farm.upload SET touched_at = now() WHERE id = $1 AND person_id = farm.person_of($2) RETURNING {UPLOAD}"
    );
    let query = sql_query(query).bind::<SqlUuid, _>(id).bind::<Text, _>(principal);
    document(conn, query)?
        .ok_or_else(|| DbError::NotFound("there is no such upload of yours; ask for a new one".to_owned()))
}

/// Ends an upload: the blob is there, and the upload is forgotten.
pub fn end_upload(conn: &mut PgConnection, id: Uuid, digest: &Digest, size: u64) -> Result<()> {
    diesel::Connection::transaction(conn, |conn| {
        record(conn, digest, size)?;
        sql_query("DELETE FROM farm.upload WHERE id = $1").bind::<SqlUuid, _>(id).execute(conn)?;
        Ok(())
    })
}

/// Forgets an upload whose bytes proved wrong.
pub fn forget_upload(conn: &mut PgConnection, id: Uuid) -> Result<()> {
    sql_query("DELETE FROM farm.upload WHERE id = $1").bind::<SqlUuid, _>(id).execute(conn)?;
    Ok(())
}

/// Forgets uploads that nobody touched for so long, and answers their numbers so that the store can forget them too.
pub fn forget_stale_uploads(conn: &mut PgConnection, older_than_seconds: u32) -> Result<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Id> =
        sql_query("DELETE FROM farm.upload WHERE touched_at < now() - make_interval(secs => $1) RETURNING id")
            .bind::<diesel::sql_types::Double, _>(f64::from(older_than_seconds))
            .load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
