//! submit → accept | reject.

use diesel::{
    Connection, OptionalExtension, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text},
};
use farm_api::{error::Reason, options::BuildOptions, recipe::Recipe};
use farm_types::{BucketName, Class, Digest, JobId, JobKey, PlatformName, TaskId};
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Result,
    actor::{actor, bind},
    document::documents,
};

/// A job as it is handed in; every field was checked at the door.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Who submits.
    pub actor: Actor,
    /// Makes the same request sent again the same job.
    pub key: JobKey,
    /// Digest of the whole request: another request under the same key is refused.
    pub request: Digest,
    /// One line for people.
    pub title: String,
    /// Where results go.
    pub bucket: BucketName,
    /// Who goes first.
    pub class: Class,
    /// Targets as the user wrote them.
    pub targets: String,
    /// How long each task may take.
    pub timeout_seconds: Option<u32>,
    /// The job that has to succeed first, and with whose packages it is built.
    pub after: Option<JobId>,
    /// Whether builds may use the network.
    pub network: bool,
    /// The task with whose packages it is to be built.
    pub like: Option<TaskId>,
    /// What is asked of the builds.
    pub options: BuildOptions,
    /// What the submitter calls each file, and its digest.
    pub sources: Vec<(String, Digest)>,
}

#[derive(QueryableByName)]
struct Submitted {
    #[diesel(sql_type = BigInt)]
    o_job: i64,
    #[diesel(sql_type = Bool)]
    o_created: bool,
}

/// Hands in a job. Answers its number and whether it is new.
pub fn submit(conn: &mut PgConnection, new: &Submission) -> Result<(JobId, bool)> {
    let Some(like) = new.like else { return hand_in(conn, new) };
    conn.transaction(|conn| {
        let (job, is_new) = hand_in(conn, new)?;
        if is_new {
            let query = sql_query(concat!("SELECT farm.build_like(", actor!(), ", $4, $5)"));
            bind!(query, new.actor).bind::<BigInt, _>(job.0).bind::<BigInt, _>(like.0).execute(conn)?;
        }
        Ok((job, is_new))
    })
}

/// Hands in jobs of which each comes after the one before it: all of them, or none. Answers their numbers, and which are new.
pub fn submit_chain(conn: &mut PgConnection, jobs: Vec<Submission>) -> Result<Vec<(JobId, bool)>> {
    conn.transaction(|conn| {
        let mut made: Vec<(JobId, bool)> = Vec::new();
        for mut job in jobs {
            job.after = made.last().map(|(before, _)| *before).or(job.after);
            made.push(submit(conn, &job)?);
        }
        Ok(made)
    })
}

fn hand_in(conn: &mut PgConnection, new: &Submission) -> Result<(JobId, bool)> {
    let (names, digests): (Vec<_>, Vec<_>) =
        new.sources.iter().map(|(name, digest)| (name.as_str(), digest.as_bytes().as_slice())).unzip();
    let query = sql_query(concat!(
        "SELECT * FROM farm.submit(",
        actor!(),
        ", $4, $5, $6, $7, $8::farm.class, $9, $10, $11, $12, $13, $14, $15)"
    ));
    let row: Submitted = bind!(query, new.actor)
        .bind::<Text, _>(new.key.as_str())
        .bind::<Binary, _>(new.request.as_bytes().as_slice())
        .bind::<Text, _>(&new.title)
        .bind::<Text, _>(new.bucket.as_str())
        .bind::<Text, _>(new.class.as_str())
        .bind::<Text, _>(&new.targets)
        .bind::<Nullable<Integer>, _>(new.timeout_seconds.map(|s| i32::try_from(s).unwrap_or(i32::MAX)))
        .bind::<Nullable<BigInt>, _>(new.after.map(|job| job.0))
        .bind::<Bool, _>(new.network)
        .bind::<Array<Text>, _>(names)
        .bind::<Array<Binary>, _>(digests)
        .bind::<Jsonb, _>(serde_json::to_value(&new.options)?)
        .get_result(conn)?;
    Ok((JobId(row.o_job), row.o_created))
}

/// A job to decide on.
#[derive(Debug, Clone, Deserialize)]
pub struct UndecidedJob {
    /// Its number.
    pub id: JobId,
    /// Targets as the user wrote them.
    pub targets: String,
    /// Whether its builds want the network.
    #[serde(default)]
    pub network: bool,
    /// What is asked of its builds.
    #[serde(default)]
    pub options: BuildOptions,
    /// Its sources.
    pub sources: Vec<UndecidedSource>,
}

