//! What these tests share.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use farm_api::client::{ClientError, Repeat, Transport};
use farm_testing::{DEADLINE, Process, TestDb, eventually_blocking};
use tempfile::TempDir;

/// `farm-admin`, with nothing of the caller's farm in its environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farm-admin"));
    for variable in ["FARM_DATABASE", "FARM_DATA", "FARM_SERVER"] {
        command.env_remove(variable);
    }
    command
}

/// `farm-admin` on a farm that is nothing but a database.
pub fn on(db: &TestDb) -> assert_cmd::Command {
    let mut command = command();
    command.args(["--database", &db.url()]);
    assert_cmd::Command::from_std(command)
}

/// What a command that has to succeed prints.
pub fn printed(command: &mut assert_cmd::Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// What a command that has to fail with exit code 1 says, and nothing else.
pub fn refused(command: &mut assert_cmd::Command) -> String {
    let output = command.assert().code(1).get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "what failed prints no data");
    String::from_utf8(output.stderr).unwrap()
}

/// What is wrong with a command line.
pub fn misused(command: &mut assert_cmd::Command) -> String {
    String::from_utf8(command.assert().code(2).get_output().stderr.clone()).unwrap()
}

/// The same as JSON.
pub fn json(command: &mut assert_cmd::Command) -> serde_json::Value {
    serde_json::from_str(&printed(command)).unwrap()
}

/// A recipe in a file.
pub fn recipe(dir: &Path, name: &str, baseurl: &str) -> PathBuf {
    let (release, arch) = name.split_once('-').unwrap();
    let file = dir.join(format!("{name}.toml"));
    let text = format!(
        "name = \"{name}\"\nrelease = \"{release}\"\narch = \"{arch}\"\ndescription = \"For tests\"\nbase = [\"bash\"]\n\n\
         [[repository]]\nname = \"base\"\nbaseurl = \"{baseurl}\"\ngpgcheck = false\n"
    );
    fs_err::write(&file, text).unwrap();
    file
}

/// A farm that `up` runs, in a folder of its own.
pub struct Farm {
    pub data: TempDir,
    pub up: Process,
    pub url: String,
}

impl Farm {
    /// Starts one on a free port.
    pub fn start(recipes: &[PathBuf]) -> Self {
        // PostgreSQL and builds run as other users, who have to get there.
        let passable = Permissions::from_mode(0o711);
        let data = tempfile::Builder::new().prefix("farm-up-").permissions(passable).tempdir().unwrap();
        let (up, url) = up(data.path(), recipes);
        Self { data, up, url }
    }

    /// Starts it again on the same data.
    pub fn start_again(&mut self) {
        (self.up, self.url) = up(self.data.path(), &[]);
    }

    /// `farm-admin` on this farm.
    pub fn admin(&self) -> assert_cmd::Command {
        let mut command = command();
        command.arg("--data").arg(self.data.path());
        assert_cmd::Command::from_std(command)
    }

    /// The processes of this farm, `up` included: those that name its folder.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let data = self.data.path().to_str().unwrap();
        let numbers = fs_err::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        let named = |pid: u32| {
            let words = fs_err::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&words).replace('\0', " ");
            line.contains(data).then_some((pid, line))
        };
        numbers.filter_map(named).collect()
    }

    /// Waits until nothing of it runs any more.
    pub fn wait_until_gone(&self) {
        eventually_blocking("the end of all processes of the farm", DEADLINE, || {
            self.processes().is_empty().then_some(())
        });
    }

    /// The process of a daemon, while it has one.
    pub fn daemon(&self, name: &str) -> Option<u32> {
        let wanted = format!("run {name} ");
        self.processes().into_iter().find_map(|(pid, line)| line.contains(&wanted).then_some(pid))
    }
}

impl Drop for Farm {
    /// The folder goes after the last process that writes there.
    fn drop(&mut self) {
        self.up.kill();
        if !std::thread::panicking() {
            self.wait_until_gone();
        }
    }
}

fn up(data: &Path, recipes: &[PathBuf]) -> (Process, String) {
    let mut command = command();
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    for recipe in recipes {
        command.arg("--platform").arg(recipe);
    }
    let up = Process::start("farm-admin up", command);
    let line = up.wait_for_log("Farm is ready: ");
    let url = line.trim_start_matches("Farm is ready: ").to_owned();
    (up, url)
}

/// Asks a farm once whether it is ready.
pub fn readiness(url: &str) -> Result<(), ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let transport = Transport::new(url, "tests").unwrap();
        transport.get("readyz").repeat(Repeat::Never).timeout(Duration::from_secs(10)).done().await
    })
}
