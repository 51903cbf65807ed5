//! What can happen to a farm, and how it is made to happen.

use std::time::{Duration, SystemTime};

use farm_postgres::Shutdown;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::time::sleep;

use crate::{
    farm::{Builder, Farm, LEASE},
    unit::Unit,
    way::{Mode, Way},
};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A daemon is killed (SIGKILL).
    Killed,
    /// A daemon is stopped where it stands, and goes on later (SIGSTOP, SIGCONT).
    Paused,
    /// PostgreSQL's first process is killed.
    DatabaseKilled,
    /// PostgreSQL is restarted in good order.
    DatabaseRestarted,
    /// All of PostgreSQL is stopped where it stands, and goes on later.
    DatabasePaused,
    /// PostgreSQL stands still three quarters of the time.
    DatabaseSlow,
    /// Most connections to the database are cut.
    ConnectionsCut,
    /// The ways between a builder and all hubs are cut.
    WayCut,
    /// All that goes between a builder and the hubs takes longer.
    WaySlow,
    /// What a builder sends does not arrive, or what it is answered does not.
    WayOneWay,
    /// Answers get lost, of the hubs to a builder or of a web to people.
    AnswersLost,
    /// Requests arrive twice.
    RequestsDoubled,
    /// The cable of a builder's host is pulled out.
    CableOut,
    /// The host of a builder is heard, and hears nothing.
    HostDeaf,
    /// All that goes to the host of a builder takes longer.
    HostSlow,
    /// There is not a byte left in the store.
    StoreFull,
    /// Nothing can be written to the store.
    StoreReadOnly,
    /// Each opening of a file in the store takes its time.
    StoreSlow,
    /// The clock of a builder jumps by hours.
    ClockWrong,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Killed,
        Self::Paused,
        Self::DatabaseKilled,
        Self::DatabaseRestarted,
        Self::DatabasePaused,
        Self::DatabaseSlow,
        Self::ConnectionsCut,
        Self::WayCut,
        Self::WaySlow,
        Self::WayOneWay,
        Self::AnswersLost,
        Self::RequestsDoubled,
        Self::CableOut,
        Self::HostDeaf,
        Self::HostSlow,
        Self::StoreFull,
        Self::StoreReadOnly,
        Self::StoreSlow,
        Self::ClockWrong,
    ];

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Killed => "daemon killed",
            Self::Paused => "daemon paused",
            Self::DatabaseKilled => "database killed",
            Self::DatabaseRestarted => "database restarted",
            Self::DatabasePaused => "database paused",
            Self::DatabaseSlow => "database slow",
            Self::ConnectionsCut => "database connections cut",
            Self::WayCut => "way to the hubs cut",
            Self::WaySlow => "way to the hubs slow",
            Self::WayOneWay => "way to the hubs one-way",
            Self::AnswersLost => "answers lost",
            Self::RequestsDoubled => "requests doubled",
            Self::CableOut => "network: cable out",
            Self::HostDeaf => "network: one-way",
            Self::HostSlow => "network: slow",
            Self::StoreFull => "store full",
            Self::StoreReadOnly => "store read-only",
            Self::StoreSlow => "store slow",
            Self::ClockWrong => "clock off by hours",
        }
    }

    /// What has to be there for it, where that is not there.
    pub fn lacks(self, farm: &Farm) -> Option<&'static str> {
        let builders = &farm.builders;
        let no_hosts = || builders.iter().all(|builder| builder.host.is_none());
        match self {
            Self::StoreFull | Self::StoreReadOnly | Self::StoreSlow if farm.disk.is_none() => Some("root"),
            Self::CableOut | Self::HostDeaf | Self::HostSlow if no_hosts() => Some("root"),
            Self::HostSlow if builders.iter().flat_map(|builder| &builder.host).any(|host| !host.can_be_slow()) => {
                Some("sch_netem")
            }
            Self::ClockWrong if builders.iter().all(|builder| builder.clock.is_none()) => Some("libfaketime"),
            _ => None,
        }
    }
}

