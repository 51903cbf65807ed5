//! The whole farm: its parts, and the ways between them.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use farm_api::{client::PeopleClient, client::Transport, recipe::Recipe as Platform};
use farm_auth::Token;
use farm_db::{
    Actor,
    access::{self, NewToken},
    operator::{self, NewBuilder},
};
use farm_types::{BuilderState, PlatformName, Scope};
use futures::future::try_join_all;

use crate::{
    clock::Clock,
    configs::Configs,
    contained::Containment,
    database::Database,
    disk::Disk,
    network::Host,
    settings::Settings,
    unit::{Recipe, Unit},
    way::{Acknowledged, Way},
};

/// Where nothing is really built.
pub const SEEMING: [&str; 2] = ["one-x86_64", "two-x86_64"];
/// Where it is.
pub const REAL: &str = "mini12-x86_64";
/// How long a lease lasts, in seconds.
pub const LEASE: u32 = 15;

/// A builder, and what is about it.
#[derive(Debug)]
pub struct Builder {
    /// Its daemon.
    pub unit: Unit,
    /// Its ways to the hubs.
    pub ways: Vec<Way>,
    /// Its clock, where clocks can be wrong.
    pub clock: Option<Clock>,
    /// Its host, where it has one of its own.
    pub host: Option<Host>,
}

/// The farm.
#[derive(Debug)]
pub struct Farm {
    /// Where everything is.
    pub root: PathBuf,
    /// Its database.
    pub database: Database,
    /// The disk of its store, where it has one of its own.
    pub disk: Option<Disk>,
    /// Its daemons, without the builders.
    pub daemons: Vec<Unit>,
    /// Its builders.
    pub builders: Vec<Builder>,
    /// The ways of people to the webs.
    pub webs: Vec<Way>,
    /// What builders know to be in the farm of their logs.
    pub acknowledged: Acknowledged,
    /// How the daemons are configured.
    pub configs: Configs,
}

impl Farm {
    /// Starts everything.
    pub async fn start(root: &Path, settings: &Settings, contained: Containment) -> anyhow::Result<Self> {
        fs_err::set_permissions(root, std::fs::Permissions::from_mode(0o711))?;
        let database = Database::start(&root.join("postgres"))?;
        let configs = Configs::new(root, &database)?;
        let disk = contained.is_root().then(|| Disk::mount(&configs.store)).transpose()?;
        prepare(&database, settings)?;
        let acknowledged = Acknowledged::default();
        let mut farm = Self {
            root: root.to_owned(),
            disk,
            daemons: Vec::new(),
            builders: Vec::new(),
            webs: Vec::new(),
            acknowledged,
            configs,
            database,
        };
        let hubs = farm.start_daemons().await?;
        for number in 0..settings.builders {
            let on_host = contained.is_root() && number < settings.hosts;
            farm.start_builder(&format!("b{number}"), &hubs, on_host, false).await?;
        }
        for number in 0..settings.real_builders {
            farm.start_builder(&format!("r{number}"), &hubs, false, true).await?;
        }
        try_join_all(farm.units().map(Unit::until_ready)).await?;
        Ok(farm)
    }

