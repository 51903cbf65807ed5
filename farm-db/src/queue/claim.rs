use std::time::Duration;

use diesel::{
    IntoSql as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use farm_api::{hub, limits::Limits, options::BuildOptions, recipe::Recipe, record::Usage};
use farm_types::{AttemptNumber, BuilderId, Cause, JobId, LeaseKey, LeaseToken, Outcome, TaskId};
use uuid::Uuid;

use super::{ReadyKey, built_with, finish};
use crate::{DbError, Result, call::call};

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

/// A task of the queue, and the life of a builder that is to have it.
#[derive(Debug, Clone)]
pub struct Pick {
    /// The task.
    pub key: ReadyKey,
    /// The builder.
    pub builder: BuilderId,
    /// Its life.
    pub instance: Uuid,
    /// How many of its slots are free, this one included.
    pub free: u32,
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

/// Gives a builder with `want` free slots tasks of the platforms that it serves, best first, that weigh no more together. An attempt
/// that no builder could make anything of ends at once.
pub fn claim(
    conn: &mut PgConnection,
    builder: BuilderId,
    instance: Uuid,
    want: u32,
    lease_seconds: u32,
) -> Result<Vec<ClaimedTask>> {
    let arguments = (
        builder.0.into_sql::<Integer>(),
        instance.into_sql::<SqlUuid>(),
        i32::try_from(want).unwrap_or(i32::MAX).into_sql::<Integer>(),
        f64::from(lease_seconds).into_sql::<Double>(),
    );
    let rows: Vec<Row> = call("SELECT * FROM farm.claim_tasks(", arguments, " * interval '1 second')").load(conn)?;
    Ok(told(conn, rows).into_iter().map(|(_, task)| task).collect())
}

/// Gives these builders these tasks, in one statement. What cannot be had is missing in the answer: it is gone, not due, avoids its builder
/// or takes more than one slot, or that life of the builder is over, does not serve the platform, saves its slots for another task or has none
/// free but spare ones.
pub fn claim_keys(
    conn: &mut PgConnection,
    picks: &[Pick],
    lease_seconds: u32,
) -> Result<Vec<(BuilderId, ClaimedTask)>> {
    let column = |of: fn(&Pick) -> i64| picks.iter().map(of).collect::<Vec<_>>();
    let arguments = (
        picks.iter().map(|pick| pick.key.platform.as_str()).collect::<Vec<_>>().into_sql::<Array<Text>>(),
        picks.iter().map(|pick| pick.key.class.as_str()).collect::<Vec<_>>().into_sql::<Array<Text>>(),
        column(|pick| pick.key.rank).into_sql::<Array<BigInt>>(),
        column(|pick| pick.key.task.0).into_sql::<Array<BigInt>>(),
        picks.iter().map(|pick| pick.builder.0).collect::<Vec<_>>().into_sql::<Array<Integer>>(),
        picks.iter().map(|pick| pick.instance).collect::<Vec<_>>().into_sql::<Array<SqlUuid>>(),
        picks
            .iter()
            .map(|pick| i32::try_from(pick.free).unwrap_or(i32::MAX))
            .collect::<Vec<_>>()
            .into_sql::<Array<Integer>>(),
        f64::from(lease_seconds).into_sql::<Double>(),
    );
    let rows: Vec<Row> = call("SELECT * FROM farm.claim_keys(", arguments, " * interval '1 second')").load(conn)?;
    Ok(told(conn, rows))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    builder_id: i32,
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
    #[diesel(sql_type = Nullable<Jsonb>)]
    built_with: Option<serde_json::Value>,
}

/// Why a claimed task goes to no builder.
pub(super) enum Hopeless {
    Unreadable(DbError),
    /// What it is to be built with cannot be had: a sentence for whoever handed it in.
    Lacks(String),
}

/// What was claimed, without what no builder could make anything of: that ends at once, by itself, as the claim stands already.
fn told(conn: &mut PgConnection, rows: Vec<Row>) -> Vec<(BuilderId, ClaimedTask)> {
    let mut tasks = Vec::new();
    for row in rows {
        let (builder, key) = (BuilderId(row.builder_id), row.key());
        match row.read() {
            Ok(task) => tasks.push((builder, task)),
            Err(reason) => {
                if let Err(error) = finish(conn, builder, &key, &reason.end(&key)) {
                    tracing::error!(task.id = %key.task, %error, "a task that goes to no builder stays leased until its lease runs out");
                }
            }
        }
    }
    tasks
}

impl Hopeless {
    /// The end of an attempt that no builder was given.
    fn end(self, key: &LeaseKey) -> hub::Finish {
        let (outcome, cause, message) = match self {
            Self::Unreadable(error) => {
                let message = format!("what the farm knows of the task cannot be read: {error}");
                tracing::error!(task.id = %key.task, "{message}; the task goes to no builder");
                (Outcome::FarmFault, Cause::Internal, message)
            }
            Self::Lacks(message) => (Outcome::Failed, Cause::Dependencies, message),
        };
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
}

impl From<serde_json::Error> for Hopeless {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

impl Row {
    fn key(&self) -> LeaseKey {
        LeaseKey { task: TaskId(self.task_id), attempt: AttemptNumber(self.attempt), token: LeaseToken(self.token) }
    }

    fn read(self) -> Result<ClaimedTask, Hopeless> {
        let mut task = ClaimedTask {
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
        };
        if let Some(document) = self.built_with {
            built_with::add(&mut task, document)?;
        }
        Ok(task)
    }
}
