use diesel::{
    PgConnection, sql_query,
    sql_types::{Array, BigInt, Integer, Nullable},
};
use farm_api::people::PersonAhead;
use farm_types::{BuilderName, BuilderState, JobId, PlatformName, Stage, TaskId, TaskState};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{Result, Viewer, document::documents};

/// All that is known of where a task is.
#[derive(Deserialize)]
pub(super) struct Facts {
    pub(super) id: TaskId,
    pub(super) platform: PlatformName,
    pub(super) state: TaskState,
    pub(super) message: Option<String>,
    pub(super) set_aside: bool,
    pub(super) builder: Option<BuilderName>,
    pub(super) stage: Option<Stage>,
    /// Seconds since its latest attempt began.
    pub(super) running_for: Option<f64>,
    pub(super) after: Option<After>,
    pub(super) queued: bool,
    pub(super) not_before: Option<Timestamp>,
    pub(super) backing_off: bool,
    pub(super) line: Option<Line>,
    /// Whose tasks go before it, if that was asked.
    pub(super) people: Option<Vec<PersonAhead>>,
    pub(super) weight: u32,
    pub(super) background: bool,
    pub(super) enabled: bool,
    /// Those that are registered, while the task is pending.
    pub(super) builders: Vec<Candidate>,
    pub(super) history: History,
}

/// The job that a task which is no builder's business yet comes after.
#[derive(Deserialize)]
pub(super) struct After {
    pub(super) job: JobId,
    /// For those who may see it.
    pub(super) title: Option<String>,
    pub(super) accepted: bool,
    pub(super) tasks: u32,
    pub(super) ended: u32,
    pub(super) leased: u32,
    /// What it comes after itself, if all of its tasks wait for that.
    pub(super) waits_for: Option<JobId>,
}

/// A builder that is registered, and the task before it.
#[derive(Deserialize)]
pub(super) struct Candidate {
    pub(super) name: BuilderName,
    pub(super) state: BuilderState,
    pub(super) reason: Option<String>,
    /// Whether the farm itself took it out of service.
    pub(super) out: bool,
    pub(super) seen: Option<Timestamp>,
    pub(super) alive: bool,
    pub(super) arches: Vec<String>,
    pub(super) arch_fits: bool,
    /// Whether it may serve the platform, if its architecture fits.
    pub(super) allowed: bool,
    pub(super) takes_nothing: Option<String>,
    /// The task that it keeps its slots for.
    pub(super) saves_for: Option<TaskId>,
    /// Whether this one goes before that one.
    pub(super) before_saved: bool,
    /// Whether that one is background, to which its spare slots are of no use.
    pub(super) saves_for_background: bool,
    pub(super) slots: u32,
    pub(super) used: u32,
    /// Slots that background tasks leave free.
    pub(super) spare: u32,
    /// What its builds have still to do, in slots times milliseconds.
    pub(super) running: u64,
    /// Until when others are given the task first.
    pub(super) avoided_until: Option<Timestamp>,
}

/// Who goes before.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) ahead: i64,
    /// What all of them are expected to take, if they are like the first thousand, in slots times milliseconds.
    pub(super) cost: u64,
}

/// What its packages took before.
#[derive(Deserialize)]
pub(super) struct History {
    pub(super) sources: i64,
    /// Packages that were built on its platform, and how often the rarest of them.
    pub(super) here: i64,
    pub(super) builds: Option<i64>,
    pub(super) elsewhere: i64,
    pub(super) seconds: f64,
}

/// How many go before a row `t` of `farm.task_view`, and what they are expected to take. However long the line is, ten thousand are counted, and
/// the first thousand looked at.
const LINE: &str = "CASE WHEN t.state = 'pending' THEN (
    WITH ahead AS MATERIALIZED (
      SELECT r.class, r.rank, r.task_id FROM farm.ready r
      WHERE r.platform = t.platform AND (r.class, r.rank, r.task_id) < (t.class::farm.class, t.rank, t.id)
      ORDER BY r.class, r.rank, r.task_id LIMIT 10000)
    SELECT jsonb_build_object('ahead', a.count, 'cost', (a.count * coalesce((
        SELECT avg(x.cost) FROM (SELECT task_id FROM ahead ORDER BY class, rank, task_id LIMIT 1000) h
          JOIN farm.task x ON x.id = h.task_id), 0))::bigint)
    FROM (SELECT count(*) AS count FROM ahead) a) END";

/// Whose tasks the first thousand of those are. Each job of theirs is asked about, whether the viewer sees it, which takes longer than all else:
/// not for who only wants to know when a task begins.
const PEOPLE: &str = "CASE WHEN t.state = 'pending' THEN (
    WITH jobs AS MATERIALIZED (
      SELECT x.job_id, count(*) AS tasks FROM (
        SELECT r.task_id FROM farm.ready r
        WHERE r.platform = t.platform AND (r.class, r.rank, r.task_id) < (t.class::farm.class, t.rank, t.id)
        ORDER BY r.class, r.rank, r.task_id LIMIT 1000) h JOIN farm.task x ON x.id = h.task_id GROUP BY x.job_id),
    people AS (
      SELECT CASE WHEN farm.sees($2, f.job_id) THEN p.principal END AS person, sum(f.tasks) AS tasks,
             coalesce(sum(f.tasks) FILTER (WHERE j.class = 'urgent'), 0) AS urgent
      FROM jobs f JOIN farm.job j ON j.id = f.job_id JOIN farm.person p ON p.id = j.person_id GROUP BY 1)
    SELECT coalesce(jsonb_agg(jsonb_build_object('person', person, 'tasks', tasks, 'urgent', urgent)
      ORDER BY person IS NULL, tasks DESC, person), '[]') FROM people) END";

