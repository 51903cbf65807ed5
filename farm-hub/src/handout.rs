//! Tasks on their way to a builder.

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use farm_api::hub::{Claimed, Lease};
use farm_db::queue::{self, ClaimedTask};
use farm_types::{BuilderId, LeaseKey, TaskId};
use futures::stream;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::{error::Result, hub::Shared};

/// Tasks that were claimed for a builder and are not with it yet. Dropped before that (the builder hung up, an answer
/// could not be written), they go back to the queue at once instead of when their leases run out.
pub(crate) struct Handout {
    hub: Shared,
    builder: BuilderId,
    tasks: Vec<ClaimedTask>,
    /// So many slots the builder is to keep free for a task that did not fit.
    saves_slots: Option<u32>,
}

impl Handout {
    pub(crate) fn new(hub: Shared, builder: BuilderId, tasks: Vec<ClaimedTask>, saves_slots: Option<u32>) -> Self {
        Self { hub, builder, tasks, saves_slots }
    }

    /// Whether there is something to answer.
    pub(crate) fn is_an_answer(&self) -> bool {
        !self.tasks.is_empty() || self.saves_slots.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether that task is among them.
    pub(crate) fn has(&self, task: TaskId) -> bool {
        self.tasks.iter().any(|claimed| claimed.key.task == task)
    }

    /// How many slots the builder is to keep free for a task that did not fit.
    pub(crate) fn saves_slots(&self) -> Option<u32> {
        self.saves_slots
    }

    /// The answer that hands them out. They count as handed out when its bytes are taken to be sent.
    pub(crate) fn into_response(self) -> Result<Response> {
        let leases = self.tasks.iter().cloned().map(lease).collect();
        let bytes = Bytes::from(serde_json::to_vec(&Claimed { leases, saves_slots: self.saves_slots })?);
        let body = Body::from_stream(stream::once(async move {
            self.handed_out();
            Ok::<_, std::convert::Infallible>(bytes)
        }));
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }

    fn handed_out(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            let platform = &task.recipe.name;
            metrics::counter!("farm_claims_total", "platform" => platform.to_string()).increment(1);
            metrics::histogram!("farm_claim_seconds").record(task.waited);
            info!(
                job.id = %task.job, task.id = %task.key.task, attempt = %task.key.attempt, builder.id = %self.builder,
                %platform, waited_ms = task.waited.as_millis(), "task handed out"
            );
        }
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let keys: Vec<LeaseKey> = self.tasks.drain(..).map(|task| task.key).collect();
        let (hub, builder) = (Shared::clone(&self.hub), self.builder);
        // Without a runtime the process is ending; the leases run out then.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(give_back(hub, builder, keys));
        }
    }
}

async fn give_back(hub: Shared, builder: BuilderId, keys: Vec<LeaseKey>) {
    let released = hub.reserve.run(move |conn| {
        for key in &keys {
            info!(task.id = %key.task, attempt = %key.attempt, builder.id = %builder, "builder left before it got its task");
            queue::release(conn, builder, key, "the builder went away before it got the task")?;
        }
        Ok(())
    });
    if let Err(error) = released.await {
        warn!(%error, "a task that reached no builder stays leased until its lease runs out");
    }
}

fn lease(task: ClaimedTask) -> Lease {
    let limits = task.recipe.limits.lowest(task.options.limits).lowest(task.limits);
    Lease {
        key: task.key,
        job: task.job,
        recipe: task.recipe,
        sources: task.sources,
        timeout_seconds: limits.timeout_seconds.map_or(task.timeout_seconds, |most| most.min(task.timeout_seconds)),
        network: task.network,
        like: task.like,
        predecessors: task.predecessors,
        weight: task.weight,
        options: task.options,
        limits,
    }
}
