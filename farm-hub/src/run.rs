//! The process.

use std::sync::Arc;

use farm_daemon::{
    CancellationToken, Supervisor,
    http::{Address, Listener, serve},
};

use crate::{
    Config,
    hub::{Hub, Shared},
    listen, routes,
};

/// Serves until the token is cancelled; then waiting builders are answered at once, and calls under way finish.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = Listener::bind(&config.http).await?;
    run_on(listener, config, shutdown).await
}

/// The same on a socket that is bound already.
pub async fn run_on(listener: Listener, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let address = listener.address().clone();
    let hub = Arc::new(Hub::open(config, shutdown.clone())?);
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the listener", listen::listen(Arc::clone(&hub)));
    parts.spawn("the look for forgotten tasks", listen::rescan(Arc::clone(&hub)));
    parts.spawn("the word that all is ready", tell_ready(Arc::clone(&hub), address));
    parts.spawn("the HTTP server", serve(listener, routes::router(hub), shutdown));
    parts.wait().await
}

/// A hub without its database answers, but it is not ready.
async fn tell_ready(hub: Shared, address: Address) -> anyhow::Result<()> {
    let mut hearing = hub.hearing.subscribe();
    if let Some(Ok(_)) = hub.shutdown.run_until_cancelled(hearing.wait_for(|hearing| *hearing)).await {
        farm_daemon::ready(Some(&address));
    }
    hub.shutdown.cancelled().await;
    Ok(())
}