/// What the packages of a row `t` of `farm.task_view` took on its platform, or elsewhere, or a minute: as its place was reckoned.
const HISTORY: &str = "(SELECT jsonb_build_object('sources', count(*), 'here', count(h.seconds), 'builds', min(h.builds),
      'elsewhere', count(e.seconds), 'seconds', coalesce(sum(coalesce(h.seconds, e.seconds, 60)), 60))
    FROM farm.source s LEFT JOIN farm.build_time h ON h.platform = t.platform AND h.name = s.name
    LEFT JOIN LATERAL (SELECT avg(x.seconds) AS seconds FROM farm.platform p JOIN farm.build_time x ON x.platform = p.name
      WHERE x.name = s.name AND h.seconds IS NULL) e ON true
    WHERE s.job_id = t.job_id)";

/// What a row `t` of `farm.task_view` waits for that comes after another job.
const AFTER: &str = "CASE WHEN t.state = 'waiting' THEN (
    SELECT jsonb_build_object('job', a.id, 'title', CASE WHEN farm.sees($2, a.id) THEN a.title END, 'accepted', a.state = 'accepted',
      'tasks', count(x), 'ended', count(x) FILTER (WHERE farm.is_final(x.state)), 'leased', count(x) FILTER (WHERE x.state = 'leased'),
      'waits_for', CASE WHEN bool_and(x.state = 'waiting') THEN a.after_job END)
    FROM farm.job j JOIN farm.job a ON a.id = j.after_job LEFT JOIN farm.task x ON x.job_id = a.id
    WHERE j.id = t.job_id GROUP BY a.id) END";

/// All builders before a row `t` of `farm.task_view`, whose platform is `p` and whose row in the queue is `r`.
const BUILDERS: &str = "CASE WHEN t.state = 'pending' THEN (SELECT jsonb_agg(jsonb_build_object('name', b.name,
      'state', b.state, 'reason', b.reason, 'out', farm.out_since(b.id) IS NOT NULL, 'seen', b.last_seen_at, 'alive', b.alive,
      'arches', b.arches, 'arch_fits', p.arch = ANY (b.arches), 'allowed', b.platforms IS NULL OR p.name = ANY (b.platforms),
      'takes_nothing', b.takes_nothing, 'saves_for', b.saves_for,
      'before_saved', coalesce((SELECT t.class::farm.class < s.class FROM farm.task s WHERE s.id = b.saves_for), false),
      'saves_for_background', coalesce((SELECT x.class = 'background' FROM farm.task s JOIN farm.job x ON x.id = s.job_id
        WHERE s.id = b.saves_for), false),
      'slots', b.slots, 'used', b.used, 'spare', farm.spare_slots_of(b.id),
      'running', (SELECT coalesce(sum(greatest(0, x.cost - extract(epoch FROM now() - v.started_at) * 1000 * v.weight)), 0)::bigint
        FROM farm.running_view v JOIN farm.task x ON x.id = v.task_id WHERE v.builder = b.name),
      'avoided_until', CASE WHEN b.id = ANY (r.avoid) AND r.not_before >= now() - interval '2 minutes'
        THEN r.not_before + interval '2 minutes' END) ORDER BY b.name)
    FROM farm.builder_view b WHERE farm.left_since(b.id) IS NULL) END";

/// What is known of those of the tasks that the viewer sees; `people`: also whose tasks go before them.
pub(super) fn facts(conn: &mut PgConnection, viewer: Viewer, tasks: &[i64], people: bool) -> Result<Vec<Facts>> {
    let people = if people { PEOPLE } else { "NULL" };
    let query = format!(
        "SELECT jsonb_build_object('id', t.id, 'platform', t.platform, 'state', t.state, 'message', t.message,
           'set_aside', w.set_aside_at IS NOT NULL, 'builder', t.builder, 'stage', t.stage,
           'running_for', extract(epoch FROM now() - t.started_at), 'after', {AFTER},
           'queued', r.task_id IS NOT NULL, 'not_before', r.not_before, 'backing_off', coalesce(r.not_before > now(), false),
           'enabled', p.enabled, 'line', {LINE}, 'people', {people}, 'weight', w.weight, 'background', j.class = 'background', 'history', {HISTORY},
           'builders', coalesce({BUILDERS}, '[]')) AS document
         FROM farm.task_view t JOIN farm.platform p ON p.name = t.platform JOIN farm.task w ON w.id = t.id
         JOIN farm.job j ON j.id = t.job_id
         LEFT JOIN farm.ready r ON r.platform = t.platform AND r.class = t.class::farm.class AND r.rank = t.rank AND r.task_id = t.id
         WHERE t.id = ANY ($1) AND farm.sees($2, t.job_id)"
    );
    documents(conn, sql_query(query).bind::<Array<BigInt>, _>(tasks).bind::<Nullable<Integer>, _>(viewer.number()))
}
