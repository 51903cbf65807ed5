//! The programs as processes, against a small server that speaks the API over real connections and can be told to
//! misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod download;
mod login;
mod logs;
mod looks;
mod rebuild;
mod server;
mod submit;
mod terminal;
mod things;
mod tokens;
mod trouble;
mod watch;

use std::path::PathBuf;

use assert_cmd::Command;

/// A program of ours that knows the server and no configuration of this machine.
fn program(name: &str, server: &str) -> Command {
    let mut command = Command::new(binary(name));
    command
        .env_clear()
        .env("FARM_SERVER", server)
        .env("HOME", "/nonexistent")
        .timeout(std::time::Duration::from_secs(60));
    command
}

fn binary(name: &str) -> PathBuf {
    match name {
        "farm" => env!("CARGO_BIN_EXE_farm").into(),
        _ => env!("CARGO_BIN_EXE_farm-submit").into(),
    }
}

/// What a program wrote and how it ended.
struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

impl Ran {
    /// Checks the exit code, and shows everything where it is another.
    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
