//! What becomes of builders.

use farm_api::hub::Finish;
use farm_db::{
    chores, fleets, operator, queue,
    testing::{self, TestBuilder},
};
use farm_types::{JobId, Outcome, Way};

use super::{Farm, person};
use crate::support::{execute, expire_leases, text};

pub fn builder(farm: &mut Farm) -> TestBuilder {
    let number = "SELECT id::text AS text FROM farm.builder";
    TestBuilder::new(farm_types::BuilderId(text(&mut farm.operator, number).parse().unwrap()))
}

/// In the life that it said hello in.
pub fn living_builder(farm: &mut Farm) -> TestBuilder {
    let instance = "SELECT instance::text AS text FROM farm.builder";
    let mut builder = builder(farm);
    builder.instance = text(&mut farm.operator, instance).parse().unwrap();
    builder
}

pub fn a_task_takes_builders_with_it(farm: &mut Farm) {
    let (builder, job) = (living_builder(farm), JobId(5));
    assert_eq!(queue::retry_job(&mut farm.web, &person("alice", Way::Token), job, true).unwrap(), 1);
    for _ in 0..3 {
        builder.claim_one(&mut farm.hub);
        expire_leases(&mut farm.operator);
        assert_eq!(queue::reap(&mut farm.janitor, 0).unwrap(), 1);
    }
    operator::put_back(&mut farm.operator, &testing::operator(), farm_types::TaskId(4)).unwrap();
    operator::set_trust(&mut farm.operator, &testing::operator(), 1).unwrap();
    operator::set_spare_slots(&mut farm.operator, &testing::operator(), &"one".parse().unwrap(), 1).unwrap();
    let key = builder.claim_one(&mut farm.hub);
    let fault = Finish { stage: Some(farm_types::Stage::Chroot), ..testing::ended(Outcome::FarmFault) };
    queue::finish(&mut farm.hub, builder.id, &key, &fault).unwrap();
}

/// Answers the one that is left.
pub fn a_builder_is_taken_out_of_service(farm: &mut Farm) -> TestBuilder {
    let new = operator::NewBuilder { token: None, principal: Some("builder/two@X"), platforms: None };
    operator::put_builder(&mut farm.operator, &testing::operator(), &"two".parse().unwrap(), &new).unwrap();
    let number = "SELECT id::text AS text FROM farm.builder WHERE name = 'two'";
    let two = TestBuilder::new(farm_types::BuilderId(text(&mut farm.operator, number).parse().unwrap()));
    let two = two.restarted(&mut farm.hub);
    assert_eq!(chores::judge_doubtful(&mut farm.janitor).unwrap().out.len(), 1);
    two
}

pub fn a_builder_of_a_fleet_comes_and_goes(farm: &mut Farm) {
    let night = testing::fleet("night", "builder/w*@X");
    fleets::allow_builders(&mut farm.operator, &testing::operator(), &night).unwrap();
    let w1 = testing::builder_of_a_fleet(&mut farm.hub, "builder/w1@X").unwrap();
    let w1 = w1.restarted(&mut farm.hub);
    assert!(queue::deregister(&mut farm.hub, w1.id, w1.instance).unwrap());
    testing::builder_of_a_fleet(&mut farm.hub, "builder/w1@X").unwrap();
    execute(&mut farm.operator, "UPDATE farm.builder SET last_seen_at = now() - interval '2 hours' WHERE name = 'w1'");
    assert_eq!(chores::deregister_silent(&mut farm.janitor, 3600).unwrap(), ["w1"]);
    assert_eq!(fleets::disallow_builders(&mut farm.operator, &testing::operator(), &night.name).unwrap(), 0);
}

pub fn a_builder_leaves(farm: &mut Farm) {
    let builder = living_builder(farm);
    for _ in 0..2 {
        queue::leave(&mut farm.hub, builder.id, builder.instance).unwrap();
    }
}
