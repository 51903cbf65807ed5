use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_api::people::{BuilderVerdict, Expected, PersonAhead, Why};
use farm_types::{JobId, PlatformName, TaskId, TaskState};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{DbError, Result, Viewer, document::documents};

#[derive(Deserialize)]
struct Facts {
    platform: PlatformName,
    state: TaskState,
    message: Option<String>,
    builder: Option<String>,
    stage: Option<String>,
    not_before: Option<Timestamp>,
    backing_off: bool,
    line: Option<Line>,
    after: Option<After>,
    weight: u32,
    enabled: bool,
    builders: Vec<Candidate>,
    history: History,
}

#[derive(Deserialize)]
struct Candidate {
    /// Slots, if it serves the platform and takes tasks.
    slots: u32,
    used: u32,
    /// What its builds have still to do, in slots times milliseconds.
    running: u64,
    #[serde(flatten)]
    verdict: BuilderVerdict,
}

/// The job that a task which is no builder's business yet comes after.
#[derive(Deserialize)]
struct After {
    job: JobId,
    /// For those who may see it.
    title: Option<String>,
    accepted: bool,
    tasks: u32,
    ended: u32,
    leased: u32,
    /// What it comes after itself, if all of its tasks wait for that.
    waits_for: Option<JobId>,
}

/// Who goes before.
#[derive(Deserialize)]
struct Line {
    ahead: i64,
    /// What all of them are expected to take, if they are like the first thousand, in slots times milliseconds.
    cost: u64,
    people: Vec<PersonAhead>,
}

/// What its packages took before.
#[derive(Deserialize)]
struct History {
    sources: i64,
    /// Packages that were built on its platform, and how often the rarest of them.
    here: i64,
    builds: Option<i64>,
    elsewhere: i64,
    seconds: f64,
}

/// Who goes before a row `t` of `farm.task_view`. However long the line is, ten thousand are counted, and the first thousand looked at: with
/// a million tasks ready and fifty builders the whole answer took 30 to 64 ms on two busy cores, and 144 ms the first time.
const LINE: &str = "CASE WHEN t.state = 'pending' THEN (
    WITH ahead AS MATERIALIZED (
      SELECT r.class, r.rank, r.task_id FROM farm.ready r
      WHERE r.platform = t.platform AND (r.class, r.rank, r.task_id) < (t.class::farm.class, t.rank, t.id)
      ORDER BY r.class, r.rank, r.task_id LIMIT 10000),
    jobs AS MATERIALIZED (
      SELECT x.job_id, count(*) AS tasks, sum(x.cost) AS cost
      FROM (SELECT task_id FROM ahead ORDER BY class, rank, task_id LIMIT 1000) h JOIN farm.task x ON x.id = h.task_id GROUP BY x.job_id),
    people AS (
      SELECT CASE WHEN farm.sees($2, f.job_id) THEN p.principal END AS person, sum(f.tasks) AS tasks,
             coalesce(sum(f.tasks) FILTER (WHERE j.class = 'urgent'), 0) AS urgent
      FROM jobs f JOIN farm.job j ON j.id = f.job_id JOIN farm.person p ON p.id = j.person_id GROUP BY 1)
    SELECT jsonb_build_object('ahead', a.count,
      'cost', coalesce((SELECT sum(cost) / sum(tasks) * a.count FROM jobs), 0)::bigint,
      'people', (SELECT coalesce(jsonb_agg(jsonb_build_object('person', person, 'tasks', tasks, 'urgent', urgent)
        ORDER BY person IS NULL, tasks DESC, person), '[]') FROM people))
    FROM (SELECT count(*) AS count FROM ahead) a) END";

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

