//! The daemons' configurations.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::{database::Database, farm::LEASE, way::Way};

/// Where things are that configurations name.
#[derive(Debug, Clone)]
pub struct Configs {
    root: PathBuf,
    database: Database,
    /// The folder of the store.
    pub store: PathBuf,
    /// The folder of the repositories.
    pub repositories: PathBuf,
    /// Where the builders work.
    pub builders: PathBuf,
}

impl Configs {
    /// Makes the folders.
    pub(crate) fn new(root: &Path, database: &Database) -> anyhow::Result<Self> {
        let folder = |name: &str| {
            let path = root.join(name);
            fs_err::create_dir_all(&path).map(|()| path)
        };
        for name in ["etc", "log", "spool"] {
            folder(name)?;
        }
        let (store, repositories, builders) = (folder("store")?, folder("repositories")?, folder("builders")?);
        Ok(Self { root: root.to_owned(), database: database.clone(), store, repositories, builders })
    }

    pub(crate) fn web(&self, listen: SocketAddr) -> String {
        format!("repositories = '{}'\n{}{}", self.repositories.display(), self.stored("web"), http(listen))
    }

    pub(crate) fn hub(&self, listen: SocketAddr) -> String {
        format!(
            "repositories = '{}'\nlease_seconds = {LEASE}\nrenew_seconds = {}\nrescan_seconds = 5\n{}{}",
            self.repositories.display(),
            LEASE / 3,
            self.stored("hub"),
            http(listen)
        )
    }

    pub(crate) fn validator(&self, number: usize) -> String {
        format!("rescan_seconds = 5\n{}", self.stored_as("validator", &format!("validator-{number}")))
    }

    /// The janitor's, which is also read for chores that are done by hand.
    pub fn janitor(&self) -> String {
        format!(
            "reap_seconds = 2\nreap_grace_seconds = 1\nsettle_seconds = 5\nseal_seconds = 3\nupload_idle_seconds = 60\n{}",
            self.stored("janitor")
        )
    }

    pub(crate) fn publisher(&self) -> String {
        let folder = self.repositories.display();
        format!(
            "repositories = '{folder}'\nsettle_milliseconds = 3000\nrescan_seconds = 5\n{}",
            self.stored("publisher")
        )
    }

    pub(crate) fn builder(&self, name: &str, ways: &[Way], real: bool) -> String {
        let hubs: Vec<String> = ways.iter().map(|way| format!("'http://{}/'", way.address)).collect();
        format!(
            "hub = [{}]\nname = '{name}'\ntoken_file = '{}'\ndata = '{}'\nslots = 1\ndrain_seconds = 2\n\
             [thresholds]\nload_per_processor = 0\n",
            hubs.join(", "),
            self.root.join("etc").join(name).display(),
            self.builders.join(if real { "real" } else { name }).display(),
        )
    }

    fn stored(&self, kind: &str) -> String {
        self.stored_as(kind, kind)
    }

    /// What all daemons have to know that use the store.
    fn stored_as(&self, kind: &str, name: &str) -> String {
        format!(
            "database = '{}'\nspool = '{}'\n[store]\nkind = 'folder'\npath = '{}'\n",
            self.database.url(&format!("farm_{kind}")),
            self.root.join("spool").join(name).display(),
            self.store.display()
        )
    }
}

fn http(listen: SocketAddr) -> String {
    format!("[http]\nlisten = '{listen}'\n")
}
