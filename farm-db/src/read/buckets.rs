use diesel::{
    PgConnection, sql_query,
    sql_types::{Integer, Nullable},
};
use farm_api::people::Bucket;

use crate::{Result, Viewer, document::documents};

/// A row `b` of `farm.bucket` as a document.
pub(crate) const BUCKET: &str =
    "jsonb_build_object('name', b.name, 'description', b.description, 'public', b.public, 'keep', jsonb_build_object(
       'days', b.keep_days, 'builds', b.keep_builds, 'bytes', b.keep_bytes, 'bytes_each', b.keep_bytes_each))";

/// The buckets whose contents the viewer sees, by name: of others not even the name is shown.
pub fn buckets(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Bucket>> {
    let query =
        format!("SELECT {BUCKET} AS document FROM farm.bucket b WHERE farm.sees_bucket($1, b.name) ORDER BY b.name");
    documents(conn, sql_query(query).bind::<Nullable<Integer>, _>(viewer.number()))
}
