//! What builds begin with beside their sources.

use diesel::{
    PgConnection, sql_query,
    sql_types::{Array, BigInt, Integer},
};
use farm_api::hub::{LeaseRecord, Predecessors};
use farm_types::{BuilderId, Cause, Digest, Outcome, TaskId};
use serde::Deserialize;

use super::{
    claim::{ClaimedTask, hopeless},
    finish,
};
use crate::{Result, document::documents};

/// What one task is built with.
#[derive(Deserialize)]
struct With {
    task: TaskId,
    like: Option<Like>,
    predecessors: Option<Predecessors>,
    /// Why it cannot have what the jobs before it made.
    lacks: Option<String>,
}

/// The record to build like, of which nothing is left once it has gone.
#[derive(Deserialize)]
struct Like {
    digest: Option<Digest>,
    size: Option<u64>,
}

/// Adds to tasks that were just claimed the record to build like and what the jobs before them made: few have either. One that cannot
/// have what it is to be built with is not built otherwise, and ends.
pub(super) fn builds_with(
    conn: &mut PgConnection,
    builder: BuilderId,
    tasks: Vec<ClaimedTask>,
) -> Result<Vec<ClaimedTask>> {
    let numbers: Vec<i64> = tasks.iter().map(|task| task.key.task.0).collect();
    let query = sql_query("SELECT document FROM farm.builds_with($1, $2) AS document")
        .bind::<Integer, _>(builder.0)
        .bind::<Array<BigInt>, _>(numbers);
    let mut all: Vec<With> = documents(conn, query)?;
    let mut told = Vec::new();
    for mut task in tasks {
        let with = all.iter().position(|with| with.task == task.key.task).map(|n| all.swap_remove(n));
        match with.map_or(Ok(()), |with| add(&mut task, with)) {
            Ok(()) => told.push(task),
            Err(why) => {
                finish(conn, builder, &task.key, &hopeless(Outcome::Failed, Cause::Dependencies, why))?;
            }
        }
    }
    Ok(told)
}

/// The error is a sentence for whoever handed it in.
fn add(task: &mut ClaimedTask, with: With) -> Result<(), String> {
    if let Some(lacks) = with.lacks {
        return Err(format!("it is to be built with what the jobs before it made, and {lacks}"));
    }
    task.like = match with.like {
        None => None,
        Some(Like { digest: Some(digest), size: Some(size) }) => Some(LeaseRecord { digest, size }),
        Some(_) => {
            return Err("the record of the build that it is to be built like is gone: hand it in anew".to_owned());
        }
    };
    task.predecessors = with.predecessors;
    Ok(())
}
