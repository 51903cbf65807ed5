//! The daemons that answer over HTTP.

use std::{path::Path, time::Duration};

use farm_api::client::{Repeat, Transport};
use serde::Deserialize;

use super::finding::Finding;
use crate::{farm::FarmArgs, up::Layout};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether web and hub of a farm that `up` runs are ready.
pub(crate) fn check(farm: &FarmArgs, layout: &Layout) -> Vec<Finding> {
    if farm.database.is_some() {
        return Vec::new();
    }
    let Ok(web) = fs_err::read_to_string(layout.url_file()) else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let hub = hub(&layout.config("builder"));
    runtime.block_on(async {
        let web = is_ready("web", web.trim().to_owned(), layout);
        let hub = async {
            match hub {
                Some(url) => Some(is_ready("hub", url, layout).await),
                None => None,
            }
        };
        let (web, hub) = tokio::join!(web, hub);
        [Some(web), hub].into_iter().flatten().collect()
    })
}

/// The hub that the builder is told of.
fn hub(config: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Builder {
        hub: farm_builder::Hubs,
    }
    let builder: Builder = toml::from_str(&fs_err::read_to_string(config).ok()?).ok()?;
    builder.hub.addresses().first().cloned()
}

async fn is_ready(name: &str, url: String, layout: &Layout) -> Finding {
    let asked = async {
        Transport::new(&url, concat!("farm-admin/", env!("CARGO_PKG_VERSION")))?
            .get("readyz")
            .repeat(Repeat::Never)
            .timeout(PATIENCE)
            .done()
            .await
    };
    match asked.await {
        Ok(()) => Finding::ok(name, format!("ready at {url}")),
        Err(error) => Finding::wrong(name, error.to_string()).mend(format!("tail {}", layout.log(name).display())),
    }
}
