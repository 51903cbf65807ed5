//! How fast the store receives and reads, against `sha256sum` and `cp` of the same bytes in the same run.
//!
//! `cargo bench -p farm-store`; sizes by `FARM_BENCH_MIB` (1024) and `FARM_BENCH_ROUNDS` (5). Prints medians.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farm_store::{BodyError, Store, StoreConfig};
use farm_types::Digest;
use futures::{Stream, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const MIB: usize = 1 << 20;
/// As large as what a server reads from a socket at once.
const PIECE: usize = 64 << 10;

const SMALL_BLOB: usize = 4 << 10;
const SMALL_BLOBS: usize = 100;
const ONE_SMALL: &str = "8 one blob of 4 KiB";

type Times = BTreeMap<&'static str, Vec<Duration>>;

fn main() -> Result<(), BodyError> {
    let number = |name, default| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (mib, rounds) = (number("FARM_BENCH_MIB", 1024), number("FARM_BENCH_ROUNDS", 5));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let block = noise();
    let source = folder.path().join("source");
    write_source(&source, &block, mib)?;

    let mut times = Times::new();
    let runtime = tokio::runtime::Runtime::new()?;
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}, {mib} MiB each");
        let digest = with_programs(&source, folder.path(), &mut times)?;
        runtime.block_on(with_store(folder.path(), &block, mib, digest, &mut times))?;
    }
    report(times, mib);
    Ok(())
}

/// `sha256sum` and `cp`: what it would cost by hand. The source is in the page cache, as it is for the store.
fn with_programs(source: &Path, folder: &Path, times: &mut Times) -> Result<Digest, BodyError> {
    let copy = folder.join("copy");
    let begin = Instant::now();
    let sum = Command::new("sha256sum").arg(source).stderr(Stdio::inherit()).output()?;
    let (hashed, begin) = (begin.elapsed(), Instant::now());
    Command::new("cp").arg(source).arg(&copy).status()?;
    let (copied, begin) = (begin.elapsed(), Instant::now());
    fs::File::open(&copy)?.sync_all()?;
    let synced = begin.elapsed();
    fs::remove_file(&copy)?;
    times.entry("1 sha256sum + cp").or_default().push(hashed + copied);
    times.entry("2 sha256sum + cp + fsync").or_default().push(hashed + copied + synced);
    let text = String::from_utf8(sum.stdout)?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}

async fn with_store(
    folder: &Path,
    block: &Bytes,
    mib: usize,
    digest: Digest,
    times: &mut Times,
) -> Result<(), BodyError> {
    let (size, path) = ((mib * MIB) as u64, folder.join("store"));
    let store = Store::open(&StoreConfig::Folder { path }, folder)?;
    let mut note = |what, begin: Instant| times.entry(what).or_default().push(begin.elapsed());

    let begin = Instant::now();
    let mut staged = store.stage(Uuid::new_v4()).await?;
    staged.append_stream(body(block, mib), size).await?;
    note("3 stage + append", begin);
    let fsync = Instant::now();
    store.commit(staged, &digest, size).await?;
    note("4 commit (fsync, rename)", fsync);
    note("5 received in all", begin);

    let begin = Instant::now();
    let mut read = 0;
    let mut blob = store.get(&digest).await?.stream();
    while let Some(piece) = blob.try_next().await? {
        read += piece.len();
    }
    assert_eq!(read as u64, size);
    note("6 read, verified", begin);
    store.delete(&digest).await?;

    let id = Uuid::new_v4();
    store.stage(id).await?.append_stream(body(block, mib), size).await?;
    let begin = Instant::now();
    store.commit(store.stage(id).await?, &digest, size).await?;
    note("7 resumed at the end, committed", begin);
    store.delete(&digest).await?;
    with_small_blobs(&store, block, times).await
}

/// What the fsyncs of one commit cost, when there is next to nothing to write.
async fn with_small_blobs(store: &Store, block: &Bytes, times: &mut Times) -> Result<(), BodyError> {
    for number in 0..SMALL_BLOBS {
        let bytes = block.slice(number * SMALL_BLOB..(number + 1) * SMALL_BLOB);
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        let begin = Instant::now();
        store.put_stream(&digest, SMALL_BLOB as u64, stream::iter([Ok::<_, BodyError>(bytes)])).await?;
        times.entry(ONE_SMALL).or_default().push(begin.elapsed());
        store.delete(&digest).await?;
    }
    Ok(())
}

fn body(block: &Bytes, mib: usize) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    let block = block.clone();
    let pieces = MIB / PIECE;
    stream::iter((0..mib * pieces).map(move |at| Ok(block.slice(at % pieces * PIECE..(at % pieces + 1) * PIECE))))
}

fn write_source(file: &Path, block: &[u8], mib: usize) -> std::io::Result<()> {
    let mut source = fs::File::create(file)?;
    (0..mib).try_for_each(|_| std::io::Write::write_all(&mut source, block))
}

/// One MiB that does not compress.
fn noise() -> Bytes {
    let mut block = vec![0; MIB];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut block);
    block.into()
}

fn report(times: Times, mib: usize) {
    for (what, mut all) in times {
        all.sort();
        let median = all[all.len() / 2];
        if what == ONE_SMALL {
            println!("{what:34} {:7.2} ms", median.as_secs_f64() * 1e3);
        } else {
            println!("{what:34} {:7.3} s   {:6.0} MiB/s", median.as_secs_f64(), mib as f64 / median.as_secs_f64());
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    println!("peak memory {}", peak.trim());
}
