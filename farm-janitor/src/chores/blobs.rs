//! Removes blobs that nobody needs: mark, wait, sweep.
//!
//! A round walks the digests in 256 pages, by their first byte. Of each page: the blobs without an owner are marked; those that
//! have been marked for the grace and still have no owner are taken away, row and bytes in one transaction; and what the store has
//! that the farm knows nothing about (a daemon was killed between the store and the database) goes too, once it is as old.
//!
//! Never a live one: a row cannot go while another refers to it, and whoever brings bytes announces that before the first of them and
//! waits for the lock under which they are removed (migration `000018_chores`, “Whose is a blob?”).

use std::time::{Duration, SystemTime};

use farm_db::chores::{self, Swept};
use farm_store::Store;
use farm_types::Digest;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;

use super::{Report, Tools};

/// So many blobs in one transaction: as long as it takes to remove them, whoever wants to bring one of them waits.
const BATCH: usize = 100;
/// So many at the same time.
const AT_ONCE: usize = 8;

/// Does a whole round.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let mut swept = Swept::default();
    for first in 0..=u8::MAX {
        add(&mut swept, page(&tools, first).await?);
    }
    let grace = tools.config.chores.blob_grace_seconds;
    let unowned = tools.pool.run(move |conn| chores::unowned(conn, grace)).await?;
    metrics::counter!("farm_blobs_removed_total").increment(swept.blobs);
    metrics::counter!("farm_blob_bytes_removed_total").increment(swept.bytes);
    #[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
    metrics::gauge!("farm_blob_bytes_unowned").set(unowned.bytes as f64);
    Ok(Report::done(swept.blobs))
}

/// Deals with the blobs whose digest begins with that byte.
pub async fn page(tools: &Tools, first: u8) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    tools.pool.run(move |conn| chores::mark_blobs(conn, first)).await?;
    sweep_page(tools, first, &mut swept).await?;
    sweep_strangers(tools, first, &mut swept).await?;
    Ok(swept)
}

/// How much would go. Marks, as nothing is known otherwise.
pub async fn preview(tools: Tools) -> anyhow::Result<Vec<String>> {
    for first in 0..=u8::MAX {
        tools.pool.run(move |conn| chores::mark_blobs(conn, first)).await?;
    }
    let grace = tools.config.chores.blob_grace_seconds;
    let unowned = tools.pool.run(move |conn| chores::unowned(conn, grace)).await?;
    Ok(vec![
        format!("{} blobs of {} bytes would go", unowned.due, unowned.due_bytes),
        format!("{} blobs of {} bytes have no owner", unowned.blobs, unowned.bytes),
    ])
}

async fn sweep_page(tools: &Tools, first: u8, swept: &mut Swept) -> anyhow::Result<()> {
    let grace = tools.config.chores.blob_grace_seconds;
    loop {
        let (store, runtime) = (tools.store.clone(), Handle::current());
        let some = tools.pool.run(move |conn| {
            Ok(chores::sweep_blobs(conn, first, grace, BATCH as i32, |digests| remove(&runtime, &store, digests)))
        });
        let some = some.await??;
        add(swept, some);
        // Those that somebody is busy with are left for the next round, so fewer than there may be is the end of it.
        if some.blobs < BATCH as u64 {
            return Ok(());
        }
    }
}

async fn sweep_strangers(tools: &Tools, first: u8, swept: &mut Swept) -> anyhow::Result<()> {
    let grace = Duration::from_secs(u64::from(tools.config.chores.blob_grace_seconds));
    let old = SystemTime::now().checked_sub(grace);
    let mut pages = tools
        .store
        .list(Some(first))
        .try_filter(move |blob| std::future::ready(old.is_some_and(|old| blob.modified <= old)))
        .map_ok(|blob| (blob.digest, blob.size))
        .try_chunks(BATCH);
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| error.1)?;
        let (store, runtime) = (tools.store.clone(), Handle::current());
        let some = tools
            .pool
            .run(move |conn| Ok(chores::sweep_strangers(conn, &page, |digests| remove(&runtime, &store, digests))));
        add(swept, some.await??);
    }
    Ok(())
}

/// Removes bytes while the transaction is open that knows that nobody needs them. Blocks.
fn remove(runtime: &Handle, store: &Store, digests: &[Digest]) -> Result<(), String> {
    let all = futures::stream::iter(digests.to_vec())
        .map(|digest| async move { store.delete(&digest).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>();
    runtime.block_on(all).map(drop).map_err(|error| error.to_string())
}

fn add(sum: &mut Swept, more: Swept) {
    sum.blobs += more.blobs;
    sum.bytes += more.bytes;
}
