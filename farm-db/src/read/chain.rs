use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_types::{JobId, Progress};
use serde::{Deserialize, Serialize};

use crate::{Result, Viewer, document::documents};

/// A job of a chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    /// Its number.
    pub id: JobId,
    /// The job it comes after.
    pub after: Option<JobId>,
    /// One line for people.
    pub title: String,
    /// How it stands.
    pub progress: Progress,
}

/// All jobs that hang together with a job by coming after each other, in the order in which they were handed in; the job itself, too.
/// Of a large tree the first ones.
pub fn chain(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<Vec<Link>> {
    let query = "WITH RECURSIVE before AS (
           SELECT j.id, j.after_job FROM farm.job j WHERE j.id = $1
           UNION ALL
           SELECT j.id, j.after_job FROM before b JOIN farm.job j ON j.id = b.after_job),
         chain AS (
           SELECT min(b.id) AS id FROM before b
           UNION ALL
           SELECT j.id FROM chain c JOIN farm.job j ON j.after_job = c.id)
         SELECT jsonb_build_object('id', v.id, 'after', v.after_job, 'title', v.title, 'progress', v.progress) AS document
         FROM chain c JOIN farm.job_view v ON v.id = c.id WHERE farm.sees($2, v.id) ORDER BY v.id LIMIT 100";
    documents(conn, sql_query(query).bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number()))
}