/// Every builder's verdict on a row `t` of `farm.task_view`, which is `w` in `farm.task`.
const VERDICTS: &str = "(SELECT coalesce(jsonb_agg(jsonb_build_object('builder', b.name,
    'slots', CASE WHEN b.alive AND b.state = 'enabled' AND t.platform = ANY (b.serves) AND b.takes_nothing IS NULL THEN b.slots ELSE 0 END,
    'used', b.used,
    'running', (SELECT coalesce(sum(greatest(0, x.cost - extract(epoch FROM now() - v.started_at) * 1000 * v.weight)), 0)::bigint
      FROM farm.running_view v JOIN farm.task x ON x.id = v.task_id WHERE v.builder = b.name),
    'could_take_it', b.alive AND t.platform = ANY (b.serves) AND b.takes_nothing IS NULL
       AND b.slots > 0 AND b.used + least(w.weight, b.slots) <= b.slots AND coalesce(b.saves_for, t.id) = t.id
       AND coalesce(b.id <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes', true),
    'reason', CASE
       WHEN b.state <> 'enabled' THEN 'is ' || b.state || coalesce(': ' || b.reason, '')
       WHEN b.last_seen_at IS NULL THEN 'never said hello'
       WHEN NOT b.alive THEN 'was last heard of ' || to_char(b.last_seen_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
       WHEN NOT t.platform = ANY (b.serves) THEN 'does not serve ' || t.platform
       WHEN b.takes_nothing IS NOT NULL THEN 'takes nothing: ' || b.takes_nothing
       WHEN b.saves_for = t.id AND b.used + least(w.weight, b.slots) > b.slots
         THEN 'keeps its slots for it: ' || b.slots - b.used || ' of the ' || least(w.weight, b.slots) || ' that it takes are free'
       WHEN b.used >= b.slots THEN 'is full: ' || b.used || ' of ' || b.slots || ' slots'
       WHEN b.used + least(w.weight, b.slots) > b.slots
         THEN 'has ' || b.slots - b.used || ' slots free, and the task takes ' || least(w.weight, b.slots)
       WHEN b.saves_for <> t.id THEN 'keeps its slots for task ' || b.saves_for
       WHEN b.id = ANY (r.avoid) AND r.not_before >= now() - interval '2 minutes'
         THEN 'spoilt it before: until ' || to_char(r.not_before + interval '2 minutes', 'HH24:MI:SS') || ' UTC others may take it first'
       ELSE 'has a free slot' END) ORDER BY b.name), '[]')
    FROM farm.builder_view b LEFT JOIN farm.ready r ON r.platform = t.platform AND r.class = t.class::farm.class AND r.rank = t.rank AND r.task_id = t.id)";

/// Why a task is where it is; never without a reason.
pub fn why(conn: &mut PgConnection, viewer: Viewer, id: TaskId) -> Result<Why> {
    let query = format!(
        "SELECT jsonb_build_object('platform', t.platform, 'state', t.state, 'message', t.message, 'builder', t.builder,
           'stage', t.stage, 'not_before', t.not_before, 'backing_off', coalesce(t.not_before > now(), false),
           'enabled', p.enabled,
           'line', {LINE}, 'after', {AFTER}, 'weight', w.weight, 'history', {HISTORY},
           'builders', {VERDICTS}) AS document
         FROM farm.task_view t JOIN farm.platform p ON p.name = t.platform JOIN farm.task w ON w.id = t.id
         WHERE t.id = $1 AND farm.sees($2, t.job_id)"
    );
    let facts: Facts =
        documents(conn, sql_query(query).bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number()))?
            .pop()
            .ok_or_else(|| DbError::NotFound(format!("there is no task {id}")))?;
    let (summary, expected) = (summary(&facts), expected(&facts));
    let (ahead, people) = facts.line.map_or((None, Vec::new()), |line| (Some(line.ahead), line.people));
    let builders = facts.builders.into_iter().map(|candidate| candidate.verdict).collect();
    Ok(Why { task: id, state: facts.state, summary, ahead, people, expected, builders })
}

