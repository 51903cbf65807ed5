//! A private Kerberos realm.

mod kdc;
mod tools;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use kdc::Kdc;

/// How long a ticket is good for unless a test says otherwise.
const LIFETIME: Duration = Duration::from_secs(3600);

static SHARED: LazyLock<Arc<Realm>> = LazyLock::new(|| Arc::new(Realm::start()));

/// A Kerberos realm of its own: a KDC on an address of the loopback network that nobody else uses, with its principals.
/// It needs no root, is made in a tenth of a second, and is gone with the test process, even one that is killed.
///
/// The library reads where realm, tickets and keys are from the environment, which belongs to a whole process: so what
/// logs in or is logged in to is a child process with [`Realm::env`] and what [`Realm::ticket`], [`Realm::keytab`] or
/// [`Realm::client_keytab`] add to it. A test that cannot be two processes becomes one: [`crate::in_environment`].
#[derive(Debug)]
pub struct Realm {
    kdc: Kdc,
    /// The keytab of each principal.
    keytabs: Mutex<HashMap<String, PathBuf>>,
    caches: AtomicU32,
}

impl Realm {
    /// The one that the tests of this process share. What would disturb the others takes a realm of its own.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    /// The realm `FARM.TEST`, without principals, in which the host `localhost` is.
    pub fn start() -> Self {
        Self::named("FARM.TEST")
    }

    /// The same under another name.
    pub fn named(name: &str) -> Self {
        Self { kdc: Kdc::start(name), keytabs: Mutex::default(), caches: AtomicU32::new(1) }
    }

    /// The name of the realm, as in `FARM.TEST`.
    pub fn name(&self) -> &str {
        &self.kdc.realm
    }

    /// Makes a principal of a daemon, as in `HTTP/localhost` or `builder/host1`, unless it is there, and gives the keytab
    /// with its key.
    pub fn add_service(&self, principal: &str) -> PathBuf {
        let mut keytabs = self.keytabs();
        if let Some(keytab) = keytabs.get(principal) {
            return keytab.clone();
        }
        let keytab = self.kdc.dir.join(format!("{}.keytab", principal.replace('/', "_")));
        self.kdc.administer(&["addprinc", "-randkey", principal]);
        self.kdc.add_key(principal, &keytab);
        keytabs.insert(principal.to_owned(), keytab.clone());
        keytab
    }

    /// Makes a person, as in `alice`, unless she is there.
    pub fn add_person(&self, name: &str) {
        self.add_service(name);
    }

    /// Gets a ticket for a principal that was added, as in `alice`, and gives the file it is in: a new one each time.
    pub fn kinit(&self, principal: &str) -> PathBuf {
        self.kinit_for(principal, LIFETIME)
    }

    /// The same for a while, as a rule a short one.
    pub fn kinit_for(&self, principal: &str, lifetime: Duration) -> PathBuf {
        let keytab = self.keytab_of(principal);
        let cache = self.kdc.dir.join(format!("ticket-{}", self.caches.fetch_add(1, Ordering::Relaxed)));
        self.kdc.kinit(principal, &keytab, &cache, lifetime);
        cache
    }

    /// Gives a principal a new key. It is added to its keytab, where the old one stays for the tickets that are about.
    pub fn rotate(&self, principal: &str) {
        self.kdc.add_key(principal, &self.keytab_of(principal));
    }

    /// Gives a principal a new key that its keytab lacks, as when somebody forgot to install it.
    pub fn outdate(&self, principal: &str) {
        self.kdc.administer(&["cpw", "-randkey", principal]);
    }

    /// Disables a principal: it gets no more tickets, and nobody gets one for it.
    pub fn disable(&self, principal: &str) {
        self.kdc.administer(&["modprinc", "-allow_tix", principal]);
    }

    /// Lets a disabled principal have tickets again.
    pub fn enable(&self, principal: &str) {
        self.kdc.administer(&["modprinc", "+allow_tix", principal]);
    }

    /// Lets a principal have tickets for so long at the most, its own and those that others get for it.
    pub fn limit(&self, principal: &str, lifetime: Duration) {
        self.kdc.administer(&["modprinc", "-maxlife", &format!("{} seconds", lifetime.as_secs()), principal]);
    }

    /// Stops the KDC for good. Tickets and keys stay as they are.
    pub fn stop(&self) {
        self.kdc.stop();
    }

    /// How often the KDC has given somebody a ticket for a keytab or a password: logins, as opposed to uses of a ticket.
    pub fn logins(&self) -> usize {
        self.kdc.log().iter().filter(|line| line.contains("AS_REQ") && line.contains("ISSUE")).count()
    }

    /// The same of one principal.
    pub fn logins_of(&self, principal: &str) -> usize {
        let asked = format!(" {principal}@{} for ", self.name());
        let is_login = |line: &&String| line.contains("AS_REQ") && line.contains("ISSUE") && line.contains(&asked);
        self.kdc.log().iter().filter(is_login).count()
    }

    /// The environment of a process in this realm that has neither ticket nor key.
    pub fn env(&self) -> Vec<(String, String)> {
        self.env_with(&self.kdc.config())
    }

    /// The same for a process that knows the way to another realm too, as it would by DNS. There `localhost` is in the other.
    pub fn env_knowing(&self, other: &Self) -> Vec<(String, String)> {
        self.env_with(&self.kdc.config_knowing(&other.kdc))
    }

    /// The environment variable of a process that has this ticket.
    pub fn ticket(cache: &Path) -> (String, String) {
        ("KRB5CCNAME".to_owned(), file(cache))
    }

    /// The environment variable of a server that accepts tickets with this keytab.
    pub fn keytab(keytab: &Path) -> (String, String) {
        ("KRB5_KTNAME".to_owned(), file(keytab))
    }

    /// The environment variable of a daemon that gets tickets by itself with this keytab.
    pub fn client_keytab(keytab: &Path) -> (String, String) {
        ("KRB5_CLIENT_KTNAME".to_owned(), file(keytab))
    }

    /// The configuration of the library, `krb5.conf`.
    pub fn config(&self) -> PathBuf {
        self.kdc.config()
    }

    /// Where everything of this realm is.
    pub fn dir(&self) -> &Path {
        &self.kdc.dir
    }

    /// What is not said is said to be nowhere, or the library would look in the places of this machine.
    fn env_with(&self, config: &Path) -> Vec<(String, String)> {
        let nothing = self.kdc.dir.join("nothing");
        vec![
            ("KRB5_CONFIG".to_owned(), config.display().to_string()),
            ("KRB5RCACHEDIR".to_owned(), self.kdc.dir.display().to_string()),
            Self::ticket(&nothing),
            Self::keytab(&nothing),
            Self::client_keytab(&nothing),
        ]
    }

    fn keytab_of(&self, principal: &str) -> PathBuf {
        let keytab = self.keytabs().get(principal).cloned();
        keytab.unwrap_or_else(|| panic!("the realm {} has no {principal}: add it first", self.name()))
    }

    fn keytabs(&self) -> MutexGuard<'_, HashMap<String, PathBuf>> {
        self.keytabs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(path: &Path) -> String {
    format!("FILE:{}", path.display())
}
