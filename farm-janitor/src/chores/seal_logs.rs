//! Puts the log of an attempt that ended without one together to a blob, from the pieces that had arrived: what a builder
//! sent before it died stays readable for good.

use bytes::Bytes;
use farm_db::{
    queue::{self, UnsealedLog},
    read::{self, LogChunk},
};
use farm_types::Digest;
use futures::{Stream, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use super::{Report, Tools};

/// So many logs at a time.
const BATCH: i64 = 20;

/// Seals some logs.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let logs = tools.pool.run(|conn| queue::unsealed_logs(conn, BATCH)).await?;
    for log in &logs {
        seal(&tools, log).await?;
    }
    Ok(Report { done: logs.len() as u64, more: i64::try_from(logs.len())? == BATCH, ..Report::default() })
}

async fn seal(tools: &Tools, log: &UnsealedLog) -> anyhow::Result<()> {
    // Read twice: the store wants to know the digest before it takes the bytes, and a log may be larger than memory.
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    let mut bytes = Box::pin(pieces(tools, log));
    while let Some(piece) = bytes.try_next().await? {
        digest.update(&piece);
        size += piece.len() as u64;
    }
    let digest = Digest::from_bytes(digest.finalize().into());
    let announced = log.clone();
    tools.pool.run(move |conn| queue::expect_log(conn, &announced, &digest)).await?;
    tools.store.put_stream(&digest, size, Box::pin(pieces(tools, log))).await?;
    let log = log.clone();
    tools.pool.run(move |conn| queue::seal_log(conn, &log, &digest, size)).await?;
    Ok(())
}

/// The compressed pieces in order: together they are one gzip file.
fn pieces(tools: &Tools, log: &UnsealedLog) -> impl Stream<Item = farm_db::Result<Bytes>> + Send + 'static {
    let (pool, log) = (tools.pool.clone(), log.clone());
    futures::stream::try_unfold(0_u64, move |start| {
        let (pool, log) = (pool.clone(), log.clone());
        async move {
            let chunks = pool.run(move |conn| read::log_chunks(conn, log.task, log.attempt, start)).await?;
            let Some(next) = chunks.last().map(LogChunk::end) else { return Ok(None) };
            let data: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
            Ok(Some((Bytes::from(data), next)))
        }
    })
}
