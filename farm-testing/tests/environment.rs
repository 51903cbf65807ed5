//! Tests with an environment of their own.

use farm_testing::in_environment;

fn env() -> (Vec<(String, String)>, ()) {
    (vec![("FARM_TEST_COLOUR".to_owned(), "green".to_owned())], ())
}

#[test]
fn the_body_sees_the_environment_and_the_test_does_not() {
    in_environment("the_body_sees_the_environment_and_the_test_does_not", env, || {
        assert_eq!(std::env::var("FARM_TEST_COLOUR").unwrap(), "green");
    });
    let inside = std::env::var_os("FARM_TEST_IN_ENVIRONMENT").is_some();
    assert_eq!(std::env::var_os("FARM_TEST_COLOUR").is_some(), inside);
}

#[test]
#[should_panic(expected = "the process of its own said")]
fn a_body_that_fails_fails_the_test() {
    in_environment("a_body_that_fails_fails_the_test", env, || std::process::exit(3));
}

#[test]
#[should_panic(expected = "there is no test another_name")]
fn a_wrong_name_is_no_success() {
    in_environment("another_name", env, || ());
}
