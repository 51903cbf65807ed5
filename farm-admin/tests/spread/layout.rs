//! Which hosts a farm that is spread over several has, and what runs on them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use farm_api::people::Job;
use farm_auth::Token;
use farm_db::{access, testing};
use farm_postgres::Options;
use farm_testing::{Cluster, Process, S3Running, S3Server, Spec, TestDb, eventually};
use farm_types::{Digest, JobId, Scope};
use tokio::sync::watch;

use crate::{
    builder::{Builder, Quick, gate},
    farm::{
        LEASE, PATIENCE, PLATFORM, Site, acknowledged, assert_all_built, bring, client, end_of, folder, recorded,
        submit, until,
    },
    network::{Host, Network},
};

/// All hosts, and what runs on them.
pub struct Spread {
    pub network: Network,
    pub people: Host,
    pub fronts: [Host; 2],
    pub builds: [Host; 2],
    pub hubs: [Process; 2],
    pub db: TestDb,
    pub site: Site,
    /// Where people call.
    pub url: String,
    pub token: String,
    pub gates: Arc<watch::Sender<bool>>,
    _builders: Vec<Builder>,
    _rest: Vec<Process>,
    _store: (S3Server, S3Running),
    _elsewhere: [Host; 3],
}

impl Spread {
    pub fn start() -> Self {
        let network = Network::new();
        let [database, store, balancer] =
            [("database", 2), ("store", 3), ("balancer", 4)].map(|(n, i)| network.host(n, i));
        let (people, fronts) = (network.host("people", 5), [network.host("front1", 11), network.host("front2", 12)]);
        let builds = [network.host("build1", 21), network.host("build2", 22)];

        let db = start_database(&database);
        let s3 = store.inside({
            let address = store.address.clone();
            move || {
                let server = S3Server::at(&address);
                let running = server.start();
                (server, running)
            }
        });
        let host = &database.address;
        let site = Site {
            database: format!("host={host} port=5432 dbname={} user=ROLE", db.name()),
            store: format!(
                "kind = 's3'\nendpoint = '{}'\nbucket = 'farm'\nprefix = 'spread'\nregion = 'us-east-1'\nallow_http = true\n\
                 access_key_file = '{}'\nsecret_key_file = '{}'",
                s3.0.endpoint(),
                s3.0.access_key_file().display(),
                s3.0.secret_key_file().display()
            ),
            http: "behind_proxy = true\nallow_plain_http_on_network = true",
            dir: folder(),
        };
        let mut rest = Vec::new();
        let hubs = [0, 1].map(|n| at(&fronts[n], &site, "hub", &hub_settings(), Some(8001)));
        for front in &fronts {
            rest.push(at(front, &site, "web", "", Some(8000)));
            rest.push(at(front, &site, "validator", "rescan_seconds = 5", None));
            rest.push(at(front, &site, "janitor", Site::JANITOR, None));
        }
        rest.push(start_balancer(&balancer, site.dir.path(), &fronts));

        let mut conn = db.connect();
        testing::platform(&mut conn, PLATFORM);
        let (gates, open) = gate(true);
        let hub = [format!("http://{}:8001/", balancer.address)];
        let builders = [("one", &builds[0]), ("two", &builds[1])].map(|(name, host)| {
            let config = toml::from_str(&site.builder(&mut conn, name, 2, &hub)).unwrap();
            let driver = Quick { takes: Duration::from_millis(100), gate: open.clone() };
            host.inside(move || Builder::start(config, driver))
        });
        let token = Token::generate();
        let new =
            access::NewToken { person: "alice", digest: &token.digest(), name: "test", scopes: Scope::ALL, days: 1 };
        farm_db::operator::put_person(&mut conn, &testing::operator(), "alice", true).unwrap();
        access::make_token(&mut conn, &testing::operator(), &new).unwrap();
        let url = format!("http://{}:8000/", balancer.address);
        let ready = format!("{url}readyz");
        people.run(async move || {
            eventually("the way through the balancer", PATIENCE, async || {
                reqwest::get(&ready).await.ok()?.error_for_status().ok()
            })
            .await;
        });
        Self {
            network,
            people,
            fronts,
            builds,
            hubs,
            db,
            site,
            url,
            token: token.expose(),
            gates,
            _builders: builders.into(),
            _rest: rest,
            _store: s3,
            _elsewhere: [database, store, balancer],
        }
    }

