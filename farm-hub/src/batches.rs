//! What is asked of the database for many builders at once.

use std::time::Duration;

use farm_api::hub::{Finish, Gone, Renew, Status, Wanted};
use farm_db::{
    Batch, Bounds, Pool,
    operator::{KnownBuilder, builders_by_tokens},
    queue,
};
use farm_types::{BuilderId, Digest, LeaseKey};

/// How long renewals and reports are gathered: there is time for them.
const GATHER: Duration = Duration::from_secs(1);

/// How many reports and renewals are done together at the most.
const MANY: usize = 1_000;

/// What builders call for all the time. What keeps a lease goes by connections that nothing else takes.
pub(crate) struct Batches {
    /// Renewals of leases; answered is what of them is gone.
    pub(crate) renewals: Batch<(BuilderId, Renew), Vec<Gone>>,
    /// Ends of attempts.
    pub(crate) ends: Batch<(BuilderId, LeaseKey, Finish), farm_db::Result<()>>,
    /// How builders stand.
    pub(crate) statuses: Batch<(BuilderId, Status), Wanted>,
    /// Who comes with which token.
    pub(crate) tokens: Batch<Digest, Option<KnownBuilder>>,
}

impl Batches {
    pub(crate) fn new(pool: &Pool, reserve: &Pool, lease_seconds: u32) -> Self {
        let gathered = Bounds { size: MANY, under_way: 1, gather: GATHER, ..Bounds::default() };
        let many = Bounds { size: MANY, under_way: 1, ..Bounds::default() };
        Self {
            renewals: Batch::new(reserve.clone(), Bounds { waiting: 10 * MANY, ..gathered }, move |conn, renewals| {
                queue::renew_all(conn, &renewals, lease_seconds)
            }),
            ends: Batch::new(reserve.clone(), Bounds::default(), |conn, ends| queue::finish_all(conn, &ends)),
            statuses: Batch::new(pool.clone(), gathered, |conn, statuses| queue::tell_statuses(conn, &statuses)),
            tokens: Batch::new(reserve.clone(), many, |conn, tokens| builders_by_tokens(conn, &tokens)),
        }
    }
}
