//! The programs of the workspace.

use std::{
    collections::HashSet,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::profile_dir;

/// The packages that this process has seen built.
static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// The path of a program of the workspace, built from the present sources.
///
/// cargo builds what a test links, not what it runs, so this has cargo look once per process: a stale program would make a
/// test lie. Where the programs are known to be fresh, `FARM_PROGRAMS` names their folder and cargo is left out.
pub fn program(package: &str, name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os("FARM_PROGRAMS") {
        let path = PathBuf::from(dir).join(name);
        assert!(path.is_file(), "FARM_PROGRAMS is set, but there is no {}", path.display());
        return path;
    }
    build(package);
    let path = profile_dir().join(name);
    assert!(path.is_file(), "the package {package} has no program {name}: {} is missing", path.display());
    path
}

fn build(package: &str) {
    // Held while cargo works: the other tests of this process wait for the same thing.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if built.contains(package) {
        return;
    }
    let profile_dir = profile_dir();
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--bins", "--package", package, "--profile", profile, "--target-dir"])
        .arg(profile_dir.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("cannot run cargo to build {package}: {error}"));
    assert!(output.status.success(), "cannot build {package}:\n{}", String::from_utf8_lossy(&output.stderr));
    built.insert(package.to_owned());
}
