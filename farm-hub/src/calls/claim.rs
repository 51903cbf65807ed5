use axum::{extract::State, response::Response};
use farm_api::hub::Claim;
use farm_types::BuilderId;
use tokio::time::{Instant, sleep_until};

use crate::{
    caller::{Caller, Document},
    dispatch,
    error::Result,
    handout::Handout,
    hub::Shared,
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
    let handout = match claim.wait_seconds {
        // Who does not wait cannot be told later what is not known here yet.
        0 => dispatch::look(&hub, (builder.id, claim.instance), claim.want).await?,
        _ => wait_for_tasks(&hub, builder.id, &claim, deadline).await?,
    };
    handout.into_response()
}

/// Waits among the others until it is given something, or the time is up, or the builder takes no more, or the hub ends.
async fn wait_for_tasks(hub: &Shared, builder: BuilderId, claim: &Claim, deadline: Instant) -> Result<Handout> {
    let mut recall = hub.recalls.subscribe(builder);
    let over = async {
        tokio::select! {
            () = sleep_until(deadline) => {}
            _ = recall.changed() => {}
            () = hub.shutdown.cancelled() => {}
        }
    };
    let waiting = hub.desk.join((builder, claim.instance), claim.want)?;
    let handout = waiting.handout(over).await?;
    Ok(handout.unwrap_or_else(|| Handout::new(Shared::clone(hub), builder, Vec::new(), None)))
}
