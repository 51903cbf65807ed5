//! What a right lets one do, and whom.

use diesel::PgConnection;
use farm_db::{DbError, fleets, operator, queue, testing};
use farm_types::Grant;

use super::{bucket, grant, let_in};
use crate::support::{PLATFORM, database, execute, text, texts};

/// Whoever has the right on the left may do what stands on the right, and nothing else. `1` and `2` are two objects of the kind that
/// the right is about; without an object the question is whether all of the kind are allowed, or the farm as a whole.
const MATRIX: &[(&str, &str)] = &[
    ("submit:1", "submit:1"),
    ("submit:*", "submit submit:1 submit:2"),
    ("see:1", "see:1"),
    ("see:*", "see see:1 see:2"),
    ("own:1", "own:1 see:1 submit:1"),
    ("own:*", "own own:1 own:2 see see:1 see:2 submit submit:1 submit:2"),
    ("build:1", "build:1"),
    ("build:*", "build build:1 build:2"),
    ("class:1", "class:1"),
    ("class:*", "class class:1 class:2"),
    ("network", "network network:1 network:2"),
    ("define", "define define:1 define:2"),
    ("external", "external external:1 external:2"),
    ("change", "change change:1 change:2"),
    ("builders", "builders builders:1 builders:2"),
    ("platforms", "platforms platforms:1 platforms:2"),
    ("buckets", "buckets buckets:1 buckets:2"),
    (
        "admin",
        "admin admin:1 admin:2 buckets buckets:1 buckets:2 build build:1 build:2 builders builders:1 builders:2 change \
         change:1 change:2 class class:1 class:2 define define:1 define:2 external external:1 external:2 network \
         network:1 network:2 own own:1 own:2 platforms platforms:1 platforms:2 see see:1 see:2 submit submit:1 submit:2",
    ),
];

/// To whom a right is given, and who has it then. `disabled` is given everything and is in every group.
const HOLDERS: &[(&str, &[&str])] = &[
    ("person", &["person"]),
    ("@packagers", &["member"]),
    ("@admins", &["ruled/admin@X"]),
    ("everyone", &["person", "member", "ruled/admin@X", "stranger"]),
    ("disabled/admin@X", &[]),
];

const PERSONS: [&str; 5] = ["person", "member", "ruled/admin@X", "stranger", "disabled/admin@X"];

/// The objects `1` and `2` of each kind.
fn object(right: &str, number: &str) -> String {
    match (right.split(':').next().unwrap(), number) {
        ("class", "1") => "urgent".to_owned(),
        ("class", _) => "background".to_owned(),
        ("build", number) => format!("p{number}-x86_64"),
        (_, number) => format!("bucket{number}"),
    }
}

/// All that a person may do, in the words of the matrix.
fn allowed(conn: &mut PgConnection, person: &str) -> String {
    let may = format!(
        "SELECT r.what || coalesce(':' || o.number, '') AS text
         FROM unnest(enum_range(NULL::farm.right)) AS r(what), (VALUES ('1'), ('2'), (NULL)) AS o(number)
         WHERE farm.may((SELECT id FROM farm.person WHERE principal = '{person}'), r.what,
           CASE WHEN r.what = 'class' THEN CASE o.number WHEN '1' THEN 'urgent' WHEN '2' THEN 'background' END
                WHEN r.what = 'build' THEN 'p' || o.number || '-x86_64' ELSE 'bucket' || o.number END)
         ORDER BY 1"
    );
    let mut all = texts(conn, &may);
    all.sort();
    all.join(" ")
}

fn scene(conn: &mut PgConnection) {
    let operator = testing::operator();
    for number in ["1", "2"] {
        bucket(conn, &object("submit", number), true);
        testing::platform(conn, &object("build", number));
    }
    for person in PERSONS {
        let_in(conn, person, true);
    }
    for (group, members) in
        [("packagers", ["member", "disabled/admin@X"].as_slice()), ("admins", ["*/admin@X"].as_slice())]
    {
        operator::put_group(conn, &operator, group, "").unwrap();
        let members: Vec<_> = members.iter().map(|member| (*member).to_owned()).collect();
        operator::set_members(conn, &operator, group, &members, true).unwrap();
    }
    let_in(conn, "disabled/admin@X", false);
}

#[test]
fn a_right_lets_whom_it_was_given_to_do_what_the_matrix_says_and_nobody_else_anything() {
    let (_db, mut conn) = database();
    scene(&mut conn);
    execute(&mut conn, "DELETE FROM farm.grant");
    let operator = testing::operator();
    for (right, expected) in MATRIX {
        let (what, number) = right.split_once(':').unwrap_or((right, ""));
        let right = match number {
            "1" => format!("{what}:{}", object(what, "1")),
            _ => (*right).to_owned(),
        };
        let given: Grant = right.parse().unwrap();
        for (to, holders) in HOLDERS {
            operator::set_grant(&mut conn, &operator, &given, to, true).unwrap();
            for person in PERSONS {
                let expected = if holders.contains(&person) { expected } else { "" };
                assert_eq!(allowed(&mut conn, person), expected, "{person}, {right} given to {to}");
            }
            operator::set_grant(&mut conn, &operator, &given, to, false).unwrap();
            assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.grant"), "0", "taken back");
        }
    }
}

