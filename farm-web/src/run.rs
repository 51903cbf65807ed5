//! The process.

use anyhow::Context as _;
use farm_daemon::{
    CancellationToken, Supervisor,
    http::{Listener, serve},
};

use crate::{App, Config, listen, pages, router};

/// Serves until the token is cancelled.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    pages::check_templates().context("a template is not right")?;
    let introduction = farm_db::introduce(&config.database, "farm_web").await?;
    let listener = Listener::bind(&config.http).await?;
    let address = listener.address().clone();
    let app = App::open(config, shutdown.clone())?;
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the introduction to the database", {
        let shutdown = shutdown.clone();
        async move {
            shutdown.run_until_cancelled(introduction.complete()).await.transpose()?;
            shutdown.cancelled().await;
            Ok(())
        }
    });
    parts.spawn("the listener for changes", listen(app.clone()));
    parts.spawn("the HTTP server", serve(listener, router(app), shutdown));
    farm_daemon::ready(Some(&address));
    parts.wait().await
}
