//! The steps, one function each.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};

use super::{
    Answer, Bounds, Chroot, Dnf, Order, Script, collect,
    commands::{build_user, chroot_root, copy, list, on_scene, run},
    dnf::{Call, FIRST_RPMDB},
    layer, machine, names,
    removal::remove,
    scene::{self, Scene, folder},
};

/// Runs as root of a new tree: adds the build user, and prints where the platform's rpm has its database.
const PREPARE: &str = include_str!("prepare.sh");

/// Prints what is installed, a package a line. An old rpm knows no SHA-256 of headers.
const INVENTORY: &str = r"
start='%{NAME}\t%|EPOCH?{%{EPOCH}}|\t%{VERSION}\t%{RELEASE}\t%|ARCH?{%{ARCH}}|\t'
rpm -qa --qf ${start}'%|SHA256HEADER?{%{SHA256HEADER}}|\n' 2> /dev/null || rpm -qa --qf ${start}'\n'
";

pub fn carry_out(order: Order, bounds: &Bounds) -> anyhow::Result<Answer> {
    if order.narrow() {
        machine::narrow()?;
    }
    match order {
        Order::Refresh { cache, dnf } => refresh(&cache, &dnf),
        Order::MakeTree { making, metadata, packages, dnf } => make_tree(&making, metadata.as_deref(), &packages, &dnf),
        Order::MakeLayer(order) => layer::make(&order),
        Order::Explain { chroot, packages, results, dnf } => explain(&chroot, &packages, results.as_deref(), &dnf),
        Order::Run { chroot, script, source, network, arguments, narrow: _ } => {
            run_script(&chroot, script, source.as_deref(), network, &arguments, bounds)
        }
        Order::Inventory { chroot } => inventory(&chroot),
        Order::Hold { .. } => anyhow::bail!("to hold is no step"),
        Order::Collect { chroot, kind, into, most_bytes, most_files } => {
            let upper = chroot.changes.join("upper");
            Ok(Answer::Collected(collect::collect(&upper, kind, &into, most_bytes, most_files)?))
        }
        Order::Index { folder } => index(&folder),
        Order::All(orders) => all(orders, bounds),
        Order::Remove { path } => remove(&path).map(|()| Answer::Done),
    }
}

fn all(orders: Vec<Order>, bounds: &Bounds) -> anyhow::Result<Answer> {
    let mut answers = Vec::new();
    for order in orders {
        // bubblewrap may end a moment before all that ran under it.
        end_all_others()?;
        scene::clear()?;
        let answer = carry_out(order, bounds)?;
        let is_last = matches!(answer, Answer::Exit(1..) | Answer::Broken(_));
        answers.push(answer);
        if is_last {
            break;
        }
    }
    Ok(Answer::All(answers))
}

/// Ends all other processes of the helper's namespace, of which it is the first, and waits until they are gone.
fn end_all_others() -> anyhow::Result<()> {
    const ALL: Pid = Pid::from_raw(-1);
    match kill(ALL, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(error).context("cannot end what a script has left running"),
    }
    loop {
        match waitpid(ALL, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error).context("cannot wait for what a script has left running"),
        }
    }
}

fn refresh(cache: &Path, dnf: &Dnf) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    folder(cache)?;
    scene.show(cache, "cache")?;
    folder(&scene.path("chroot"))?;
    let call = Call { scene: &scene, dnf, rpmdb: FIRST_RPMDB };
    Ok(Answer::Exit(call.run(dnf.network, &["--quiet", "--refresh", "makecache"], &[])?))
}

fn make_tree(making: &Path, metadata: Option<&Path>, packages: &[String], dnf: &Dnf) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let (nothing, cache) = (scene.path("empty"), making.join("cache"));
    folder(&nothing)?;
    folder(making)?;
    match metadata {
        Some(metadata) => copy(metadata, &cache)?,
        None => folder(&cache)?,
    }
    scene.show(&cache, "cache")?;
    // Over nothing, as an overlay waits for no disk: rpm's database does, hundreds of times.
    let root = scene.show_writable(&nothing, making, "chroot")?;
    let packages: Vec<PathBuf> = packages.iter().map(PathBuf::from).collect();
    let exit = Call { scene: &scene, dnf, rpmdb: FIRST_RPMDB }.install(&packages)?;
    if exit != 0 {
        return Ok(Answer::Exit(exit));
    }
    let prepared = chroot_root(&root, PREPARE)?.stdout(Stdio::piped()).output().context("cannot start bwrap")?;
    if !prepared.status.success() {
        return Ok(Answer::Exit(prepared.status.code().unwrap_or(1)));
    }
    fs_err::write(making.join("rpmdb"), &prepared.stdout)?;
    let rpmdb = String::from_utf8(prepared.stdout)
        .context("the platform's rpm has its database at a path that is not UTF-8")?;
    let packages = Call { scene: &scene, dnf, rpmdb: &rpmdb }.list(None)?;
    fs_err::write(making.join("packages"), packages.join("\n") + "\n")?;
    scene.hide("chroot")?;
    fs_err::rename(making.join("upper"), making.join("root"))?;
    remove(&making.join("work"))?;
    fs_err::write(making.join("size"), layer::bytes_in(&making.join("root"))?.to_string())?;
    Ok(Answer::Exit(0))
}

fn explain(chroot: &Chroot, packages: &[PathBuf], results: Option<&Path>, dnf: &Dnf) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    scene.chroot(chroot)?;
    scene.show_writable(&chroot.tree.join("cache"), &chroot.changes.join("cache"), "cache")?;
    if let Some(results) = results {
        scene.show(results, "results")?;
    }
    let mut shown = Vec::new();
    for (n, package) in packages.iter().enumerate() {
        shown.push(scene.show(package, &format!("packages/{n}.rpm"))?);
    }
    let rpmdb = fs_err::read_to_string(chroot.tree.join("rpmdb"))?;
    let call = Call { scene: &scene, dnf, rpmdb: &rpmdb };
    Ok(Answer::Exit(call.run(dnf.network, &["--assumeno", "install"], &shown)?))
}

fn run_script(
    chroot: &Chroot,
    script: Script,
    source: Option<&Path>,
    network: bool,
    arguments: &[String],
    bounds: &Bounds,
) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let root = scene.chroot(chroot)?;
    let source = source.map(|path| scene.show(path, "source.src.rpm")).transpose()?;
    if network {
        // Each time: a package that was installed since may have brought its own.
        names::as_here(&root).context("cannot let the chroot resolve names as this host does")?;
    }
    Ok(Answer::Exit(run(build_user(&root, script, source.as_deref(), network, bounds)?.args(arguments))?))
}

fn inventory(chroot: &Chroot) -> anyhow::Result<Answer> {
    let root = Scene::new()?.chroot(chroot)?;
    let (status, text) = list(&mut *chroot_root(&root, INVENTORY)?)?;
    anyhow::ensure!(status.success(), "the rpm of the chroot cannot list what is installed; the log says why");
    Ok(Answer::Inventory(String::from_utf8_lossy(&text).into_owned()))
}

fn index(folder: &Path) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    let folder = scene.show(folder, "results")?;
    scene.write("home/.keep", "")?;
    let mut command = on_scene(false, &[])?;
    command.args(["--", "createrepo_c", "--quiet", "--general-compress-type=gz", "--workers=1"]).arg(folder);
    Ok(Answer::Exit(run(&mut command)?))
}
