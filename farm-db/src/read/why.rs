use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_api::people::{BuilderVerdict, Why};
use farm_types::{PlatformName, TaskId, TaskState};
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
    ahead: Option<i64>,
    enabled: bool,
    builders: Vec<BuilderVerdict>,
}

/// Every builder's verdict on a row `t` of `farm.task_view`, which is `w` in `farm.task`.
const VERDICTS: &str = "(SELECT coalesce(jsonb_agg(jsonb_build_object('builder', b.name,
    'could_take_it', b.alive AND t.platform = ANY (b.serves) AND b.takes_nothing IS NULL
       AND b.slots > 0 AND b.used + least(w.weight, b.slots) <= b.slots AND coalesce(b.saves_for, t.id) = t.id,
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
       ELSE 'has a free slot' END) ORDER BY b.name), '[]') FROM farm.builder_view b)";

/// Why a task is where it is; never without a reason.
pub fn why(conn: &mut PgConnection, viewer: Viewer, id: TaskId) -> Result<Why> {
    let query = format!(
        "SELECT jsonb_build_object('platform', t.platform, 'state', t.state, 'message', t.message, 'builder', t.builder,
           'stage', t.stage, 'not_before', t.not_before, 'backing_off', coalesce(t.not_before > now(), false),
           'enabled', p.enabled,
           'ahead', CASE WHEN t.state = 'pending' THEN (SELECT count(*) FROM farm.ready r WHERE r.platform = t.platform
              AND (r.class, r.rank, r.task_id) < (t.class::farm.class, t.rank, t.id)) END,
           'builders', {VERDICTS}) AS document
         FROM farm.task_view t JOIN farm.platform p ON p.name = t.platform JOIN farm.task w ON w.id = t.id
         WHERE t.id = $1 AND farm.sees($2, t.job_id)"
    );
    let facts: Facts =
        documents(conn, sql_query(query).bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number()))?
            .pop()
            .ok_or_else(|| DbError::NotFound(format!("there is no task {id}")))?;
    Ok(Why { task: id, state: facts.state, summary: summary(&facts), ahead: facts.ahead, builders: facts.builders })
}

fn summary(facts: &Facts) -> String {
    let platform = &facts.platform;
    let message = facts.message.as_deref().unwrap_or("no reason was recorded");
    match facts.state {
        TaskState::Waiting => message.to_owned(),
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
        TaskState::Pending => match facts.builders.iter().filter(|b| b.could_take_it).count() {
            0 => format!("no builder can take it now: {}", blocked(facts)),
            _ => "a builder has a free slot; it should begin within a second".to_owned(),
        },
    }
}

fn blocked(facts: &Facts) -> String {
    if facts.builders.is_empty() {
        return "none is registered".to_owned();
    }
    let reasons: Vec<_> = facts.builders.iter().take(3).map(|b| format!("{} {}", b.builder, b.reason)).collect();
    match facts.builders.len() {
        n if n > 3 => format!("{}; and {} more", reasons.join("; "), n - 3),
        _ => reasons.join("; "),
    }
}