    pub fn client(&self) -> farm_api::client::PeopleClient {
        client(&self.url, Some(&self.token))
    }

    /// Hands in so many jobs through the balancer.
    pub fn submit(&self, name: &'static str, count: usize) -> (Digest, Vec<JobId>) {
        let people = self.client();
        self.people.run(async move || {
            let source = bring(&people, &Spec::named("quick").srpm()).await.unwrap();
            let mut jobs = Vec::new();
            for n in 0..count {
                jobs.push(submit(&people, source, &format!("{name}-{n}")).await);
            }
            (source, jobs)
        })
    }

    pub fn ends(&self, jobs: Vec<JobId>) -> Vec<Job> {
        let people = self.client();
        self.people.run(async move || {
            let mut ended = Vec::new();
            for job in jobs {
                ended.push(end_of(&people, job).await);
            }
            ended
        })
    }

    /// Waits until a query answers some text.
    pub fn until(&self, what: &str, sql: &str) -> String {
        let (what, sql, mut conn) = (what.to_owned(), sql.to_owned(), self.db.connect());
        self.people.run(async move || until(&mut conn, &what, &sql).await)
    }

    pub fn assert_sound(&self, jobs: &[Job]) {
        let mut conn = self.db.connect();
        assert_all_built(&mut conn, jobs);
        let recorded = recorded(&mut conn);
        for (attempt, outcome) in acknowledged(&[&self.hubs[0], &self.hubs[1]]) {
            assert_eq!(recorded.get(&attempt), Some(&outcome), "the end of attempt {attempt} was acknowledged");
        }
    }
}

fn hub_settings() -> String {
    format!("lease_seconds = {LEASE}\nrenew_seconds = 3\nrescan_seconds = 5")
}

/// Starts a daemon on a host.
fn at(host: &Host, site: &Site, name: &str, own: &str, port: Option<u16>) -> Process {
    let config = site.config(name, own, port.map(|port| format!("{}:{port}", host.address)).as_deref());
    let name = format!("farm-{name}");
    host.inside(move || Process::daemon(&name, &config))
}

/// PostgreSQL, which the other hosts reach by TCP.
fn start_database(host: &Host) -> TestDb {
    let address = host.address.clone();
    host.inside(move || {
        let options = Options { temporary: true, ..Options::persistent() };
        let cluster = Cluster::with(options.set("listen_addresses", &address));
        let rules = cluster.dir().join("data/pg_hba.conf");
        let mut text = fs_err::read_to_string(&rules).unwrap();
        text += "host all all 10.77.0.0/24 trust\n";
        fs_err::write(&rules, text).unwrap();
        cluster.try_execute("SELECT pg_reload_conf()").unwrap();
        cluster.database()
    })
}

/// The balancer, with the configuration that operators begin with.
fn start_balancer(host: &Host, dir: &Path, fronts: &[Host; 2]) -> Process {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/balancer/haproxy.cfg");
    let mut text = String::new();
    for line in fs_err::read_to_string(example).unwrap().lines() {
        // There are no certificates here, and no names.
        let line = line
            .split(" ssl ")
            .next()
            .unwrap()
            .replace("bind :443", "bind :8000")
            .replace(".example.org:443", ".example.org:8000")
            // Each takes two descriptors, of which a test may not have that many.
            .replace("maxconn 20000", "maxconn 500");
        text += &(1..=2).fold(line, |line, n| {
            let address = &fronts[n - 1].address;
            line.replace(&format!("web{n}.example.org"), address).replace(&format!("hub{n}.example.org"), address)
        });
        text += "\n";
    }
    assert!(!text.contains("example.org:"), "{text}");
    let file: PathBuf = dir.join("haproxy.cfg");
    fs_err::write(&file, text).unwrap();
    host.inside(move || {
        // It ends with this host, also when the tests are killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "haproxy", "-db", "-f"]).arg(file);
        Process::start("haproxy", command)
    })
}
