//! Who sees what, and what of it one may build.

use diesel::{PgConnection, connection::SimpleConnection as _};
use farm_db::{
    DbError, Viewer, access, blobs,
    intake::{self, Submission},
    testing,
};
use farm_types::JobId;

use super::{bucket, grant, let_in};
use crate::support::{database, text};

/// Who sees a job of `submitter` in a public bucket, and in `secret`, which is not; and who sees the bucket `secret`.
const SEES: &[(&str, [bool; 3])] = &[
    ("anybody", [true, false, false]),
    ("submitter", [true, true, false]),
    ("stranger", [true, false, false]),
    ("seer", [true, true, true]),
    ("seer of another", [true, false, false]),
    ("member", [true, true, true]),
    ("owner", [true, true, true]),
    ("admin", [true, true, true]),
    ("changer", [true, false, false]),
    ("disabled seer", [true, false, false]),
    ("disabled admin", [true, false, false]),
];

fn scene(conn: &mut PgConnection) {
    bucket(conn, "secret", false);
    bucket(conn, "another", false);
    farm_db::operator::put_group(conn, &testing::operator(), "readers", "").unwrap();
    farm_db::operator::set_member(conn, &testing::operator(), "readers", "member", true).unwrap();
    for (right, to) in [
        ("submit:secret", "submitter"),
        ("see:secret", "seer"),
        ("see:another", "seer of another"),
        ("see:secret", "@readers"),
        ("own:secret", "owner"),
        ("admin", "admin"),
        ("change", "changer"),
        ("see:secret", "disabled seer"),
        ("admin", "disabled admin"),
    ] {
        grant(conn, right, to);
    }
    for name in ["disabled seer", "disabled admin"] {
        let_in(conn, name, false);
    }
    let_in(conn, "stranger", true);
}

fn job_in(conn: &mut PgConnection, bucket: &str) -> (JobId, Submission) {
    let new = Submission { bucket: bucket.parse().unwrap(), ..testing::submission(conn, "submitter") };
    (intake::submit(conn, &new).unwrap().0, new)
}

#[test]
fn a_job_is_seen_by_whom_the_table_says() {
    let (db, mut conn) = database();
    scene(&mut conn);
    let (public, private) = (job_in(&mut conn, "scratch").0, job_in(&mut conn, "secret").0);
    // As the web server asks: on an operator's connection everything is seen.
    let mut web = db.connect_as("farm_web");
    for (name, expected) in SEES {
        let number = format!("(SELECT id FROM farm.person WHERE principal = '{name}')");
        let sees =
            |conn: &mut PgConnection, call: String| text(conn, &format!("SELECT farm.{call}::text AS text")) == "true";
        let found = [
            sees(&mut web, format!("sees({number}, {public})")),
            sees(&mut web, format!("sees({number}, {private})")),
            sees(&mut web, format!("sees_bucket({number}, 'secret')")),
        ];
        assert_eq!(found, *expected, "{name}");
    }
    assert!(access::sees_bucket(&mut conn, Viewer::ANYBODY, &"secret".parse().unwrap()).unwrap(), "an operator");
    let nothing = text(&mut web, "SELECT farm.sees(NULL, 4711)::text AS text");
    assert_eq!(nothing, "false", "a job that there is not");
}

#[test]
fn a_file_is_built_by_who_brought_it_or_sees_it_and_not_by_who_knows_its_digest() {
    let (db, mut conn) = database();
    scene(&mut conn);
    let of = |new: &Submission| new.sources[0].1;
    let (public, private) = (of(&job_in(&mut conn, "scratch").1), of(&job_in(&mut conn, "secret").1));
    let loose = testing::digest();
    testing::brought(&mut conn, "submitter", &loose, 1);
    let unknown = testing::digest();
    // Brought and in no job; in a public job; in a private one; nowhere.
    let mut web = db.connect_as("farm_web");
    let shut_out = blobs::known(&mut web, &testing::person("disabled seer"), &public).unwrap_err();
    assert_eq!(shut_out.to_string(), "disabled seer was shut out by an administrator");
    for (name, expected) in [
        ("submitter", [true, true, true, false]),
        ("stranger", [false, true, false, false]),
        ("seer", [false, true, true, false]),
        ("owner", [false, true, true, false]),
        ("admin", [false, true, true, false]),
    ] {
        let files = [loose, public, private, unknown];
        let known = files.map(|file| blobs::known(&mut web, &testing::person(name), &file).unwrap().is_some());
        assert_eq!(known, expected, "{name}");
        for (file, known) in files.iter().zip(known) {
            let new = testing::submission(&mut conn, "nobody");
            let new =
                Submission { actor: testing::person(name), sources: vec![("a.src.rpm".to_owned(), *file)], ..new };
            // Rolled back: in a public job everybody would see it.
            web.batch_execute("BEGIN").unwrap();
            let submitted = intake::submit(&mut web, &new);
            web.batch_execute("ROLLBACK").unwrap();
            match submitted {
                Ok(_) => assert!(known, "{name} built what was not brought nor seen"),
                Err(DbError::NotFound(why)) => {
                    assert!(!known, "{name}: {why}");
                    assert_eq!(why, format!("these files were not uploaded: {file}"));
                }
                Err(DbError::Forbidden(_)) => assert_eq!(name, "disabled seer"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

#[test]
fn a_job_that_is_not_seen_can_neither_be_followed_nor_cancelled_and_does_not_show() {
    let (db, mut conn) = database();
    scene(&mut conn);
    let (private, _) = job_in(&mut conn, "secret");
    let stranger = testing::person("stranger");
    let mut web = db.connect_as("farm_web");
    let new = testing::submission(&mut conn, "stranger");
    let after = Submission { after: Some(private), ..new };
    for (refused, words) in [
        (intake::submit(&mut web, &after).map(|_| ()), format!("there is no job {private} to come after")),
        (farm_db::queue::cancel_job(&mut web, &stranger, private).map(|_| ()), format!("there is no job {private}")),
        (
            farm_db::queue::retry_job(&mut web, &stranger, private, true).map(|_| ()),
            format!("there is no job {private}"),
        ),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, DbError::NotFound(why) if *why == words), "{error}");
    }
}
