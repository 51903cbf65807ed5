//! What the database tells: that a job changed, that something about access did.

use farm_db::{Channel, Heard};
use tracing::{info, warn};

use crate::App;

/// Passes on what the database tells, until the end. Whoever watches looks again after each new connection, as what happened
/// without one was told to nobody.
pub async fn listen(app: App) -> anyhow::Result<()> {
    let config = &app.config;
    let channels = [Channel::Job, Channel::Access];
    let listening =
        farm_db::listen(&config.database, &channels, config.connection_max_age_seconds, |heard| match heard {
            Heard::Connected => {
                info!("listening for changes of jobs and of access");
                app.known.hears(true);
                app.watch.all_changed();
            }
            Heard::Told(told) if told.channel == Channel::Access => {
                app.known.forget();
                // Somebody may not see any more what is being watched.
                app.watch.all_changed();
            }
            Heard::Told(told) => {
                if let Ok(job) = told.payload.parse() {
                    app.watch.changed(job);
                }
            }
            Heard::Lost(error) => {
                warn!(%error, "changes are not heard of at the moment; pages look by themselves until then");
                app.known.hears(false);
            }
        });
    app.shutdown.run_until_cancelled(listening).await;
    Ok(())
}
