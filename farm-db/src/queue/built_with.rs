//! What builds begin with beside their sources.

use farm_api::hub::{LeaseRecord, Predecessors};
use farm_types::Digest;
use serde::Deserialize;

use super::claim::{ClaimedTask, Hopeless};

/// What a task is built with: few have anything here.
#[derive(Deserialize)]
struct With {
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

/// Adds to a task that was just claimed the record to build like and what the jobs before it made. One that cannot have what it is to be
/// built with is not built otherwise.
pub(super) fn add(task: &mut ClaimedTask, document: serde_json::Value) -> Result<(), Hopeless> {
    let with: With = serde_json::from_value(document)?;
    if let Some(lacks) = with.lacks {
        return Err(Hopeless::Lacks(format!("it is to be built with what the jobs before it made, and {lacks}")));
    }
    task.like = match with.like {
        None => None,
        Some(Like { digest: Some(digest), size: Some(size) }) => Some(LeaseRecord { digest, size }),
        Some(_) => {
            let gone = "the record of the build that it is to be built like is gone: hand it in anew";
            return Err(Hopeless::Lacks(gone.to_owned()));
        }
    };
    task.predecessors = with.predecessors;
    Ok(())
}
