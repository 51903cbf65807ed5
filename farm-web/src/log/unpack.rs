//! Unpacks gzip as it comes.

use std::{
    io::{self, Write},
    mem,
};

use async_stream::try_stream;
use bytes::Bytes;
use farm_store::StoreError;
use flate2::write::MultiGzDecoder;
use futures::{Stream, StreamExt};

/// So much is unpacked at once. gzip makes at most a thousandfold of it, so hostile bytes cannot fill the memory.
const STEP: usize = 8 << 10;

/// The bytes behind a stream of gzip: one file, or several in a row.
pub fn unpack(
    packed: impl Stream<Item = Result<Bytes, StoreError>> + Send,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    try_stream! {
        let mut decoder = MultiGzDecoder::new(Vec::new());
        let mut packed = std::pin::pin!(packed);
        while let Some(piece) = packed.next().await {
            let piece = piece?;
            for step in piece.chunks(STEP) {
                decoder.write_all(step).map_err(damaged)?;
                let out = mem::take(decoder.get_mut());
                if !out.is_empty() {
                    yield Bytes::from(out);
                }
            }
        }
        decoder.try_finish().map_err(damaged)?;
        let rest = mem::take(decoder.get_mut());
        if !rest.is_empty() {
            yield Bytes::from(rest);
        }
    }
}

fn damaged(source: io::Error) -> StoreError {
    StoreError::Io { doing: "unpack a log".to_owned(), source }
}
