//! What a hub asks to decide whom to wake. All of it is a hint: the claim decides.

use std::time::Duration;

use diesel::{
    IntoSql as _, PgConnection, QueryableByName, RunQueryDsl,
    sql_types::{Array, BigInt, Bool, Integer, Text, Uuid as SqlUuid},
};
use farm_types::{BuilderId, Class, PlatformName, TaskId};
use serde::Deserialize;
use uuid::Uuid;

use crate::{DbError, Result, call::call};

/// Where a task stands in the order of its platform; the lowest is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Before all: its class.
    pub class: Class,
    /// Then its fair share.
    pub rank: i64,
    /// Then its age.
    pub task: TaskId,
}

/// A platform's tasks that are background, or those that are not: a builder may have room for the ones and not for the others. Together they
/// are one order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The platform.
    pub platform: PlatformName,
    /// Which of its tasks.
    pub background: bool,
}

impl Lane {
    /// Both lanes of a platform.
    pub fn of(platform: &PlatformName) -> [Self; 2] {
        [false, true].map(|background| Self { platform: platform.clone(), background })
    }
}

/// A task that can be claimed, or can be soon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReadyKey {
    /// Its platform.
    pub platform: PlatformName,
    /// Its class.
    pub class: Class,
    /// Its place within the class.
    pub rank: i64,
    /// The task.
    pub task: TaskId,
    /// How many slots it takes.
    pub weight: u16,
    /// Whether it leaves spare slots free.
    #[serde(default)]
    pub background: bool,
    /// In how long it can be claimed, by the database's clock; nothing: now.
    #[serde(rename = "due_in", deserialize_with = "milliseconds")]
    pub not_before_in: Duration,
    /// Builders that it went wrong on. They are not given it but when it has waited for others for two minutes.
    #[serde(default)]
    pub avoid: Vec<BuilderId>,
}

impl ReadyKey {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { class: self.class, rank: self.rank, task: self.task }
    }

    /// In which lane it stands.
    pub fn lane(&self) -> Lane {
        Lane { platform: self.platform.clone(), background: self.background }
    }
}

/// What a notification on [`Channel::Ready`](crate::Channel::Ready) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// This task came into the queue.
    Key(ReadyKey),
    /// Tasks of this platform can be claimed that could not: look.
    Look(PlatformName),
}

impl Ready {
    /// Reads the payload. Anybody with a way to the database may notify, so `None` is no reason to worry.
    pub fn heard(payload: &str) -> Option<Self> {
        match serde_json::from_str(payload) {
            Ok(key) => Some(Self::Key(key)),
            Err(_) => payload.parse().ok().map(Self::Look),
        }
    }
}

fn milliseconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// The first so many tasks of each of these lanes, in the order of service.
pub fn ready_keys(conn: &mut PgConnection, lanes: &[Lane], at_most_each: u32) -> Result<Vec<ReadyKey>> {
    // Before every task.
    let start = Place { class: Class::Urgent, rank: i64::MIN, task: TaskId(i64::MIN) };
    let after: Vec<_> = lanes.iter().map(|lane| (lane.clone(), start)).collect();
    ready_keys_after(conn, &after, at_most_each)
}

/// The next so many tasks of each lane after the place that comes with it. What was claimed before that place is not read, even
/// while an old snapshot keeps its rows.
pub fn ready_keys_after(conn: &mut PgConnection, after: &[(Lane, Place)], at_most_each: u32) -> Result<Vec<ReadyKey>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        platform: String,
        #[diesel(sql_type = Text)]
        class: String,
        #[diesel(sql_type = BigInt)]
        rank: i64,
        #[diesel(sql_type = BigInt)]
        task_id: i64,
        #[diesel(sql_type = Integer)]
        weight: i32,
        #[diesel(sql_type = Bool)]
        background: bool,
        #[diesel(sql_type = BigInt)]
        due_in: i64,
        #[diesel(sql_type = Array<Integer>)]
        avoid: Vec<i32>,
    }
    let arguments = (
        after.iter().map(|(lane, _)| lane.platform.as_str()).collect::<Vec<_>>().into_sql::<Array<Text>>(),
        after.iter().map(|(lane, _)| lane.background).collect::<Vec<_>>().into_sql::<Array<Bool>>(),
        after.iter().map(|(_, place)| place.class.as_str()).collect::<Vec<_>>().into_sql::<Array<Text>>(),
        after.iter().map(|(_, place)| place.rank).collect::<Vec<_>>().into_sql::<Array<BigInt>>(),
        after.iter().map(|(_, place)| place.task.0).collect::<Vec<_>>().into_sql::<Array<BigInt>>(),
        i32::try_from(at_most_each).unwrap_or(i32::MAX).into_sql::<Integer>(),
    );
    let rows: Vec<Row> = call("SELECT * FROM farm.lane_keys(", arguments, ")").load(conn)?;
    let key = |row: Row| {
        Ok(ReadyKey {
            platform: platform(row.platform)?,
            class: row.class.parse().map_err(|e| DbError::Data(format!("{e}")))?,
            rank: row.rank,
            task: TaskId(row.task_id),
            weight: u16::try_from(row.weight).unwrap_or(u16::MAX),
            background: row.background,
            not_before_in: Duration::from_millis(u64::try_from(row.due_in).unwrap_or_default()),
            avoid: row.avoid.into_iter().map(BuilderId).collect(),
        })
    };
    rows.into_iter().map(key).collect()
}

/// How a builder that waits for tasks stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The builder.
    pub builder: BuilderId,
    /// Whether the life that waits is the one that the builder leads now.
    pub alive: bool,
    /// The platforms whose tasks it is given now.
    pub platforms: Vec<PlatformName>,
    /// It keeps its slots for a heavy task: only [`claim`](super::claim) gives it something.
    pub saves_slots: bool,
    /// How many slots of it background tasks leave free.
    pub spare_slots: u32,
}

/// These lives of builders are there. Answers how each of them stands, in the same order.
pub fn presence(conn: &mut PgConnection, lives: &[(BuilderId, Uuid)]) -> Result<Vec<Presence>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        place: i32,
        #[diesel(sql_type = Bool)]
        alive: bool,
        #[diesel(sql_type = Array<Text>)]
        platforms: Vec<String>,
        #[diesel(sql_type = Bool)]
        saves_slots: bool,
        #[diesel(sql_type = Integer)]
        spare_slots: i32,
    }
    let arguments = (
        lives.iter().map(|(builder, _)| builder.0).collect::<Vec<_>>().into_sql::<Array<Integer>>(),
        lives.iter().map(|(_, instance)| *instance).collect::<Vec<_>>().into_sql::<Array<SqlUuid>>(),
    );
    let mut rows: Vec<Row> = call("SELECT * FROM farm.attendance(", arguments, ")").load(conn)?;
    rows.sort_by_key(|row| row.place);
    let stands = |(row, (builder, _)): (Row, &(BuilderId, Uuid))| {
        let platforms = row.platforms.into_iter().map(platform).collect::<Result<_>>()?;
        let spare_slots = u32::try_from(row.spare_slots).unwrap_or_default();
        Ok(Presence { builder: *builder, alive: row.alive, platforms, saves_slots: row.saves_slots, spare_slots })
    };
    rows.into_iter().zip(lives).map(stands).collect()
}

fn platform(name: String) -> Result<PlatformName> {
    PlatformName::try_from(name).map_err(|e| DbError::Data(e.to_string()))
}