    /// All daemons.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.daemons.iter().chain(self.builders.iter().map(|builder| &builder.unit))
    }

    /// All ways.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.webs.iter().chain(self.builders.iter().flat_map(|builder| &builder.ways))
    }

    /// Has tasks given to builders, or not.
    pub fn set_builders(&self, state: BuilderState) -> anyhow::Result<()> {
        let conn = &mut self.database.connect()?;
        for builder in &self.builders {
            operator::set_builder_state(conn, &us(), &builder.unit.name().parse()?, state, None)?;
        }
        Ok(())
    }

    /// A client of each web, who comes with that token.
    pub fn clients(&self, token: &Token) -> anyhow::Result<Vec<PeopleClient>> {
        let client = |way: &Way| {
            let transport = Transport::new(&format!("http://{}/", way.address), "chaos")?;
            Ok(PeopleClient::new(transport.with_token(&token.expose())?))
        };
        self.webs.iter().map(client).collect()
    }

    /// A new person with a token.
    pub fn person(&self, name: &str) -> anyhow::Result<Token> {
        let (conn, token) = (&mut self.database.connect()?, Token::generate());
        operator::put_person(conn, &us(), name, true)?;
        let (person, digest, scopes) = (name, &token.digest(), &[Scope::Read, Scope::Submit, Scope::Cancel]);
        access::make_token(conn, &us(), &NewToken { person, digest, name: "chaos", scopes, days: 1 })?;
        Ok(token)
    }

    /// Ends everything in good order: builders first, while there is somebody to give their tasks back to.
    pub async fn end(&self) -> anyhow::Result<()> {
        try_join_all(self.builders.iter().map(|builder| builder.unit.end())).await?;
        try_join_all(self.daemons.iter().map(Unit::end)).await?;
        Ok(())
    }

    async fn start_daemons(&mut self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut hubs = Vec::new();
        for number in 1..=2 {
            let (web, hub) = (free_address()?, free_address()?);
            self.start_daemon("web", number, &self.configs.web(web))?;
            self.start_daemon("hub", number, &self.configs.hub(hub))?;
            self.start_daemon("validator", number, &self.configs.validator(number))?;
            self.webs.push(Way::open("127.0.0.1", web, &self.acknowledged).await?);
            hubs.push(hub);
        }
        self.start_daemon("janitor", 1, &self.configs.janitor())?;
        self.start_daemon("publisher", 1, &self.configs.publisher())?;
        Ok(hubs)
    }

    fn start_daemon(&mut self, kind: &str, number: usize, config: &str) -> anyhow::Result<()> {
        let program = format!("farm-{kind}");
        let recipe = self.recipe(&format!("{kind}-{number}"), farm_testing::program(&program, &program), config)?;
        self.daemons.push(Unit::start(recipe));
        Ok(())
    }

    async fn start_builder(
        &mut self,
        name: &str,
        hubs: &[SocketAddr],
        on_host: bool,
        real: bool,
    ) -> anyhow::Result<()> {
        let number = u8::try_from(self.builders.len())?;
        let host = on_host.then(|| Host::new(number)).transpose()?;
        let from = host.as_ref().map_or_else(|| "127.0.0.1".to_owned(), Host::our_address);
        let mut ways = Vec::new();
        // Not all of them call the same hub first.
        for hub in hubs.iter().cycle().skip(usize::from(number)).take(hubs.len()) {
            ways.push(Way::open(&from, *hub, &self.acknowledged).await?);
        }
        let (token, token_file) = (Token::generate(), self.root.join("etc").join(name));
        fs_err::write(&token_file, token.expose())?;
        fs_err::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600))?;
        let platforms = if real { vec![REAL.parse()?] } else { seeming()? };
        let new = NewBuilder { token: Some(token.digest()), platforms: Some(&platforms), ..NewBuilder::default() };
        operator::put_builder(&mut self.database.connect()?, &us(), &name.parse()?, &new)?;

        let clock = if real { None } else { Clock::new(self.root.join("etc").join(format!("{name}.clock")))? };
        let program = match real {
            true => farm_testing::program("farm-builder", "farm-builder"),
            false => farm_testing::program("farm-chaos", "chaos-builder"),
        };
        let recipe = self.recipe(name, program, &self.configs.builder(name, &ways, real))?;
        let unit = Unit::start(Recipe {
            within: host.as_ref().map(Host::within).unwrap_or_default(),
            env: clock.as_ref().map(Clock::environment).unwrap_or_default(),
            ..recipe
        });
        self.builders.push(Builder { unit, ways, clock, host });
        Ok(())
    }

    fn recipe(&self, name: &str, program: PathBuf, config: &str) -> anyhow::Result<Recipe> {
        let file = self.root.join("etc").join(format!("{name}.toml"));
        fs_err::write(&file, config)?;
        let log = self.root.join("log").join(format!("{name}.log"));
        Ok(Recipe { name: name.to_owned(), program, config: file, within: Vec::new(), env: Vec::new(), log })
    }
}

/// Who does what an operator does.
pub fn us() -> Actor {
    Actor::operator("chaos")
}

fn seeming() -> anyhow::Result<Vec<PlatformName>> {
    Ok(SEEMING.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

/// Platforms, and no limit to what a person may have waiting.
fn prepare(database: &Database, settings: &Settings) -> anyhow::Result<()> {
    let conn = &mut database.connect()?;
    for name in seeming()? {
        let recipe = serde_json::json!({ "name": name, "release": name.release(), "arch": name.arch(), "base": ["bash"],
            "repository": [{ "name": "base", "baseurl": "file:///nowhere", "gpgcheck": false }] });
        operator::put_platform(conn, &us(), &serde_json::from_value::<Platform>(recipe)?)?;
    }
    if settings.real_builders > 0 {
        let text = fs_err::read_to_string(farm_testing::platform("mini12"))?;
        operator::put_platform(conn, &us(), &toml::from_str::<Platform>(&text)?)?;
    }
    let limits = farm_api::access::Limits { jobs_waiting: Some(1_000_000), ..operator::limits(conn)? };
    operator::put_limits(conn, &us(), None, &limits)?;
    Ok(())
}

/// An address that nobody listens on at the moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    Ok(listener.local_addr()?)
}
