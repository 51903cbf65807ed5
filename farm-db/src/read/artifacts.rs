use diesel::{PgConnection, sql_query, sql_types::BigInt};
use farm_types::{ArtifactId, ArtifactKind, Digest, FileName};
use serde::Deserialize;

use crate::{DbError, Result, document::document};

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
pub fn artifact(conn: &mut PgConnection, id: ArtifactId) -> Result<StoredArtifact> {
    let query = sql_query(
        "SELECT jsonb_build_object('kind', kind, 'name', name, 'digest', encode(digest, 'hex'), 'size', size) AS document
         FROM farm.artifact WHERE id = $1",
    );
    document(conn, query.bind::<BigInt, _>(id.0))?
        .ok_or_else(|| DbError::NotFound(format!("there is no artifact {id}")))
}
