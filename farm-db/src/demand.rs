//! What waits for each platform, and the slots there are for it: for whoever starts and stops builders.

use std::collections::HashMap;

use diesel::{PgConnection, sql_query, sql_types::Integer};
use farm_types::PlatformName;
use serde::Deserialize;

use crate::{DbError, Result, document::document};

/// Tasks of a line that are counted. Whoever has more waiting needs all the builders there are.
const MOST: i32 = 100_000;

/// What waits, and who is there to build it. Times are slots times milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub struct Demand {
    /// By platform.
    pub platforms: Vec<PlatformDemand>,
    builders: Vec<Supply>,
}

/// What waits for a platform.
#[derive(Debug, Clone, Deserialize)]
pub struct PlatformDemand {
    /// Which one.
    pub name: PlatformName,
    /// Tasks in the urgent line; 100,000 are that or more.
    pub urgent: u32,
    /// Tasks in the line of normal and background ones, counted likewise.
    pub normal: u32,
    /// For how long the oldest of them could have been claimed; `None` if none waits.
    pub oldest_seconds: Option<u64>,
    /// Slots that its builds have.
    pub used: u32,
    ready_cost: u64,
    running_cost: u64,
}

/// A builder that is there and may take tasks.
#[derive(Debug, Clone, Deserialize)]
struct Supply {
    slots: u32,
    used: u32,
    serves: Vec<PlatformName>,
}

/// Asks for it.
pub fn demand(conn: &mut PgConnection) -> Result<Demand> {
    document(conn, sql_query("SELECT farm.demand($1) AS document").bind::<Integer, _>(MOST))?
        .ok_or_else(|| DbError::Data("the database does not say what waits".to_owned()))
}

impl PlatformDemand {
    /// Tasks that wait.
    pub fn ready(&self) -> u32 {
        self.urgent + self.normal
    }

    fn work(&self) -> f64 {
        seconds(self.ready_cost) + seconds(self.running_cost)
    }
}

impl Demand {
    /// Slots that are free at builders that serve the platform, and maybe others.
    pub fn free(&self, platform: &PlatformName) -> u32 {
        self.serving(platform).map(|builder| builder.slots.saturating_sub(builder.used)).sum()
    }

    /// How long it takes, in seconds, until all that waits for a platform now has begun, if builds take what they took before. A builder
    /// divides its slots as work is divided among what it serves. Where there is no builder, as if there were one slot.
    pub fn expected_wait(&self, platform: &PlatformDemand) -> f64 {
        if platform.ready() == 0 {
            return 0.0;
        }
        let work: HashMap<_, _> = self.platforms.iter().map(|one| (&one.name, one.work())).collect();
        let part = |builder: &Supply| {
            let all: f64 = builder.serves.iter().filter_map(|name| work.get(name)).sum();
            f64::from(builder.slots) * if all > 0.0 { platform.work() / all } else { 1.0 }
        };
        let slots: f64 = self.serving(&platform.name).map(part).sum();
        platform.work() / if slots > 0.0 { slots } else { 1.0 }
    }

    fn serving<'a>(&'a self, platform: &'a PlatformName) -> impl Iterator<Item = &'a Supply> {
        self.builders.iter().filter(|builder| builder.serves.contains(platform))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time that is expected")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(name: &str, ready: u32, ready_seconds: u64, running_seconds: u64) -> serde_json::Value {
        json!({ "name": name, "urgent": 0, "normal": ready, "oldest_seconds": 1, "used": 1,
            "ready_cost": ready_seconds * 1000, "running_cost": running_seconds * 1000 })
    }

    fn waits(platforms: serde_json::Value, builders: serde_json::Value) -> Vec<f64> {
        let demand: Demand = serde_json::from_value(json!({ "platforms": platforms, "builders": builders })).unwrap();
        demand.platforms.iter().map(|platform| demand.expected_wait(platform)).collect()
    }

    #[test]
    fn what_waits_is_begun_when_the_slots_have_got_through_all_the_work() {
        let builder = json!({ "slots": 2, "used": 2, "serves": ["a-x86_64"] });
        assert_eq!(waits(json!([platform("a-x86_64", 3, 300, 100)]), json!([builder])), [200.0]);
        assert_eq!(waits(json!([platform("a-x86_64", 0, 0, 100)]), json!([builder])), [0.0]);
    }

    #[test]
    fn platforms_that_share_builders_wait_for_each_others_work() {
        let both = json!({ "slots": 4, "used": 4, "serves": ["a-x86_64", "b-x86_64"] });
        let platforms = json!([platform("a-x86_64", 1, 300, 0), platform("b-x86_64", 1, 100, 0)]);
        assert_eq!(waits(platforms.clone(), json!([both])), [100.0, 100.0]);
        let own = json!({ "slots": 1, "used": 0, "serves": ["b-x86_64"] });
        let [a, b] = waits(platforms, json!([both, own]))[..] else { panic!("two platforms") };
        assert_eq!(a, 100.0);
        assert_eq!(b, 50.0);
    }

    #[test]
    fn without_a_builder_it_is_as_if_there_were_one_slot() {
        assert_eq!(waits(json!([platform("a-x86_64", 2, 120, 0)]), json!([])), [120.0]);
    }
}
