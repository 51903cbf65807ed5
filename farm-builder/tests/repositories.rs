//! Platforms whose repositories are reached over the network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use common::{Build, SMALL, driver, platform, script};
use farm_api::recipe::Recipe;
use farm_types::Cause;

/// A web server with the packages of `mini12`, until dropped.
struct Server(Child);

impl Server {
    fn start() -> (Self, Recipe) {
        let mut recipe = platform("mini12");
        let repository = &mut recipe.repositories[0];
        let folder = repository.baseurl.as_deref().unwrap().strip_prefix("file://").unwrap().to_owned();
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", &folder])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.split_whitespace().skip_while(|word| *word != "port").nth(1).unwrap().parse().unwrap();
        repository.baseurl = Some(format!("http://127.0.0.1:{port}/"));
        (Self(child), recipe)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn packages_come_over_the_network_and_are_kept_for_the_next_build() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let (server, recipe) = Server::start();

    let mut build = Build::new("mini12", &[SMALL]);
    build.request.platform = recipe.clone();
    let built = build.run(&driver).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);

    drop(server);
    // Its needs are those of the first build, so nothing has to be fetched.
    let mut build = Build::new("mini12", &[SMALL]);
    build.request.platform = recipe.clone();
    let built = build.run(&driver).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);

    let mut build = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: bison")])]);
    build.request.platform = recipe;
    let error = build.run(&driver).await.result.unwrap_err();
    assert_eq!(error.cause, Cause::Chroot, "{error}");
    assert!(error.message.contains("repository"), "{error}");
}
