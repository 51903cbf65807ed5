//! The daemons' configuration files, as `up` writes them: a farm of several machines has the same files in `/etc/farm`.

use serde::Serialize;
use toml::{Table, Value};

use super::{Layout, layout::write_secret};
use crate::daemons::Daemon;

/// What the files depend on.
pub(crate) struct Facts<'a> {
    pub layout: &'a Layout,
    /// Makes the conninfo of a role.
    pub conninfo: &'a dyn Fn(&str) -> String,
    /// Where farm-web listens.
    pub web: String,
    /// Where farm-hub listens.
    pub hub: String,
    /// Who callers on this machine are.
    pub local_user: String,
    /// The builder's name.
    pub builder: String,
    /// Tasks that the builder takes at once.
    pub slots: u32,
}

/// A line above every file.
const NOTE: &str = "# Written by `farm-admin up` at each start; changes are lost.\n";

impl Facts<'_> {
    /// Writes the configuration of one daemon.
    pub(crate) fn write(&self, daemon: Daemon) -> anyhow::Result<()> {
        let table = match daemon {
            Daemon::Web => self.web_config(),
            Daemon::Hub => self.hub_config(),
            Daemon::Validator => self.stored("validator", "farm_validator"),
            Daemon::Janitor => self.stored("janitor", "farm_janitor"),
            Daemon::Publisher => self.publisher_config(),
            Daemon::Builder => self.builder_config(),
        };
        write_secret(&self.layout.config(daemon.name()), &format!("{NOTE}{}", toml::to_string_pretty(&table)?))
    }

    fn stored(&self, name: &str, role: &str) -> Table {
        let mut store = Table::new();
        put(&mut store, "kind", "folder");
        put(&mut store, "path", self.layout.store());
        let mut table = Table::new();
        put(&mut table, "database", (self.conninfo)(role));
        put(&mut table, "spool", self.layout.spool(name));
        table.insert("store".to_owned(), Value::Table(store));
        table
    }

    fn served(&self, name: &str, role: &str, listen: &str) -> Table {
        let mut http = Table::new();
        put(&mut http, "listen", listen);
        let mut table = self.stored(name, role);
        table.insert("http".to_owned(), Value::Table(http));
        table
    }

    fn web_config(&self) -> Table {
        let mut table = self.served("web", "farm_web", &self.web);
        put(&mut table, "local_user", &self.local_user);
        put(&mut table, "repositories", self.layout.repositories());
        table
    }

    fn hub_config(&self) -> Table {
        let mut table = self.served("hub", "farm_hub", &self.hub);
        put(&mut table, "repositories", self.layout.repositories());
        table
    }

    fn publisher_config(&self) -> Table {
        let mut table = self.stored("publisher", "farm_publisher");
        put(&mut table, "repositories", self.layout.repositories());
        table
    }

    fn builder_config(&self) -> Table {
        let mut table = Table::new();
        put(&mut table, "hub", format!("http://{}/", self.hub));
        put(&mut table, "name", &self.builder);
        put(&mut table, "token_file", self.layout.builder_token());
        put(&mut table, "slots", self.slots);
        put(&mut table, "data", self.layout.builder());
        // Whoever starts a farm on a machine of their own wants it to build, however busy that is.
        let mut thresholds = Table::new();
        put(&mut thresholds, "load_per_processor", 0.0);
        table.insert("thresholds".to_owned(), Value::Table(thresholds));
        table
    }
}

fn put(table: &mut Table, key: &str, value: impl Serialize) {
    if let Ok(value) = Value::try_from(value) {
        table.insert(key.to_owned(), value);
    }
}