#[test]
fn every_right_there_is_stands_in_the_matrix() {
    let stands = |right: &str| MATRIX.iter().any(|(given, _)| given.split(':').next() == Some(right));
    let rights = farm_types::Right::ALL.iter().map(|right| right.as_str());
    let missing: Vec<_> = rights.filter(|right| !stands(right)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_new_farm_lets_everybody_with_a_name_build_into_scratch_and_nothing_else() {
    let (_db, mut conn) = database();
    scene(&mut conn);
    assert_eq!(allowed(&mut conn, "stranger"), "build build:1 build:2 class:2 define define:1 define:2");
    let rights = "SELECT farm.whoami('stranger')->>'rights' AS text";
    assert_eq!(
        text(&mut conn, rights),
        r#"["build:*", "class:background", "class:normal", "define", "submit:scratch"]"#
    );
    assert_eq!(allowed(&mut conn, "disabled/admin@X"), "");
}

#[test]
fn a_group_that_is_gone_and_a_member_who_left_have_no_right_left() {
    let (_db, mut conn) = database();
    scene(&mut conn);
    let (operator, admin) = (testing::operator(), "ruled/admin@X");
    grant(&mut conn, "change", "@packagers");
    grant(&mut conn, "change", "@admins");
    let changes = |conn: &mut PgConnection, person| allowed(conn, person).contains("change");
    assert!(changes(&mut conn, "member") && changes(&mut conn, admin));
    operator::set_member(&mut conn, &operator, "packagers", "member", false).unwrap();
    operator::remove_group(&mut conn, &operator, "admins").unwrap();
    assert!(!changes(&mut conn, "member") && !changes(&mut conn, admin));
}

#[test]
fn a_right_without_its_object_or_on_something_unknown_is_not_given() {
    let (_db, mut conn) = database();
    for (right, kind) in [
        ("submit:nowhere", "bucket"),
        ("own:nowhere", "bucket"),
        ("build:nowhere", "platform"),
        ("class:nowhere", "class"),
    ] {
        let given = right.parse().unwrap();
        let refused = operator::set_grant(&mut conn, &testing::operator(), &given, "alice", true).unwrap_err();
        assert!(
            matches!(&refused, DbError::NotFound(why) if *why == format!("there is no {kind} “nowhere”")),
            "{refused}"
        );
    }
    let object = Grant { right: farm_types::Right::Network, object: Some("scratch".to_owned()) };
    let refused = operator::set_grant(&mut conn, &testing::operator(), &object, "alice", true).unwrap_err();
    assert!(matches!(refused, DbError::Conflict(_)), "{refused}");
}

#[test]
fn nobody_without_the_right_does_what_administrators_do() {
    let (_db, mut conn) = database();
    scene(&mut conn);
    grant(&mut conn, "own:*", "person");
    grant(&mut conn, "change", "person");
    let person = testing::person("person");
    let (bucket, platform) = ("bucket1".parse().unwrap(), "p1-x86_64".parse().unwrap());
    let limits = farm_api::access::Limits::default();
    let refused = [
        ("admin", operator::put_person(&mut conn, &person, "person", true)),
        ("admin", operator::put_limits(&mut conn, &person, Some("person"), &limits)),
        ("admin", operator::put_build_limits(&mut conn, &person, None, &Default::default())),
        ("admin", operator::set_share(&mut conn, &person, "person", Some(2.0))),
        ("admin", operator::put_group(&mut conn, &person, "mine", "")),
        ("admin", operator::remove_group(&mut conn, &person, "packagers")),
        ("admin", operator::set_member(&mut conn, &person, "packagers", "person", true)),
        ("admin", operator::set_grant(&mut conn, &person, &"admin".parse().unwrap(), "person", true)),
        ("buckets", operator::put_bucket(&mut conn, &person, &bucket, None, Some(false))),
        ("platforms", operator::enable_platform(&mut conn, &person, &platform, false)),
        ("builders", fleets::allow_builders(&mut conn, &person, &testing::fleet("mine", "builder/*@X"))),
        ("builders", fleets::disallow_builders(&mut conn, &person, &"mine".parse().unwrap()).map(drop)),
        ("builders", operator::put_builder(&mut conn, &person, &"mine".parse().unwrap(), &Default::default())),
    ];
    for (right, answer) in refused {
        let error = answer.unwrap_err();
        let expected = format!("person may not do that: it takes the right “{right}”");
        assert!(matches!(&error, DbError::Forbidden(why) if why.starts_with(&expected)), "{error}");
    }
    grant(&mut conn, "admin", "person");
    operator::put_bucket(&mut conn, &person, &bucket, None, Some(false)).unwrap();
}

#[test]
fn a_job_is_built_again_only_with_the_rights_and_the_room_that_it_takes_now() {
    let (_db, mut conn) = database();
    let alice = testing::person("alice");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    queue::cancel_job(&mut conn, &alice, job).unwrap();
    let build = "build:*".parse().unwrap();
    operator::set_grant(&mut conn, &testing::operator(), &build, "everyone", false).unwrap();
    let refusal = queue::retry_job(&mut conn, &alice, job, false).unwrap_err().to_string();
    assert!(refusal.contains(&format!("it takes the right “build:{PLATFORM}”")), "{refusal}");
    operator::set_grant(&mut conn, &testing::operator(), &build, "everyone", true).unwrap();
    let none = farm_api::access::Limits { jobs_waiting: Some(0), ..Default::default() };
    operator::put_limits(&mut conn, &testing::operator(), Some("alice"), &none).unwrap();
    let refusal = queue::retry_job(&mut conn, &alice, job, false).unwrap_err().to_string();
    assert!(refusal.contains("jobs_waiting: 1 of at most 0"), "{refusal}");
    operator::put_limits(&mut conn, &testing::operator(), Some("alice"), &Default::default()).unwrap();
    assert_eq!(queue::retry_job(&mut conn, &alice, job, false).unwrap(), 1);
}
