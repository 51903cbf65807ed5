//! What is left behind that nobody needs.

use std::{
    collections::HashSet,
    fs::FileTimes,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use farm_janitor::chores::{self, Tools};
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use crate::{farm::Farm, judge::Evidence, questions};

/// The most connections that the daemons' pools may have, all together.
const CONNECTIONS: i64 = 90;
/// How long the server may take to see that they are gone.
const HANGING_UP: Duration = Duration::from_secs(20);
/// Long ago.
const AGE: Duration = Duration::from_secs(3 * 24 * 3600);

/// What is wrong with a farm at rest whose daemons run still.
pub fn of_running(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let conn = &mut farm.database.connect()?;
    let mut wrongs = Vec::new();
    for (what, count) in questions::connections(conn)? {
        if count > if what == "connections" { CONNECTIONS } else { 0 } {
            wrongs.push(format!("there are {count} {what}"));
        }
    }
    wrongs.extend(farm_db::invariants::check(conn)?);
    Ok(wrongs)
}

/// What is wrong with a farm that has ended in good order.
pub async fn of_ended(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let mut wrongs = until_hung_up(farm).await?;
    let root = farm.root.display().to_string();
    let of_builders: Vec<PathBuf> = entries(&farm.configs.builders)?;
    for folder in of_builders.iter().flat_map(|data| [data.join("spool"), data.join("work")]) {
        wrongs.extend(files(&folder)?.into_iter().map(|file| format!("{} is left", file.display())));
    }
    wrongs.extend(files(&farm.root.join("spool"))?.into_iter().map(|file| format!("{} is left", file.display())));
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    let store = farm.configs.store.display().to_string();
    let left = mounts.lines().filter(|line| line.contains(&root) && !line.contains(&store));
    wrongs.extend(left.map(|line| format!("a mount is left: {line}")));
    wrongs.extend(processes(farm)?.into_iter().map(|line| format!("a process is left: {line}")));
    wrongs.extend(groups(&farm.configs.builders)?.into_iter().map(|path| format!("{} is left", path.display())));
    Ok(wrongs)
}

/// What is left of the connections, once the server has had time to see that nobody is at their other ends.
async fn until_hung_up(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let conn = &mut farm.database.connect()?;
    let end = Instant::now() + HANGING_UP;
    loop {
        let left = questions::connections(conn)?.into_iter().filter(|(_, count)| *count > 0);
        let left: Vec<_> = left.map(|(what, count)| format!("{count} {what} are left")).collect();
        if left.is_empty() || Instant::now() > end {
            return Ok(left);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Has the janitor remove what nobody needs, as it would in some days, and answers what is wrong with what remains.
pub async fn of_swept(farm: &Farm, evidence: &Evidence) -> anyhow::Result<Vec<String>> {
    let mut config: farm_janitor::Config = toml::from_str(&farm.configs.janitor())?;
    config.upload_idle_seconds = 0;
    let tools = Tools::open(&config)?;
    for file in files(&farm.configs.store)? {
        // A file that nothing may be written to is none of ours.
        let times = FileTimes::new().set_modified(SystemTime::now() - AGE);
        std::fs::File::open(&file)?.set_times(times)?;
    }
    questions::age(&mut farm.database.connect()?)?;
    chores::uploads::run_once(tools.clone()).await?;
    // Found, and a grace later removed.
    chores::blobs::run_once(tools.clone()).await?;
    questions::age(&mut farm.database.connect()?)?;
    chores::blobs::run_once(tools).await?;

    let conn = &mut farm.database.connect()?;
    let mut wrongs: Vec<String> = questions::left_behind(conn)?
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what} are left"))
        .collect();
    wrongs.extend(farm_db::invariants::check(conn)?);
    let known: HashSet<_> = questions::blobs(conn)?.into_iter().collect();
    let kept: HashSet<_> = evidence.store.list(None).map_ok(|blob| (blob.digest, blob.size)).try_collect().await?;
    wrongs.extend(known.difference(&kept).map(|(digest, _)| format!("the blob {digest} is gone")));
    wrongs.extend(kept.difference(&known).map(|(digest, _)| format!("nobody knows the blob {digest}")));
    let staged = files(&farm.configs.store.join("staging"))?;
    wrongs.extend(staged.into_iter().map(|file| format!("{} is left", file.display())));
    Ok(wrongs)
}

/// Processes of the farm, but for the database and ourselves.
fn processes(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let (etc, builders) = (farm.root.join("etc"), &farm.configs.builders);
    let mut left = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        // Processes come and go.
        let Ok(line) = std::fs::read(entry?.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if [etc.as_path(), builders].iter().any(|folder| line.contains(&folder.display().to_string())) {
            left.push(line);
        }
    }
    Ok(left)
}

/// Control groups of builds, which are named by the data folder of their builder.
fn groups(builders: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let data = Sha256::digest(builders.join("real").as_os_str().as_encoded_bytes());
    let prefix = format!("farm-{}-", hex(&data[..4]));
    let mut left = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        // Groups come and go.
        let Ok(inside) = entries(&folder) else { continue };
        for path in inside.into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
                left.push(path.clone());
            }
            folders.push(path);
        }
    }
    Ok(left)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    Ok(fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// All files below a folder.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    Ok(all)
}
