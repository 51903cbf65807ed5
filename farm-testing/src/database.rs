//! A database per test.

use std::sync::Arc;

use diesel::{Connection as _, PgConnection};

use crate::{Cluster, cluster};

/// A database of the farm that belongs to one test. It goes when this is dropped, with whoever is still connected.
///
/// The server lets anyone be any role; what a role may do there is as in production.
#[derive(Debug)]
pub struct TestDb {
    cluster: Arc<Cluster>,
    name: String,
}

impl TestDb {
    /// A database with the migrations applied, on the server that the tests of this process share.
    #[expect(clippy::new_without_default, reason = "it makes something; a default is for values")]
    pub fn new() -> Self {
        Cluster::shared().database()
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    pub fn empty() -> Self {
        Cluster::shared().empty_database()
    }

    pub(crate) fn on(cluster: Arc<Cluster>, name: String) -> Self {
        Self { cluster, name }
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// How to connect with all rights.
    pub fn url(&self) -> String {
        self.cluster.superuser_url(&self.name)
    }

    /// How to connect as a role, as in `farm_hub`.
    pub fn url_as(&self, role: &str) -> String {
        self.cluster.url(role, &self.name)
    }

    /// How to connect as a role with a ticket, by TCP. Only on a server [with a realm](Cluster::with_realm), and only for a process
    /// whose environment says where the ticket is.
    pub fn gss_conninfo(&self, role: &str) -> String {
        self.cluster
            .gss_conninfo(role, &self.name)
            .unwrap_or_else(|| panic!("the server has no realm: Cluster::with_realm"))
    }

    /// A connection with all rights.
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).unwrap()
    }

    /// A connection as a role.
    pub fn connect_as(&self, role: &str) -> PgConnection {
        PgConnection::establish(&self.url_as(role)).unwrap()
    }

    /// Applies the migrations that it does not have yet.
    pub fn migrate(&self) {
        cluster::migrate(&self.url());
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // A server that the test stopped takes its databases along.
        let _ = self.cluster.try_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
