use std::time::Duration;

use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Bool, Double, Integer, Jsonb, Text, Uuid as SqlUuid},
};
use farm_api::{hub, limits::Limits, options::BuildOptions, recipe::Recipe, record::Usage};
use farm_types::{AttemptNumber, BuilderId, Cause, JobId, LeaseKey, LeaseToken, Outcome, TaskId};
use uuid::Uuid;

use super::{builds_with::builds_with, finish};
use crate::Result;

/// A task that a builder now holds.
#[derive(Debug, Clone)]
pub struct ClaimedTask {
    /// The proof.
    pub key: LeaseKey,
    /// Its job.
    pub job: JobId,
    /// What the chroot is made from.
    pub recipe: Recipe,
    /// How long it may take.
    pub timeout_seconds: u32,
    /// How long it could have been claimed before.
    pub waited: Duration,
    /// Whether its builds may use the network.
    pub network: bool,
    /// The record of the build with whose packages to build.
    pub like: Option<hub::LeaseRecord>,
    /// What came of the jobs that its job comes after.
    pub predecessors: Option<hub::Predecessors>,
    /// How many slots of its builder it takes.
    pub weight: u16,
    /// What its job asks of its builds.
    pub options: BuildOptions,
    /// What a build of the job's person may use up.
    pub limits: Limits,
    /// What to build.
    pub sources: Vec<hub::LeaseSource>,
}

/// A builder comes up, from that address. Answers how many leases of an earlier life of it went back to the queue.
pub fn hello(conn: &mut PgConnection, builder: BuilderId, address: &str, hello: &hub::Hello) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Lost {
        #[diesel(sql_type = Integer)]
        hello: i32,
    }
    let row: Lost = sql_query("SELECT farm.come_up($1, $2, $3, $4, $5, $6, $7) AS hello")
        .bind::<Integer, _>(builder.0)
        .bind::<Text, _>(address)
        .bind::<SqlUuid, _>(hello.instance)
        .bind::<Text, _>(&hello.version)
        .bind::<Array<Text>, _>(&hello.arches)
        .bind::<Integer, _>(i32::try_from(hello.slots).unwrap_or(i32::MAX))
        .bind::<Bool, _>(hello.successor)
        .get_result(conn)?;
    Ok(row.hello)
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    task_id: i64,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = SqlUuid)]
    token: Uuid,
    #[diesel(sql_type = BigInt)]
    job_id: i64,
    #[diesel(sql_type = Integer)]
    timeout_seconds: i32,
    #[diesel(sql_type = Jsonb)]
    recipe: serde_json::Value,
    #[diesel(sql_type = Jsonb)]
    sources: serde_json::Value,
    #[diesel(sql_type = Double)]
    waited: f64,
    #[diesel(sql_type = Bool)]
    network: bool,
    #[diesel(sql_type = Integer)]
    weight: i32,
    #[diesel(sql_type = Jsonb)]
    options: serde_json::Value,
    #[diesel(sql_type = Jsonb)]
    limits: serde_json::Value,
}

/// Gives a builder with `want` free slots tasks of the platforms that it serves, best first, that weigh no more together. An attempt
/// that no builder could make anything of ends at once.
pub fn claim(
    conn: &mut PgConnection,
    builder: BuilderId,
    instance: Uuid,
    want: u32,
    lease_seconds: u32,
) -> Result<Vec<ClaimedTask>> {
    // What is claimed and then not told would be held by nobody until its lease runs out.
    conn.transaction(|conn| {
        let query = sql_query(
            "SELECT c.*, farm.leased_weight(c.task_id) AS weight, o.options, o.limits
             FROM farm.claim($1, $2, $3, make_interval(secs => $4)) c CROSS JOIN LATERAL farm.asked_of_builds(c.job_id) o",
        );
        let rows: Vec<Row> = query
            .bind::<Integer, _>(builder.0)
            .bind::<SqlUuid, _>(instance)
            .bind::<Integer, _>(i32::try_from(want).unwrap_or(i32::MAX))
            .bind::<Double, _>(f64::from(lease_seconds))
            .load(conn)?;
        let mut tasks = Vec::new();
        for row in rows {
            let key = row.key();
            match row.read() {
                Ok(task) => tasks.push(task),
                Err(error) => {
                    let message = format!("what the farm knows of the task cannot be read: {error}");
                    tracing::error!(task.id = %key.task, "{message}; the task goes to no builder");
                    finish(conn, builder, &key, &hopeless(Outcome::FarmFault, Cause::Internal, message))?;
                }
            }
        }
        if tasks.is_empty() { Ok(tasks) } else { builds_with(conn, builder, tasks) }
    })
}

/// The end of an attempt that no builder was given.
pub(super) fn hopeless(outcome: Outcome, cause: Cause, message: String) -> hub::Finish {
    hub::Finish {
        outcome,
        cause: Some(cause),
        stage: None,
        message,
        excerpt: Vec::new(),
        stages: Vec::new(),
        marks: Vec::new(),
        usage: Usage::default(),
        artifacts: Vec::new(),
    }
}

impl Row {
    fn key(&self) -> LeaseKey {
        LeaseKey { task: TaskId(self.task_id), attempt: AttemptNumber(self.attempt), token: LeaseToken(self.token) }
    }

    fn read(self) -> Result<ClaimedTask> {
        Ok(ClaimedTask {
            key: self.key(),
            job: JobId(self.job_id),
            recipe: serde_json::from_value(self.recipe)?,
            timeout_seconds: u32::try_from(self.timeout_seconds).unwrap_or(u32::MAX),
            waited: Duration::try_from_secs_f64(self.waited).unwrap_or_default(),
            network: self.network,
            like: None,
            predecessors: None,
            weight: u16::try_from(self.weight).unwrap_or(1),
            options: serde_json::from_value(self.options)?,
            limits: serde_json::from_value(self.limits)?,
            sources: serde_json::from_value(self.sources)?,
        })
    }
}