/// As if those ahead and what runs were divided among the slots of all who serve the platform.
fn expected(facts: &Facts) -> Option<Expected> {
    let line = facts.line.as_ref().filter(|_| facts.enabled && !facts.backing_off)?;
    let takers = || facts.builders.iter().filter(|candidate| candidate.slots > 0);
    let slots: u32 = takers().map(|candidate| candidate.slots).sum();
    let free = takers().any(|candidate| candidate.used + facts.weight.min(candidate.slots) <= candidate.slots);
    let running: u64 = takers().map(|candidate| candidate.running).sum();
    let begins = match slots {
        0 => None,
        _ if line.ahead == 0 && free => Some(0),
        slots => Some(((line.cost + running) / u64::from(slots) / 1000).max(60)),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds that are expected")]
    let takes = facts.history.seconds.round() as u64;
    // Where not all are counted, it is not known how long it takes at the most.
    let begins_within = begins.filter(|_| line.ahead < Why::MOST).map(|seconds| seconds * 2);
    let begins_after = begins.map(|seconds| seconds / 2);
    Some(Expected { begins_after, begins_within, takes, basis: basis(&facts.history) })
}

fn basis(history: &History) -> String {
    match (history.here, history.builds.unwrap_or_default()) {
        (here, builds) if here == history.sources && here == 1 => {
            format!(
                "known from {builds} {} of this package on this platform",
                if builds == 1 { "build" } else { "builds" }
            )
        }
        (here, _) if here == history.sources => "known from builds of these packages on this platform".to_owned(),
        (0, _) if history.elsewhere == 0 => "nothing was built before, so a minute for each package".to_owned(),
        _ => "partly known from other platforms, and a minute for each package that was never built".to_owned(),
    }
}

fn summary(facts: &Facts) -> String {
    let platform = &facts.platform;
    let message = facts.message.as_deref().unwrap_or("no reason was recorded");
    match facts.state {
        TaskState::Waiting => facts.after.as_ref().map_or_else(|| message.to_owned(), waits_for),
        TaskState::Succeeded => "it was built".to_owned(),
        TaskState::Failed | TaskState::Cancelled => message.to_owned(),
        TaskState::Leased => format!(
            "builder {} is at it, stage {}",
            facts.builder.as_deref().unwrap_or("unknown"),
            facts.stage.as_deref().unwrap_or("fetch")
        ),
        TaskState::Pending if !facts.enabled => {
            format!("platform {platform} is disabled; an operator has to enable it")
        }
        TaskState::Pending if facts.backing_off => {
            let until = facts.not_before.map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
            format!("its last attempt was spoilt by a fault of the farm; it is tried again after {until}")
        }
        TaskState::Pending => match facts.builders.iter().filter(|b| b.verdict.could_take_it).count() {
            0 => format!("no builder can take it now: {}", blocked(facts)),
            _ if facts.line.as_ref().is_some_and(|line| line.ahead > 0) => {
                "a builder has a free slot, and those ahead are given theirs first".to_owned()
            }
            _ => "a builder has a free slot; it should begin within a second".to_owned(),
        },
    }
}

fn waits_for(after: &After) -> String {
    let title = after.title.as_ref().map(|title| format!(" (“{title}”)")).unwrap_or_default();
    let still = match after {
        After { accepted: false, .. } => "which no validator has decided on yet".to_owned(),
        After { waits_for: Some(before), .. } => format!("which waits for job {before} itself"),
        After { tasks, ended, leased, .. } => {
            format!(
                "of whose {tasks} {} {ended} {} ended and {leased} {} being built",
                noun(*tasks),
                has(*ended),
                is(*leased)
            )
        }
    };
    format!("it comes after job {}{title}, {still}; it goes on when all of them have succeeded", after.job)
}

fn noun(tasks: u32) -> &'static str {
    if tasks == 1 { "task" } else { "tasks" }
}

fn has(number: u32) -> &'static str {
    if number == 1 { "has" } else { "have" }
}

fn is(number: u32) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

fn blocked(facts: &Facts) -> String {
    if facts.builders.is_empty() {
        return "none is registered".to_owned();
    }
    let reasons: Vec<_> =
        facts.builders.iter().take(3).map(|b| format!("{} {}", b.verdict.builder, b.verdict.reason)).collect();
    match facts.builders.len() {
        n if n > 3 => format!("{}; and {} more", reasons.join("; "), n - 3),
        _ => reasons.join("; "),
    }
}
