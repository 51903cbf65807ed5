//! A whole farm under fire: for tests only.
//!
//! [`run`] starts two webs, two hubs, two validators, a janitor, a publisher and twenty builders as processes over a private PostgreSQL,
//! has people hand in jobs, and meanwhile lets happen whatever can ([`fault::Kind`]). Then the faults stop, the farm comes to rest, and
//! everything that it promised is looked at: see [`report::Report`].
//!
//! Most builders have a driver that builds nothing ([`fake`]) in the real daemon; some really build. What a package does is in its name
//! ([`plan::Plan`]). Every caller comes by a [`way::Way`] of the harness, on which single requests can be cut, held, lost and doubled. As
//! root, all of it is in namespaces of its own ([`contained`]), where disks can be full and cables pulled out.
//!
//! Everything is drawn from a seed: the faults, whom they meet, the jobs. When is up to the machine.

pub mod clock;
pub mod configs;
pub mod contained;
pub mod crowd;
pub mod database;
pub mod disk;
pub mod fake;
pub mod farm;
pub mod fault;
pub mod judge;
pub mod leaks;
pub mod network;
pub mod operator;
pub mod people;
pub mod plan;
pub mod questions;
pub mod recovery;
pub mod report;
pub mod rest;
pub mod settings;
pub mod shares;
pub mod storm;
pub mod traffic;
pub mod trial;
pub mod unit;
pub mod way;

pub use settings::Settings;
pub use trial::run;
