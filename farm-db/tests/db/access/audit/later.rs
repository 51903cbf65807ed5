//! What becomes of it all in the end.

use farm_api::hub::{Finish, NewArtifact};
use farm_db::{
    chores, operator, queue, restore,
    testing::{self, TestBuilder},
};
use farm_types::{ArtifactKind, Digest, Outcome};

use super::{
    Farm,
    jobs::{accept, submit},
};
use crate::support::execute;

pub fn time_goes_by(farm: &mut Farm) {
    let conn = &mut farm.operator;
    execute(conn, "UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'");
    assert_eq!(chores::note_vanished(&mut farm.janitor, 600).unwrap().gone, ["one"]);
    execute(conn, "UPDATE farm.builder SET last_seen_at = now()");
    assert_eq!(chores::note_vanished(&mut farm.janitor, 600).unwrap().back, ["one"]);
    execute(
        conn,
        "WITH b AS (INSERT INTO farm.blob (digest, size) VALUES (decode(repeat('02', 32), 'hex'), 1) RETURNING digest)
         INSERT INTO farm.brought (digest, person_id) SELECT digest, id FROM b, farm.person WHERE principal = 'alice'",
    );
    execute(conn, "UPDATE farm.brought SET touched_at = now() - interval '1 month'");
    // The other file that was brought is in a job.
    assert_eq!(chores::forget_files(&mut farm.janitor, 600.0).unwrap(), 2);
    execute(conn, "UPDATE farm.task SET finished_at = now() - interval '1 year' WHERE job_id = 1");
    assert_eq!(chores::expire_files(&mut farm.janitor, 10).unwrap().jobs, 1);
}

pub fn something_is_lost(farm: &mut Farm, builder: TestBuilder) {
    let job = submit(farm);
    accept(farm, job);
    let key = builder.claim_one(&mut farm.hub);
    let mut artifacts = Vec::new();
    for (first, kind, name) in [(3, ArtifactKind::Rpm, "a.rpm"), (4, ArtifactKind::Log, "build.log.gz")] {
        let digest = Digest::from_bytes([first; 32]);
        queue::deliver(&mut farm.hub, builder.id, &key, &digest, 1).unwrap();
        artifacts.push(NewArtifact { kind, name: name.parse().unwrap(), digest, size: 1 });
    }
    queue::finish(&mut farm.hub, builder.id, &key, &Finish { artifacts, ..testing::ended(Outcome::Succeeded) })
        .unwrap();
    let (conn, test) = (&mut farm.operator, testing::operator());
    for first in [3, 4, 5] {
        let missing = [(Digest::from_bytes([first; 32]), None)];
        restore::note_missing(conn, &test, first, &missing).unwrap();
    }
    for _ in 0..2 {
        // The second time there is nothing to mend.
        restore::make_good(conn, &test, job).unwrap();
    }
}

/// A year that nobody wants to know of any more.
pub fn the_audit_is_kept_no_longer(farm: &mut Farm) {
    operator::keep_audit(&mut farm.operator, &testing::operator(), 12).unwrap();
    execute(
        &mut farm.operator,
        "INSERT INTO farm.audit (at, actor, way, action, object, process)
         VALUES ('2001-01-05', 'alice', 'token', 'submit', 'job 0', 'role farm_web')",
    );
    assert_eq!(chores::tend_audit(&mut farm.janitor).unwrap().dropped, 1);
}

pub fn the_database_is_set_back(farm: Farm) {
    let Farm { mut operator, web, hub, validator, janitor, publisher } = farm;
    restore::after_restore(&mut operator, &testing::operator(), 1).unwrap_err();
    drop((web, hub, validator, janitor, publisher));
    // The server notices in a moment that they have gone.
    let set_back = || restore::after_restore(&mut operator, &testing::operator(), 1).ok();
    farm_testing::eventually_blocking("the end of the sessions", farm_testing::DEADLINE, set_back);
}
