//! Tests of code that reads its environment.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// The variable that tells a test process which of its tests it is there for.
const TEST: &str = "FARM_TEST_IN_ENVIRONMENT";

/// Runs a test in a process of its own with these environment variables, as no process with threads may change its own.
///
/// `test` is the full name of the test function that calls this, as `cargo test` prints it. The process is the same
/// program, told to run that test alone: there `body` is called, here its failure is passed on. So what comes before this
/// call is done in both; `prepare` is done here only, and its value lives until the other process has ended.
pub fn in_environment<T>(test: &str, prepare: impl FnOnce() -> (Vec<(String, String)>, T), body: impl FnOnce()) {
    if std::env::var(TEST).is_ok_and(|name| name == test) {
        body();
        // Said to the one who waits: a wrong name would run no test and look like success.
        let mut out = std::io::stdout();
        writeln!(out, "\n{}", done(test)).unwrap();
        return;
    }
    let (env, _kept) = prepare();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .envs(env)
        .env(TEST, test)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "the process of its own said:\n{said}");
    assert!(said.contains(&done(test)), "there is no test {test}:\n{said}");
}

fn done(test: &str) -> String {
    format!("{test} was run to its end")
}