/// A fault that is about to happen.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its kind.
    pub kind: Kind,
    /// What it happens to. One thing happens to each at a time.
    pub target: Target,
    /// How long it lasts.
    pub time: Duration,
    /// How much of it, where that can be told.
    pub amount: u32,
}

/// What a fault happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The database.
    Database,
    /// The disk of the store.
    Store,
    /// A daemon that is no builder, by its place.
    Daemon(usize),
    /// A builder, its host and its ways.
    Builder(usize),
    /// The way to a web.
    Web(usize),
}

/// A fault that happened.
#[derive(Debug, Clone)]
pub struct Strike {
    /// What it was.
    pub plan: Plan,
    /// To whom: a name.
    pub whom: String,
    /// When it began.
    pub began: SystemTime,
    /// When it was over.
    pub ended: SystemTime,
}

impl Strike {
    /// Whether a builder of that name may have lost for it what it was at in this time. It is known a lease's time later, and what comes
    /// twice or bears a wrong time is no reason.
    pub fn excuses(&self, builder: &str, began: SystemTime, ended: SystemTime) -> bool {
        let is_reason = !matches!(self.plan.kind, Kind::ClockWrong | Kind::RequestsDoubled);
        is_reason
            && self.whom == builder
            && self.began <= ended
            && began <= self.ended + 2 * Duration::from_secs(LEASE.into())
    }
}

impl Plan {
    /// Draws one of a kind.
    pub fn draw(kind: Kind, farm: &Farm, rng: &mut StdRng) -> Option<Self> {
        let of_builders = |is: &dyn Fn(&Builder) -> bool| -> Vec<Target> {
            farm.builders.iter().enumerate().filter(|(_, b)| is(b)).map(|(n, _)| Target::Builder(n)).collect()
        };
        let daemons = || (0..farm.daemons.len()).map(Target::Daemon);
        let targets = match kind {
            // As many builders as others: there are far more of them.
            Kind::Killed | Kind::Paused if rng.random_bool(0.5) => daemons().collect(),
            Kind::Killed | Kind::Paused | Kind::WayCut | Kind::WaySlow | Kind::WayOneWay => of_builders(&|_| true),
            Kind::AnswersLost | Kind::RequestsDoubled if rng.random_bool(0.3) => {
                (0..farm.webs.len()).map(Target::Web).collect()
            }
            Kind::AnswersLost | Kind::RequestsDoubled => of_builders(&|_| true),
            Kind::CableOut | Kind::HostDeaf | Kind::HostSlow => of_builders(&|builder| builder.host.is_some()),
            Kind::ClockWrong => of_builders(&|builder| builder.clock.is_some()),
            Kind::StoreFull | Kind::StoreReadOnly | Kind::StoreSlow => vec![Target::Store],
            Kind::DatabaseKilled
            | Kind::DatabaseRestarted
            | Kind::DatabasePaused
            | Kind::DatabaseSlow
            | Kind::ConnectionsCut => {
                vec![Target::Database]
            }
        };
        // Most of what happens is over before a lease is; some is not. (Nobody builds without a store, so that would only take time.)
        let long = !matches!(targets.first(), Some(Target::Store)) && rng.random_bool(0.25);
        let seconds = if long { f64::from(LEASE + 6) } else { rng.random_range(1.0..6.0) };
        let target = targets.choose(rng).copied()?;
        Some(Self { kind, target, time: Duration::from_secs_f64(seconds), amount: rng.random_range(1..=4) })
    }

