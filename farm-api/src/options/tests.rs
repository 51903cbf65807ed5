use serde_json::{Value, json};

use super::*;

fn new(options: Value) -> NewOptions {
    serde_json::from_value(options).unwrap()
}

fn refused(options: Value) -> Vec<String> {
    new(options).check().unwrap_err().into_iter().map(|reason| reason.message).collect()
}

#[test]
fn who_asks_for_nothing_has_the_defaults_and_nothing_is_written_down() {
    let options = new(json!({})).check().unwrap();
    assert!(options.is_default() && options.check);
    assert_eq!(serde_json::to_value(&options).unwrap(), json!({}));
    assert_eq!(serde_json::to_value(NewOptions::default()).unwrap(), json!({}));
    assert!(options.rpmbuild_arguments().is_empty() && options.shown().is_empty());
}

#[test]
fn what_was_checked_reads_back_as_it_was_written() {
    let asked = json!({
        "check": false, "with": ["foo", "bar"], "without": ["docs"], "macros": { "vendor": "Us; $(id)", "dist": "" },
        "repositories": [{ "name": "extra" }, { "baseurl": "https://example.org/$basearch/", "priority": 10 }],
        "buckets": ["stable"], "limits": { "memory_bytes": 5 }, "weight": 2,
    });
    let options = new(asked.clone()).check().unwrap();
    assert_eq!(serde_json::to_value(&options).unwrap(), asked);
    assert_eq!(serde_json::from_value::<BuildOptions>(asked).unwrap(), options);
    let expected = [
        "--nocheck",
        "--with",
        "foo",
        "--with",
        "bar",
        "--without",
        "docs",
        "--define",
        "dist %{nil}",
        "--define",
        "vendor Us; $(id)",
    ];
    assert_eq!(options.rpmbuild_arguments(), expected);
}

#[test]
fn every_reason_is_told_at_once() {
    let reasons = refused(json!({
        "with": ["a-b", "both"], "without": ["both", ""], "macros": { "_topdir": "/", "x": "{", "fine": "1" },
        "repositories": [{}, { "baseurl": "file:///etc" }, { "name": "x", "priority": 1 }], "buckets": ["UPPER"],
        "limits": { "memory_bytes": 0 }, "weight": 0,
    }));
    for expected in [
        "“a-b” is no build condition",
        "“both” is both set and unset",
        "“” is no build condition",
        "“_topdir” is set by",
        "“x” is no name of a macro",
        "“{” is no value of a macro",
        "either a name",
        "file:///etc",
        "stand in its recipe",
        "“UPPER” is no bucket name",
        "memory_bytes is 0",
        "a weight is",
    ] {
        assert_eq!(reasons.iter().filter(|reason| reason.contains(expected)).count(), 1, "{expected}: {reasons:#?}");
    }
    assert_eq!(reasons.len(), 12, "{reasons:#?}");
}

#[test]
fn a_repository_is_one_url_that_leads_off_the_builder() {
    let long = format!("https://h/{}", "x".repeat(500));
    for bad in [
        "file:///etc",
        "/etc",
        "https://",
        "https:///x",
        "http://a/,file:///etc",
        "http://a/ file:///etc",
        "http://a/\nb",
        "https://me:secret@example.org/",
        "ssh://h/",
        "http://ü/",
        "http://h/\"",
        "http://h/{{x}}",
        "http://h/${x}",
        &long,
    ] {
        assert_eq!(refused(json!({ "repositories": [{ "baseurl": bad }] })).len(), 1, "{bad}");
        let key = json!({ "repositories": [{ "baseurl": "https://h/", "gpgkey": bad }] });
        assert_eq!(refused(key).len(), 1, "{bad}");
    }
}

#[test]
fn more_than_a_builder_should_read_is_refused() {
    let many = |n: usize| (0..n).map(|n| format!("word{n}")).collect::<Vec<_>>();
    assert!(new(json!({ "with": many(100), "buckets": many(20) })).check().is_ok());
    assert_eq!(refused(json!({ "with": many(101), "buckets": many(21) })).len(), 2);
}

#[test]
fn a_word_that_is_said_twice_counts_once() {
    let options = new(json!({ "with": ["a", "a"], "buckets": ["b", "b"] })).check().unwrap();
    assert_eq!((options.with.len(), options.buckets.len()), (1, 1));
}
