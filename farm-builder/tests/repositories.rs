//! Platforms whose repositories are reached over the network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use common::{Build, SMALL, driver, platform, processes_with, repository::Repository, script, shared_data};
use farm_api::recipe::{self, Recipe};
use farm_builder::BuildOutcome;
use farm_testing::{DEADLINE, eventually};
use farm_types::Cause;

/// A web server with the packages of `mini12`, until dropped.
struct Server(Child);

impl Server {
    fn start() -> (Self, Recipe) {
        let mut recipe = platform("mini12");
        let repository = &mut recipe.repositories[0];
        let folder = repository.baseurl.as_deref().unwrap().strip_prefix("file://").unwrap().to_owned();
        let (server, url) = Self::of(&folder);
        repository.baseurl = Some(url);
        (server, recipe)
    }

    /// A web server with the files of a folder, and its address.
    fn of(folder: &str) -> (Self, String) {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.split_whitespace().skip_while(|word| *word != "port").nth(1).unwrap().parse().unwrap();
        (Self(child), format!("http://127.0.0.1:{port}/"))
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

#[tokio::test]
async fn a_scriptlet_that_does_not_end_keeps_no_other_build_from_what_is_fetched_and_spoils_none_of_it() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let (mark, slow) = (format!("mark-{}-slow", std::process::id()), Repository::new());
    let spoil = "for package in /var/cache/dnf/*/packages/slow-*.rpm; do echo spoilt >> $package; done";
    let post = format!("%post\n{spoil}\ntouch /var/cache/dnf/planted\n(exec -a {mark} sleep 1000)");
    let package = slow.add("slow", "1", "slow", &post);
    let ((_base, mut recipe), (_slow, url)) = (Server::start(), Server::of(slow.folder().to_str().unwrap()));
    recipe.repositories.push(recipe::Repository { baseurl: Some(url), ..slow.described() });
    recipe.base = vec!["buildsys-build".to_owned()];
    let needing = |what: &str| {
        let mut build = Build::new("mini12", &[&script(&[("PREAMBLE", &format!("BuildRequires: {what}"))])]);
        build.request.platform = recipe.clone();
        build
    };

    let hanging = needing("slow");
    let cancel = hanging.cancel.clone();
    let others = async {
        let hangs = || processes_with(&mark).iter().any(|process| process.contains("1000"));
        eventually("the scriptlet to hang", DEADLINE, async || hangs().then_some(())).await;
        let other = tokio::time::timeout(DEADLINE, needing("bison").run(&driver)).await;
        assert!(hangs());
        cancel.cancel();
        other
    };
    let (hung, other) = tokio::join!(hanging.run(&driver), others);
    assert_eq!(hung.outcome(), &BuildOutcome::Cancelled);
    assert_eq!(other.expect("it waits for a scriptlet of another build").packages().len(), 2);

    let files = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let cache = common::kept(data.path(), "trees")[0].join("cache");
    assert!(!cache.join("planted").exists());
    let repositories = files(&cache).into_iter().filter(|path| path.join("packages").exists());
    let fetched: Vec<_> = repositories.flat_map(|path| files(&path.join("packages"))).collect();
    let copy = fetched.iter().find(|path| path.file_name() == package.file_name()).unwrap();
    assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(package).unwrap());
    // Neither has left anything of its own.
    assert_eq!(files(&data.path().join("work")), Vec::<std::path::PathBuf>::new());
}

/// A repository with one package, `thing`, whose file says which edition it is.
fn thing(folder: &std::path::Path, version: &str) -> (Server, String) {
    let top = format!("_topdir {}", folder.display());
    let spec = script(&[("INSTALL", &format!("echo edition {version} > %{{buildroot}}/usr/share/script/file"))]);
    let spec = spec.replace("Name: script", "Name: thing").replace("Version: 1", &format!("Version: {version}"));
    let file = folder.join("thing.spec");
    std::fs::write(&file, spec).unwrap();
    let made = Command::new("rpmbuild").args(["-bb", "--define", &top]).arg(&file).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let repository = folder.join("RPMS");
    let indexed = Command::new("createrepo_c").arg("-q").arg(&repository).status().unwrap();
    assert!(indexed.success());
    Server::of(repository.to_str().unwrap())
}

fn extra(name: &str, url: &str, priority: u16) -> recipe::Repository {
    let text = format!("name = '{name}'\nbaseurl = '{url}'\ngpgcheck = false\npriority = {priority}");
    toml::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_build_installs_from_repositories_of_its_own_by_priority_and_no_other_build_has_them() {
    let driver = driver(shared_data()).await;
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ((_one, old), (_two, new)) = (thing(old.path(), "1"), thing(new.path(), "2"));
    let spec = script(&[("PREAMBLE", "BuildRequires: thing"), ("BUILD", "cat /usr/share/script/file")]);
    for (priorities, edition) in [((10, 90), "edition 1"), ((90, 10), "edition 2"), ((99, 99), "edition 2")] {
        let mut build = Build::new("mini12", &[&spec]);
        build.request.repositories =
            vec![extra("farm-job-1", &old, priorities.0), extra("farm-job-2", &new, priorities.1)];
        let built = build.run(&driver).await;
        assert_eq!(built.packages().len(), 2, "{}", built.log);
        assert!(built.log.lines().any(|line| line == edition), "{edition}: {}", built.log);
    }
    let built = Build::new("mini12", &[&spec]).run(&driver).await;
    assert!(built.failure().message.contains("cannot provide: thing"), "{:?}", built.failure());
}

#[tokio::test]
async fn a_repository_of_the_jobs_own_that_is_away_is_the_jobs_fault() {
    let driver = driver(shared_data()).await;
    let folder = tempfile::tempdir().unwrap();
    let (server, url) = thing(folder.path(), "1");
    drop(server);
    let mut build = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: thing")])]);
    build.request.repositories = vec![extra("farm-job-1", &url, 99)];
    let built = build.run(&driver).await;
    // Nobody but the job's own person can do something about it.
    let failure = built.failure();
    assert_eq!(failure.cause, Cause::Dependencies, "{failure:?}");
    let expected = format!("the repository {url} that the job names cannot be used: ");
    assert!(failure.message.starts_with(&expected), "{failure:?}");
}

#[tokio::test]
async fn a_package_that_is_not_what_its_repository_says_is_not_installed() {
    let repository = Repository::new();
    let package = repository.add("thing", "1", "as it should be", "");
    let mut bytes = std::fs::read(&package).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&package, bytes).unwrap();

    let mut build = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: thing")])]);
    build.request.platform.repositories.push(repository.described());
    let error = build.run(&driver(shared_data()).await).await.result.unwrap_err();
    assert_eq!(error.cause, Cause::Chroot, "{error}");
    assert!(error.message.contains("checksum"), "{error}");
}
