use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_types::{ArtifactId, ArtifactKind, Digest, FileName};
use serde::Deserialize;

use crate::{DbError, Result, Viewer, document::document};

/// Where the bytes of an artifact are.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredArtifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// Its name.
    pub name: FileName,
    /// Its blob.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

/// Finds an artifact.
pub fn artifact(conn: &mut PgConnection, viewer: Viewer, id: ArtifactId) -> Result<StoredArtifact> {
    let query = sql_query(
        "SELECT jsonb_build_object('kind', f.kind, 'name', f.name, 'digest', encode(f.digest, 'hex'), 'size', f.size) AS document
         FROM farm.artifact f JOIN farm.task t ON t.id = f.task_id WHERE f.id = $1 AND farm.sees($2, t.job_id)",
    );
    document(conn, query.bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number()))?
        .ok_or_else(|| DbError::NotFound(format!("there is no artifact {id}")))
}
