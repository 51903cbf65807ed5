//! The steps, one function each.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;

use super::{
    Answer, Chroot, Dnf, Order, Script, collect,
    commands::{build_user, chroot_root, copy, on_scene, remove, run},
    machine, names,
    scene::{Scene, folder},
};

/// Where rpm's database lies while a base tree is made; `prepare.sh` moves it to where the platform's own rpm looks for it.
const FIRST_RPMDB: &str = "/usr/lib/sysimage/rpm";

/// Runs as root of a new tree: adds the build user, and prints where the platform's rpm has its database.
const PREPARE: &str = include_str!("prepare.sh");

pub fn carry_out(order: Order) -> anyhow::Result<Answer> {
    if order.narrow() {
        machine::narrow()?;
    }
    match order {
        Order::Refresh { cache, dnf } => refresh(&cache, &dnf),
        Order::MakeTree { making, metadata, packages, dnf } => make_tree(&making, metadata.as_deref(), &packages, &dnf),
        Order::Install { chroot, packages, results, dnf, explain } => {
            install(&chroot, &packages, results.as_deref(), &dnf, explain)
        }
        Order::Run { chroot, script, source, network, arguments, narrow: _ } => {
            run_script(&chroot, script, source.as_deref(), network, &arguments)
        }
        Order::Collect { chroot, kind, into, most_bytes } => {
            Ok(Answer::Collected(collect::collect(&chroot.changes.join("upper"), kind, &into, most_bytes)?))
        }
        Order::Index { folder } => index(&folder),
        Order::Remove { path } => remove(&path).map(|()| Answer::Done),
    }
}

fn refresh(cache: &Path, dnf: &Dnf) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    folder(cache)?;
    scene.show(cache, "cache")?;
    folder(&scene.path("chroot"))?;
    Ok(Answer::Exit(call_dnf(&scene, dnf, dnf.network, FIRST_RPMDB, &["--quiet", "--refresh", "makecache"], &[])?))
}

fn make_tree(making: &Path, metadata: Option<&Path>, packages: &[String], dnf: &Dnf) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let (root, cache) = (making.join("root"), making.join("cache"));
    folder(&root)?;
    match metadata {
        Some(metadata) => copy(metadata, &cache)?,
        None => folder(&cache)?,
    }
    scene.show(&cache, "cache")?;
    let root = scene.show(&root, "chroot")?;
    let packages: Vec<PathBuf> = packages.iter().map(PathBuf::from).collect();
    let exit = install_packages(&scene, dnf, FIRST_RPMDB, &packages)?;
    if exit != 0 {
        return Ok(Answer::Exit(exit));
    }
    let prepared = chroot_root(&root, PREPARE)?.stdout(Stdio::piped()).output().context("cannot start bwrap")?;
    if !prepared.status.success() {
        return Ok(Answer::Exit(prepared.status.code().unwrap_or(1)));
    }
    fs_err::write(making.join("rpmdb"), prepared.stdout)?;
    // A tree that is there is used without a look at its files, so they must outlive a power cut that its name outlives.
    rustix::fs::syncfs(fs_err::File::open(making)?.file()).context("cannot write the tree to the disk")?;
    Ok(Answer::Exit(0))
}

fn install(
    chroot: &Chroot,
    packages: &[PathBuf],
    results: Option<&Path>,
    dnf: &Dnf,
    explain: bool,
) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    scene.chroot(chroot)?;
    if dnf.network && !dnf.passing {
        // What is downloaded serves the other builds, too.
        scene.show(&chroot.tree.join("cache"), "cache")?;
    } else {
        scene.show_writable(&chroot.tree.join("cache"), &chroot.changes.join("cache"), "cache")?;
    }
    if let Some(results) = results {
        scene.show(results, "results")?;
    }
    let mut shown = Vec::new();
    for (n, package) in packages.iter().enumerate() {
        shown.push(scene.show(package, &format!("packages/{n}.rpm"))?);
    }
    let rpmdb = fs_err::read_to_string(chroot.tree.join("rpmdb"))?;
    let exit = if explain {
        call_dnf(&scene, dnf, dnf.network, &rpmdb, &["--assumeno", "install"], &shown)?
    } else {
        install_packages(&scene, dnf, &rpmdb, &shown)?
    };
    if dnf.network && !dnf.passing && results.is_some() {
        forget_results(&chroot.tree.join("cache"))?;
    }
    Ok(Answer::Exit(exit))
}

fn run_script(
    chroot: &Chroot,
    script: Script,
    source: Option<&Path>,
    network: bool,
    arguments: &[String],
) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let root = scene.chroot(chroot)?;
    let source = source.map(|path| scene.show(path, "source.src.rpm")).transpose()?;
    if network {
        // Each time: a package that was installed since may have brought its own.
        names::as_here(&root).context("cannot let the chroot resolve names as this host does")?;
    }
    Ok(Answer::Exit(run(build_user(&root, script, source.as_deref(), network)?.args(arguments))?))
}

/// Removes from a shared cache what dnf has kept of one build's own repository.
fn forget_results(cache: &Path) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(cache)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"farm-results")) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Two calls where the network is needed: scriptlets of packages run in the second, which has none.
fn install_packages(scene: &Scene, dnf: &Dnf, rpmdb: &str, packages: &[PathBuf]) -> anyhow::Result<i32> {
    if dnf.network {
        let exit = call_dnf(scene, dnf, true, rpmdb, &["--quiet", "--downloadonly", "install"], packages)?;
        if exit != 0 {
            return Ok(exit);
        }
    }
    call_dnf(scene, dnf, false, rpmdb, &["install"], packages)
}

fn call_dnf(
    scene: &Scene,
    dnf: &Dnf,
    network: bool,
    rpmdb: &str,
    verb: &[&str],
    packages: &[PathBuf],
) -> anyhow::Result<i32> {
    let config = scene.write("dnf.conf", &dnf.config)?;
    // The kernel's file systems stand in the chroot while dnf works, and rpm must not try to make them belong to root.
    scene.write("home/.rpmmacros", &format!("%_dbpath {rpmdb}\n%_netsharedpath /proc:/dev:/sys\n"))?;
    let root = scene.path("chroot");
    let mut command = on_scene(network, &dnf.folders)?;
    command.arg("--dev").arg(root.join("dev")).arg("--proc").arg(root.join("proc"));
    // dnf looks for its cache beneath the chroot, wherever it is told that it is.
    command.arg("--bind").arg(scene.path("cache")).arg(root.join("var/cache/dnf"));
    command.args(["--", "dnf", "--assumeyes", "--releasever=0", "-c"]).arg(config);
    command.arg("--installroot").arg(root).args(verb).args(packages);
    run(&mut command)
}

fn index(folder: &Path) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let folder = scene.show(folder, "results")?;
    scene.write("home/.keep", "")?;
    let mut command = on_scene(false, &[])?;
    command.args(["--", "createrepo_c", "--quiet", "--general-compress-type=gz", "--workers=1"]).arg(folder);
    Ok(Answer::Exit(run(&mut command)?))
}
