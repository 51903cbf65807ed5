//! The process.

use std::sync::Arc;

use farm_daemon::{
    CancellationToken, Supervisor,
    http::{Address, Listener, serve},
};
use tokio::sync::watch;

use crate::{
    Config, dispatch,
    hub::{Hub, Shared},
    listen, pulse, routes,
};

/// Serves until the token is cancelled; then waiting builders are answered at once, and calls under way finish.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let introduction = farm_db::introduce(&config.database, "farm_hub").await?;
    let server = Server::bind(config, shutdown.clone()).await?;
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the introduction to the database", async move {
        shutdown.run_until_cancelled(introduction.complete()).await.transpose()?;
        shutdown.cancelled().await;
        Ok(())
    });
    parts.spawn("the hub", server.run());
    parts.wait().await
}

/// A hub whose socket is bound and that does not serve yet.
pub struct Server {
    hub: Shared,
    listener: Listener,
}

impl Server {
    /// Binds the socket. The token ends what [`Server::run`] does.
    pub async fn bind(config: Config, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let listener = Listener::bind(&config.http).await?;
        Ok(Self { hub: Arc::new(Hub::open(config, shutdown)?), listener })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// How many builders wait for a task, as it changes.
    pub fn waiters(&self) -> watch::Receiver<usize> {
        self.hub.desk.number()
    }

    /// Serves until the token is cancelled.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { hub, listener } = self;
        let (address, shutdown) = (listener.address().clone(), hub.shutdown.clone());
        let router = routes::router(Arc::clone(&hub))?;
        let mut parts = Supervisor::new(shutdown.clone());
        parts.spawn("the listener", listen::listen(Arc::clone(&hub)));
        parts.spawn("the dispatcher", dispatch::dispatch(Arc::clone(&hub)));
        parts.spawn("the questions about builders", dispatch::ask_about_builders(Arc::clone(&hub)));
        parts.spawn("the look for tasks", dispatch::look_for_tasks(Arc::clone(&hub)));
        parts.spawn("the pulse", pulse::beat(Arc::clone(&hub)));
        parts.spawn("the word that all is ready", tell_ready(hub, address));
        parts.spawn("the HTTP server", serve(listener, router, shutdown));
        parts.wait().await
    }
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
