//! Why a task is where it is, and what is expected of it: one query for all that is known, and what follows from it.

mod expected;
mod facts;
mod reasons;

use diesel::PgConnection;
use farm_api::people::{Task, Why};
use farm_types::{TaskId, TaskState};

use self::{expected::expected, facts::facts};
use crate::{DbError, Result, Viewer};

/// Of a job with more open tasks than that it is told of the first ones what is expected of them: each costs nearly as much as a `why`.
const MOST: usize = 8;

/// Why a task is where it is; never without a reason.
pub fn why(conn: &mut PgConnection, viewer: Viewer, id: TaskId) -> Result<Why> {
    let facts =
        facts(conn, viewer, &[id.0], true)?.pop().ok_or_else(|| DbError::NotFound(format!("there is no task {id}")))?;
    let builders = reasons::verdicts(&facts);
    let expected = expected(&facts, &builders);
    let (reason, summary) = reasons::of_task(&facts, &builders);
    let (ahead, people) = (facts.line.map(|line| line.ahead), facts.people.unwrap_or_default());
    Ok(Why { task: id, state: facts.state, reason, summary, ahead, people, expected, builders })
}

/// Tells of each of the tasks that wait for a builder, or have one, what is expected of it.
pub fn expect(conn: &mut PgConnection, viewer: Viewer, tasks: &mut [Task]) -> Result<()> {
    let open = |task: &&mut Task| matches!(task.state, TaskState::Pending | TaskState::Leased);
    let mut open: Vec<&mut Task> = tasks.iter_mut().filter(open).take(MOST).collect();
    if open.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = open.iter().map(|task| task.id.0).collect();
    for facts in facts(conn, viewer, &ids, false)? {
        // It may have gone on since it was read.
        if let Some(task) = open.iter_mut().find(|task| task.id == facts.id && task.state == facts.state) {
            task.expected = expected(&facts, &reasons::verdicts(&facts));
        }
    }
    Ok(())
}
