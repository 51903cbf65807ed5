//! What wakes waiting builders: notifications of the database, and a look from time to time.

use std::time::Duration;

use farm_db::{Channel, DbError, Heard, Notification, queue};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use crate::{
    hub::{Hub, Shared},
    waiting::Wake,
};

/// The least time between two looks, however often one is asked for.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Listens on one connection, has everybody look whenever it is new, and passes on what it hears.
pub(crate) async fn listen(hub: Shared) -> anyhow::Result<()> {
    let max_age = hub.config.connection_max_age_seconds;
    let channels = [Channel::Ready, Channel::Orders, Channel::Access];
    let listening = farm_db::listen(&hub.config.database, &channels, max_age, |heard| match heard {
        Heard::Connected => {
            info!("listening to the database");
            hub.hearing.send_replace(true);
            hub.waiting.ask_for_look();
            hub.orders.ring_all();
            hub.tokens.hears(true);
        }
        Heard::Told(notification) => pass_on(&hub, &notification),
        Heard::Lost(error) => {
            warn!(%error, "notifications of the database are not heard; connecting again");
            hub.hearing.send_replace(false);
            hub.tokens.hears(false);
            metrics::counter!("farm_hub_listener_reconnects_total").increment(1);
        }
    });
    hub.shutdown.run_until_cancelled(listening).await;
    Ok(())
}

/// Anybody with a way to the database may notify, so a payload is believed only as far as it can be read.
fn pass_on(hub: &Hub, notification: &Notification) {
    match notification.channel {
        Channel::Ready => {
            let platform = match queue::Ready::heard(&notification.payload) {
                Some(queue::Ready::Key(key)) => key.platform,
                Some(queue::Ready::Look(platform)) => platform,
                None => return,
            };
            hub.waiting.wake(Wake::new(platform));
        }
        Channel::Orders => match notification.payload.strip_suffix(" recall") {
            Some(builder) => _ = builder.parse().map(|builder| hub.recalls.ring(builder)),
            None => _ = notification.payload.parse().map(|builder| hub.orders.ring(builder)),
        },
        Channel::Access => hub.tokens.forget(),
        Channel::Submitted | Channel::Job => {}
    }
}

/// Looks for tasks that wait although a builder waits for them: their notification was lost, or their backoff ended.
pub(crate) async fn rescan(hub: Shared) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(hub.config.rescan_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looks = async {
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = hub.waiting.look_asked_for() => {}
            }
            if let Err(error) = look(&hub).await {
                warn!(%error, "cannot look for waiting tasks");
            }
            sleep(LOOK_PAUSE).await;
        }
    };
    hub.shutdown.run_until_cancelled(looks).await;
    Ok(())
}

/// Learns anew what the waiting builders serve, and wakes as many of them as there are tasks.
async fn look(hub: &Hub) -> Result<(), DbError> {
    let builders = hub.waiting.builders();
    if builders.is_empty() {
        return Ok(());
    }
    let serve = hub.pool.run(move |conn| queue::platforms_of(conn, &builders)).await?;
    hub.waiting.learn(&serve);
    let (platforms, waiters) = hub.waiting.platforms();
    let ready = hub.pool.run(move |conn| queue::ready_counts(conn, &platforms, waiters)).await?;
    for (platform, tasks) in ready {
        for _ in 0..tasks {
            if !hub.waiting.wake(Wake::new(platform.clone())) {
                break;
            }
        }
    }
    Ok(())
}
