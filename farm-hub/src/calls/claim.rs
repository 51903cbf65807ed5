use axum::{extract::State, response::Response};
use farm_api::hub::Claim;
use farm_db::queue;
use farm_types::{BuilderId, PlatformName};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    caller::{Caller, Document},
    error::Result,
    handout::Handout,
    hub::Shared,
    waiting::{Ticket, Wake},
};

/// Tasks handed out in one answer at the most.
const MOST: u32 = 64;

/// Hands out tasks: at once if there are any, otherwise as soon as there are.
pub(crate) async fn claim(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Document(claim): Document<Claim>,
) -> Result<Response> {
    let deadline = Instant::now() + super::wait(claim.wait_seconds);
    let claim = Claim { want: claim.want.clamp(1, MOST), ..claim };
    let mut handout = look(&hub, builder.id, &claim).await?;
    if handout.is_an_answer() {
        drop(Duty::new(&hub, &handout));
    } else {
        handout = wait_for_tasks(&hub, builder.id, &claim, deadline).await?;
    }
    handout.into_response()
}

/// Waits among the others until it is given something, or the time is up, or the builder takes no more, or the hub ends.
async fn wait_for_tasks(hub: &Shared, builder: BuilderId, claim: &Claim, deadline: Instant) -> Result<Handout> {
    let mut recall = hub.recalls.subscribe(builder);
    let mut serves = hub.pool.run(move |conn| queue::platforms_of(conn, &[builder])).await?;
    let waiter = hub.waiting.join(builder, serves.remove(&builder).unwrap_or_default());
    let mut duty = Duty { hub: Shared::clone(hub), wakes: Vec::new() };
    // The first look comes after joining: what becomes ready in between wakes us, what was ready before is seen.
    loop {
        let handout = look(hub, builder, claim).await?;
        duty.done(&handout, waiter.ticket());
        drop(duty);
        if handout.is_an_answer() {
            return Ok(handout);
        }
        let wakes = tokio::select! {
            wakes = waiter.woken() => wakes,
            () = tokio::time::sleep_until(deadline) => return Ok(handout),
            _ = recall.changed() => return Ok(handout),
            () = hub.shutdown.cancelled() => return Ok(handout),
        };
        duty = Duty { hub: Shared::clone(hub), wakes };
    }
}

/// One look into the queue. It runs to its end even if the builder hangs up: what it got is given back then.
async fn look(hub: &Shared, builder: BuilderId, claim: &Claim) -> Result<Handout> {
    let (hub, instance, want) = (Shared::clone(hub), claim.instance, claim.want);
    let look = async move {
        let lease_seconds = hub.config.lease_seconds;
        let claim = move |conn: &mut _| {
            let tasks = queue::claim(conn, builder, instance, want, lease_seconds)?;
            let saves_slots = if tasks.is_empty() { queue::saves_slots(conn, builder)? } else { None };
            Ok((tasks, saves_slots))
        };
        let (tasks, saves_slots) = hub.pool.run(claim).await?;
        Ok(Handout::new(hub, builder, tasks, saves_slots))
    };
    tokio::spawn(look).await?
}

/// What is owed after a look: when there is still something to claim, the next one is woken. It is paid when this is
/// dropped, however the look ended.
struct Duty {
    hub: Shared,
    wakes: Vec<Wake>,
}

impl Duty {
    /// After a look that nobody asked for.
    fn new(hub: &Shared, handout: &Handout) -> Self {
        let mut duty = Self { hub: Shared::clone(hub), wakes: Vec::new() };
        duty.add(handout);
        duty
    }

    /// The look is done. Who got nothing is not asked again for the same.
    fn done(&mut self, handout: &Handout, ticket: Ticket) {
        for wake in &mut self.wakes {
            if handout.is_empty() {
                wake.tried.push(ticket);
            } else {
                wake.tried.clear();
            }
        }
        self.add(handout);
    }

    fn add(&mut self, handout: &Handout) {
        for platform in handout.platforms() {
            if !self.wakes.iter().any(|wake| wake.platform == *platform) {
                self.wakes.push(Wake::new(platform.clone()));
            }
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        let wakes = std::mem::take(&mut self.wakes);
        let platforms: Vec<PlatformName> = wakes.iter().map(|wake| wake.platform.clone()).collect();
        // A farm with more tasks than builders has nobody waiting, and asks nothing here.
        if !platforms.is_empty() && self.hub.waiting.anybody_for(&platforms) {
            tokio::spawn(wake_next(Shared::clone(&self.hub), wakes, platforms));
        }
    }
}

async fn wake_next(hub: Shared, wakes: Vec<Wake>, platforms: Vec<PlatformName>) {
    match hub.pool.run(move |conn| queue::ready_counts(conn, &platforms, 1)).await {
        Ok(ready) => {
            for wake in wakes.into_iter().filter(|wake| ready.iter().any(|(platform, _)| *platform == wake.platform)) {
                hub.waiting.wake(wake);
            }
        }
        // The database is away; when it is back, everybody is told to look.
        Err(error) => warn!(%error, "cannot see whether there are more tasks"),
    }
}