    /// Makes it happen, and makes good again what it did. `None`: the moment for it did not come.
    pub async fn strike(self, farm: &Farm) -> anyhow::Result<Option<Strike>> {
        let began = SystemTime::now();
        let did = match self.target {
            Target::Database => self.strike_database(farm).await.map(|()| true),
            Target::Store => self.strike_store(farm).await,
            Target::Daemon(n) => self.strike_unit(&farm.daemons[n]).await.map(|()| true),
            Target::Builder(n) => self.strike_builder(&farm.builders[n]).await.map(|()| true),
            Target::Web(n) => self.play_tricks(std::slice::from_ref(&farm.webs[n])).await.map(|()| true),
        };
        let whom = match self.target {
            Target::Database => "the database".to_owned(),
            Target::Store => "the store".to_owned(),
            Target::Daemon(n) => farm.daemons[n].name().to_owned(),
            Target::Builder(n) => farm.builders[n].unit.name().to_owned(),
            Target::Web(n) => format!("the way to web-{}", n + 1),
        };
        Ok(did?.then(|| Strike { plan: self, whom, began, ended: SystemTime::now() }))
    }

    async fn strike_database(&self, farm: &Farm) -> anyhow::Result<()> {
        match self.kind {
            Kind::DatabaseKilled => farm.database.crash().await,
            Kind::DatabaseRestarted => farm.database.restart(Shutdown::Orderly).await,
            Kind::DatabasePaused => farm.database.pause(self.time).await,
            Kind::DatabaseSlow => farm.database.slow_down(self.time).await,
            _ => farm.database.cut_connections().await,
        }
    }

    async fn strike_store(&self, farm: &Farm) -> anyhow::Result<bool> {
        let Some(disk) = &farm.disk else { return Ok(false) };
        match self.kind {
            Kind::StoreFull => disk.be_full(self.time).await.map(|()| true),
            Kind::StoreReadOnly => disk.be_read_only(self.time).await,
            _ => disk.be_slow(self.time).await.map(|()| true),
        }
    }

    async fn strike_unit(&self, unit: &Unit) -> anyhow::Result<()> {
        if self.kind == Kind::Killed {
            unit.kill();
        } else {
            unit.pause();
            sleep(self.time).await;
            unit.resume();
        }
        Ok(())
    }

    async fn strike_builder(&self, builder: &Builder) -> anyhow::Result<()> {
        match (self.kind, &builder.host, &builder.clock) {
            (Kind::Killed | Kind::Paused, ..) => return self.strike_unit(&builder.unit).await,
            (Kind::WayCut, ..) => self.ways_are(&builder.ways, Mode::Cut).await,
            (Kind::WaySlow, ..) => {
                self.ways_are(&builder.ways, Mode::Slow(Duration::from_millis(300 * u64::from(self.amount)))).await;
            }
            (Kind::WayOneWay, ..) => {
                let up = self.amount.is_multiple_of(2);
                self.ways_are(&builder.ways, Mode::Held { up, down: !up }).await;
            }
            (Kind::AnswersLost | Kind::RequestsDoubled, ..) => return self.play_tricks(&builder.ways).await,
            (Kind::CableOut, Some(host), _) => {
                host.plug(false)?;
                sleep(self.time).await;
                host.plug(true)?;
            }
            (Kind::HostDeaf, Some(host), _) => {
                host.deafen(true)?;
                sleep(self.time).await;
                host.deafen(false)?;
            }
            (Kind::HostSlow, Some(host), _) => {
                host.slow_down(Some(Duration::from_millis(300 * u64::from(self.amount))))?;
                sleep(self.time).await;
                host.slow_down(None)?;
            }
            // It stays wrong: until it is another time that is.
            (Kind::ClockWrong, _, Some(clock)) => clock.set(i32::try_from(self.amount)? * 7 - 17)?,
            _ => {}
        }
        Ok(())
    }

    async fn ways_are(&self, ways: &[Way], mode: Mode) {
        ways.iter().for_each(|way| way.set(mode));
        sleep(self.time).await;
        ways.iter().for_each(|way| way.set(Mode::Open));
    }

    async fn play_tricks(&self, ways: &[Way]) -> anyhow::Result<()> {
        let play = |number| match self.kind {
            Kind::AnswersLost => ways.iter().for_each(|way| way.lose_answers(number)),
            _ => ways.iter().for_each(|way| way.double_requests(number)),
        };
        play(self.amount);
        sleep(self.time).await;
        play(0);
        Ok(())
    }
}
