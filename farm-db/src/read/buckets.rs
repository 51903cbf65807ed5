use diesel::{
    PgConnection, sql_query,
    sql_types::{Integer, Nullable},
};
use farm_api::people::Bucket;

use crate::{Result, Viewer, document::documents};

/// The buckets whose contents the viewer sees, by name: of others not even the name is shown.
pub fn buckets(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Bucket>> {
    let query = "SELECT jsonb_build_object('name', name, 'description', description, 'public', public) AS document
                 FROM farm.bucket WHERE farm.sees_bucket($1, name) ORDER BY name";
    documents(conn, sql_query(query).bind::<Nullable<Integer>, _>(viewer.number()))
}