/// A source to look into.
#[derive(Debug, Clone, Deserialize)]
pub struct UndecidedSource {
    /// Counted from 1.
    pub position: u32,
    /// What the submitter calls it.
    pub file_name: String,
    /// Where its bytes are.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

/// What validation found a source to be.
#[derive(Debug, Clone, Serialize)]
pub struct ReadSource {
    /// Counted from 1.
    pub position: u32,
    /// Name of the package.
    pub name: String,
    /// Its epoch, where it has one.
    pub epoch: Option<u32>,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
}

/// What a validator decides.
#[derive(Debug, Clone)]
pub enum Decision {
    /// A task for each platform.
    Accept {
        /// What the sources are.
        sources: Vec<ReadSource>,
        /// Where to build.
        platforms: Vec<PlatformName>,
        /// What to mind.
        warnings: Vec<Reason>,
    },
    /// Every reason at once; at least one.
    Reject(Vec<Reason>),
}

/// A platform as the validator sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct ValidatorPlatform {
    /// Its name.
    pub name: PlatformName,
    /// Whether it takes new tasks.
    pub enabled: bool,
    /// Whether `auto` includes it.
    pub auto: bool,
    /// What its chroot is made from.
    pub recipe: Recipe,
    /// Builders that could take its tasks now.
    pub builders: i64,
    /// Whether who handed in the job may build there.
    pub allowed: bool,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    take_submitted: i64,
}

/// What became of one look for a submitted job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// There was none.
    Nothing,
    /// It was decided.
    Done(JobId),
    /// A fault of the farm: it stays submitted and is tried again later.
    Postponed(JobId),
}

/// Takes one submitted job and lets `decide` decide on it, all in one transaction that holds the job's row lock: any
/// number of validators may do this side by side, and the job of one that dies is free again at once. When `decide`
/// answers `None` (a fault of the farm), the job is postponed.
pub fn decide_next(
    conn: &mut PgConnection,
    decide: impl FnOnce(&mut PgConnection, &UndecidedJob) -> Option<Decision>,
) -> Result<Decided> {
    conn.transaction(|conn| {
        let taken: Option<Number> =
            sql_query("SELECT take_submitted FROM farm.take_submitted()").get_result(conn).optional()?;
        let Some(Number { take_submitted: id }) = taken else { return Ok(Decided::Nothing) };
        let job = undecided(conn, id)?;
        match decide(conn, &job) {
            Some(Decision::Accept { sources, platforms, warnings }) => {
                accept(conn, job.id, &sources, &platforms, &warnings)?;
                Ok(Decided::Done(job.id))
            }
            Some(Decision::Reject(reasons)) => {
                sql_query("SELECT farm.reject($1, $2)")
                    .bind::<BigInt, _>(id)
                    .bind::<Jsonb, _>(serde_json::to_value(reasons)?)
                    .execute(conn)?;
                Ok(Decided::Done(job.id))
            }
            None => {
                sql_query("SELECT farm.postpone($1)").bind::<BigInt, _>(id).execute(conn)?;
                Ok(Decided::Postponed(job.id))
            }
        }
    })
}

fn undecided(conn: &mut PgConnection, id: i64) -> Result<UndecidedJob> {
    let job = documents(
        conn,
        sql_query(
            "SELECT jsonb_build_object('id', j.id, 'targets', j.targets, 'network', j.network,
               'options', j.options, 'sources', (
               SELECT jsonb_agg(jsonb_build_object('position', s.position, 'file_name', s.file_name,
                 'digest', encode(s.digest, 'hex'), 'size', b.size) ORDER BY s.position)
               FROM farm.source s JOIN farm.blob b ON b.digest = s.digest WHERE s.job_id = j.id)) AS document
             FROM farm.job j WHERE j.id = $1",
        )
        .bind::<BigInt, _>(id),
    )?;
    job.into_iter().next().ok_or_else(|| crate::DbError::Data(format!("job {id} vanished while it was locked")))
}

fn accept(
    conn: &mut PgConnection,
    job: JobId,
    sources: &[ReadSource],
    platforms: &[PlatformName],
    warnings: &[Reason],
) -> Result<()> {
    sql_query("SELECT farm.accept($1, $2, $3, $4)")
        .bind::<BigInt, _>(job.0)
        .bind::<Jsonb, _>(serde_json::to_value(sources)?)
        .bind::<Array<Text>, _>(platforms.iter().map(PlatformName::as_str).collect::<Vec<_>>())
        .bind::<Jsonb, _>(serde_json::to_value(warnings)?)
        .execute(conn)?;
    Ok(())
}

/// All platforms, for the validation of a job.
pub fn platforms(conn: &mut PgConnection, job: JobId) -> Result<Vec<ValidatorPlatform>> {
    let query = sql_query(
        "SELECT jsonb_build_object('name', p.name, 'enabled', p.enabled, 'auto', p.auto, 'recipe', p.recipe,
           'builders', p.builders, 'allowed', farm.may(j.person_id, 'build', p.name)) AS document
         FROM farm.platform_view p CROSS JOIN farm.job j WHERE j.id = $1 ORDER BY p.name",
    );
    documents(conn, query.bind::<BigInt, _>(job.0))
}
