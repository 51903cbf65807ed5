//! What is heard of the database: tasks that can be claimed, orders for builders, changes of access.

use farm_db::{Channel, Heard, Notification, queue::Ready};
use tracing::{info, warn};

use crate::hub::{Hub, Shared};

/// Listens on one connection, has everybody look whenever it is new, and passes on what it hears.
pub(crate) async fn listen(hub: Shared) -> anyhow::Result<()> {
    let max_age = hub.config.connection_max_age_seconds;
    let channels = [Channel::Ready, Channel::Orders, Channel::Access];
    let listening = farm_db::listen(&hub.config.database, &channels, max_age, |heard| match heard {
        Heard::Connected => {
            info!("listening to the database");
            hub.hearing.send_replace(true);
            hub.desk.doubt_all();
            hub.orders.ring_all();
            hub.tokens.hears(true);
        }
        Heard::Told(notification) => pass_on(&hub, &notification),
        Heard::Lost(error) => {
            warn!(%error, "notifications of the database are not heard; connecting again");
            hub.hearing.send_replace(false);
            hub.desk.doubt_all();
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
        Channel::Ready => match Ready::heard(&notification.payload) {
            Some(Ready::Key(key)) => hub.desk.hear(key),
            Some(Ready::Look(platform)) => hub.desk.hear_of(&platform),
            None => {}
        },
        Channel::Orders => match notification.payload.strip_suffix(" recall") {
            Some(builder) => _ = builder.parse().map(|builder| hub.recalls.ring(builder)),
            None => _ = notification.payload.parse().map(|builder| hub.orders.ring(builder)),
        },
        Channel::Access => hub.tokens.forget(),
        Channel::Submitted | Channel::Job => {}
    }
}
