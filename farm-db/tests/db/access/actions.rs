//! Which function writes down what.

use std::collections::BTreeMap;

use crate::support::{database, texts};

/// Every function that changes something and that a process of the farm or an operator may call, and the actions that it writes down;
/// or, in parentheses, why it writes down nothing. A new function belongs into this list, and its actions into the test of all verbs.
pub const ACTIONS: &[(&str, &str)] = &[
    ("accept", "accept"),
    ("after_restore", "restore"),
    ("allow_builders", "allow builders"),
    ("append_log", "(a piece of a log decides nothing)"),
    ("attendance", "(a sign of life)"),
    ("begin_chore", "(whose turn it is with a chore)"),
    ("begin_upload", "begin upload"),
    ("build_like", "build like"),
    ("builder_log_in", "log in, register"),
    ("caller_by_principal", "become known"),
    ("caller_by_token", "(only when a token was used last)"),
    ("cancel_job", "cancel"),
    ("claim", "(claim_tasks writes it down, which it calls)"),
    ("claim_keys", "claim"),
    ("claim_tasks", "claim"),
    ("come_up", "(hello writes it down, which it calls)"),
    ("deliver", "(a file counts when an attempt is finished with it)"),
    ("deregister", "deregister"),
    ("deregister_silent", "deregister"),
    ("disallow_builders", "disallow builders"),
    ("enable_platform", "enable, disable"),
    ("end_chore", "(that a chore was done; what it did is written down where it was done)"),
    ("end_notice", "(that somebody was told; what of was written down where it happened)"),
    ("end_upload", "upload"),
    ("expect_log", "(what is about to come)"),
    ("expire_files", "remove files"),
    ("finish", "(finish_all writes it down, which it calls)"),
    ("finish_all", "finish, give up, let go"),
    ("finish_with_record", "(finish_all writes it down, which it calls)"),
    ("forget_files", "forget file"),
    ("forget_notices", "(old news)"),
    ("forget_stale_uploads", "forget upload"),
    ("forget_tokens", "(they had ended by themselves)"),
    ("forget_upload", "forget upload"),
    ("has_delivered", "(what is about to come)"),
    ("hello", "hello"),
    ("judge_doubtful", "take out of service, doubt"),
    ("keep_audit", "keep audit"),
    ("known_blob", "(it changes nothing; that who asks is known from then on is written down by farm.acting)"),
    ("leased_weight", "(it only looks, at what the same statement claimed)"),
    ("leave", "leave"),
    ("log_in", "log in"),
    ("log_out", "log out"),
    ("make_good", "build again, forget lost files, wait again"),
    ("make_token", "make token"),
    ("mark_blobs", "(what nobody needs has no owner)"),
    ("note_missing", "miss"),
    ("note_vanished", "vanish, come back"),
    ("postpone", "(a decision that was not taken)"),
    ("presence", "(a sign of life)"),
    ("publish_again", "publish again"),
    ("published", "publish"),
    ("pulse", "(a sign of life)"),
    ("put_back", "put back"),
    ("put_bucket", "put bucket"),
    ("put_build_limits", "set build limits"),
    ("put_builder", "put builder"),
    ("put_group", "put group"),
    ("put_limits", "set limits"),
    ("put_person", "enable, disable"),
    ("put_platform", "put platform"),
    ("reap", "reap, set aside"),
    ("reap_overdue", "reap"),
    ("reject", "reject"),
    ("release", "release"),
    ("remove_group", "remove group"),
    ("renew", "(a sign of life)"),
    ("renew_all", "(a sign of life)"),
    ("retry_job", "retry, wait again"),
    ("revoke_token", "revoke token"),
    ("seal_log", "seal log"),
    ("set_builder_state", "enable, disable, drain"),
    ("set_grant", "grant, take back"),
    ("set_member", "add member, remove member"),
    ("set_retention", "set retention"),
    ("set_share", "set share"),
    ("set_spare_slots", "set spare slots"),
    ("set_trust", "set trust"),
    ("settle_up", "(it adds up what was written down when it happened)"),
    ("slots_of", "(it only looks, after a hello)"),
    ("stage_began", "(a sign of life)"),
    ("submit", "submit, ask of builds"),
    ("sweep_blobs", "(what nobody needs has no owner)"),
    ("sweep_strangers", "(what nobody needs has no owner)"),
    ("take_notice", "(somebody is about to be told)"),
    ("take_submitted", "(it locks a row)"),
    ("tell_status", "(a sign of life)"),
    ("tell_statuses", "(a sign of life)"),
    ("tend_audit", "drop audit"),
];

/// Those that a process may call, and those for operators: the verbs with an actor that no function of ours calls in turn.
const CALLED: &str = "
    SELECT DISTINCT p.proname::text AS text FROM pg_proc p
    WHERE p.pronamespace = 'farm'::regnamespace AND p.provolatile = 'v' AND p.prorettype <> 'trigger'::regtype
      AND (EXISTS (SELECT FROM pg_roles r WHERE r.rolname LIKE 'farm\\_%' AND r.rolname <> 'farm_owner'
                   AND has_function_privilege(r.oid, p.oid, 'EXECUTE'))
           OR p.prosecdef AND p.proargtypes[0] = 'farm.actor'::regtype)
    ORDER BY 1";

#[test]
fn every_function_that_changes_something_says_what_it_writes_down_or_why_nothing() {
    let (_db, mut conn) = database();
    let found = texts(&mut conn, CALLED);
    let listed: Vec<_> = ACTIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_function_writes_down_what_the_list_says_and_one_that_writes_down_nothing_does_not_try() {
    let (_db, mut conn) = database();
    // What a function does itself, or has done by one that hands tasks out, ends attempts or makes persons known.
    let bodies = texts(
        &mut conn,
        "SELECT p.proname || ' ' || p.prosrc AS text FROM pg_proc p WHERE p.pronamespace = 'farm'::regnamespace",
    );
    let bodies: BTreeMap<_, _> = bodies.iter().filter_map(|body| body.split_once(' ')).collect();
    for (name, actions) in ACTIONS {
        let body = bodies[name];
        let records = [
            "farm.record(",
            "farm.record_leases(",
            "farm.hand_out(",
            "farm.end_attempt(",
            "farm.person_of(",
            "farm.remove_files(",
            "farm.judge_builder(",
        ];
        let records = records.iter().any(|call| body.contains(call));
        assert_eq!(records, !actions.starts_with('('), "{name}: {actions}");
    }
}

/// The tables that a process changes without a function, and why nothing is written down of it.
const UNWRITTEN: &[(&str, &str)] =
    &[("farm_web upload", "when bytes came in last; its beginning and its end are written down")];

#[test]
fn nothing_is_changed_past_the_functions_but_what_nobody_has_to_know() {
    // What the roles really can do is compared with that list by a test of its own.
    let rights = include_str!("../rights.txt").lines().filter(|line| !line.ends_with(" call"));
    let changed =
        rights.filter(|line| ["insert", "update", "delete", "truncate"].iter().any(|verb| line.contains(verb)));
    let found: Vec<_> = changed.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    let listed: Vec<_> = UNWRITTEN.iter().map(|(table, _)| (*table).to_owned()).collect();
    assert_eq!(found, listed);
}
