//! publish: what has to be in which repository, and that it is.
//!
//! A repository is a bucket on a platform. What makes one out of date leaves a row in `farm.unpublished`; [`contents`]
//! reads those rows together with what the repository should hold, and [`published`] takes away exactly those rows once it
//! does: what ends in between is left for the next time, and a publisher that dies leaves everything as it was.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Integer, Text},
};
use farm_types::{BucketName, Digest, FileName, PlatformName};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    DbError, Result,
    document::{document, documents},
};

/// A bucket on a platform. Prints itself as `bucket/platform`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Repository {
    /// The bucket.
    pub bucket: BucketName,
    /// The platform.
    pub platform: PlatformName,
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bucket, self.platform)
    }
}

/// What a repository should hold.
#[derive(Debug, Clone, Deserialize)]
pub struct Contents {
    /// Why it has to be published: numbers of rows in `farm.unpublished`, for [`published`].
    pub reasons: Vec<i64>,
    /// Its packages, no two with the same name.
    pub packages: Vec<Package>,
}

/// A package to publish.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// The name of its file.
    pub name: FileName,
    /// Its blob.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

/// What is public of a repository.
#[derive(Debug, Clone, Deserialize)]
pub struct Publication {
    /// Which repository.
    #[serde(flatten)]
    pub repository: Repository,
    /// How often it was published.
    pub revision: i64,
    /// How many packages it has.
    pub packages: u32,
    /// When it was published last.
    pub published_at: Timestamp,
}

/// The repositories that are out of date, those that have been so for longest first.
pub fn unpublished(conn: &mut PgConnection) -> Result<Vec<Repository>> {
    documents(
        conn,
        sql_query(
            "SELECT jsonb_build_object('bucket', bucket, 'platform', platform) AS document
             FROM farm.unpublished GROUP BY bucket, platform ORDER BY min(id)",
        ),
    )
}

/// What a repository should hold now; `None` if that is public already.
///
/// Where the same file was built more than once, the build that succeeded last counts.
pub fn contents(conn: &mut PgConnection, repository: &Repository) -> Result<Option<Contents>> {
    // One statement, so that the packages are those of the reasons, or newer.
    let query = sql_query(
        "SELECT jsonb_build_object(
           'reasons', (SELECT coalesce(jsonb_agg(id), '[]') FROM farm.unpublished WHERE bucket = $1 AND platform = $2),
           'packages', (
             SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'digest', encode(digest, 'hex'), 'size', size)), '[]')
             FROM (
               SELECT DISTINCT ON (a.name) a.name, a.digest, a.size
               FROM farm.job j JOIN farm.task t ON t.job_id = j.id AND t.platform = $2 AND t.state = 'succeeded'
               JOIN farm.artifact a ON a.task_id = t.id AND a.attempt = t.attempts AND a.kind = 'rpm'
               WHERE j.bucket = $1
               ORDER BY a.name, t.finished_at DESC, t.id DESC) newest)) AS document",
    );
    let contents: Option<Contents> = document(
        conn,
        query.bind::<Text, _>(repository.bucket.as_str()).bind::<Text, _>(repository.platform.as_str()),
    )?;
    Ok(contents.filter(|contents| !contents.reasons.is_empty()))
}

/// Records that a repository is public which takes care of these reasons. Answers its revision.
pub fn published(conn: &mut PgConnection, repository: &Repository, reasons: &[i64], packages: usize) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        revision: i64,
    }
    let row: Row = sql_query("SELECT farm.published($1, $2, $3, $4) AS revision")
        .bind::<Text, _>(repository.bucket.as_str())
        .bind::<Text, _>(repository.platform.as_str())
        .bind::<Array<BigInt>, _>(reasons)
        .bind::<Integer, _>(i32::try_from(packages).map_err(|e| DbError::Data(e.to_string()))?)
        .get_result(conn)?;
    Ok(row.revision)
}

/// The repositories that were published, by name.
pub fn publications(conn: &mut PgConnection) -> Result<Vec<Publication>> {
    documents(conn, sql_query("SELECT to_jsonb(p) AS document FROM farm.publication p ORDER BY bucket, platform"))
}

/// Has a repository published again that was lost.
pub fn publish_again(conn: &mut PgConnection, repository: &Repository) -> Result<()> {
    sql_query("SELECT farm.publish_again($1, $2)")
        .bind::<Text, _>(repository.bucket.as_str())
        .bind::<Text, _>(repository.platform.as_str())
        .execute(conn)?;
    Ok(())
}
