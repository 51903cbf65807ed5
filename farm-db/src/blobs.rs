//! Blobs and the uploads that bring them. The bytes are in the store; here is only that they are.

use diesel::{
    OptionalExtension, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Nullable, Text, Uuid as SqlUuid},
};
use farm_types::Digest;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Actor, DbError, Result,
    actor::{actor, bind},
    document::document,
};

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

/// The size of a blob that the person need not bring, because that person brought it before or sees it; `None`: bring it.
pub fn known(conn: &mut PgConnection, actor: &Actor, digest: &Digest) -> Result<Option<i64>> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Nullable<BigInt>)]
        size: Option<i64>,
    }
    let query = sql_query(concat!("SELECT farm.known_blob(", actor!(), ", $4) AS size"));
    let row: Known = bind!(query, actor).bind::<Binary, _>(digest.as_bytes().as_slice()).get_result(conn)?;
    Ok(row.size)
}

/// Begins an upload, or finds the one that the same person began before. Answers its number.
pub fn begin_upload(conn: &mut PgConnection, actor: &Actor, digest: &Digest, size: u64) -> Result<Uuid> {
    #[derive(QueryableByName)]
    struct Begun {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let size = i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?;
    let query = sql_query(concat!("SELECT farm.begin_upload(", actor!(), ", $4, $5) AS id"));
    let row: Begun =
        bind!(query, actor).bind::<Binary, _>(digest.as_bytes().as_slice()).bind::<BigInt, _>(size).get_result(conn)?;
    Ok(row.id)
}

/// Finds an upload of a person.
pub fn find_upload(conn: &mut PgConnection, principal: &str, id: Uuid) -> Result<Upload> {
    let query = format!(
        "UPDATE farm.upload SET touched_at = now() WHERE id = $1
           AND person_id = (SELECT p.id FROM farm.person p WHERE p.principal = $2 AND p.enabled) RETURNING {UPLOAD}"
    );
    let query = sql_query(query).bind::<SqlUuid, _>(id).bind::<Text, _>(principal);
    document(conn, query)?
        .ok_or_else(|| DbError::NotFound("there is no such upload of yours; ask for a new one".to_owned()))
}

/// Ends an upload: the blob is there, who brought it may build it, and the upload is forgotten.
pub fn end_upload(conn: &mut PgConnection, actor: &Actor, id: Uuid) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.end_upload(", actor!(), ", $4)"));
    bind!(query, actor).bind::<SqlUuid, _>(id).execute(conn)?;
    Ok(())
}

/// Forgets an upload whose bytes proved wrong.
pub fn forget_upload(conn: &mut PgConnection, actor: &Actor, id: Uuid) -> Result<()> {
    let query = sql_query(concat!("SELECT farm.forget_upload(", actor!(), ", $4)"));
    bind!(query, actor).bind::<SqlUuid, _>(id).execute(conn)?;
    Ok(())
}

/// Forgets uploads that nobody touched for so long, and for a minute at least, and answers their numbers so that the store can forget them too.
pub fn forget_stale_uploads(conn: &mut PgConnection, older_than_seconds: u32) -> Result<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Id> = sql_query("SELECT id FROM farm.forget_stale_uploads(make_interval(secs => $1)) AS id")
        .bind::<diesel::sql_types::Double, _>(f64::from(older_than_seconds))
        .load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
