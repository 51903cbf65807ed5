//! What processes on other hosts have to know of an upload that is under way to S3.
//!
//! Staged files are on the disk of the process that receives them. When a connection ends before the upload does, what it brought is put
//! into the bucket as one object, a *segment*, `staging/<uuid>/<offset>`. Whichever process a balancer sends the next connection to fetches
//! what it lacks.
//!
//! Two connections of one upload at once, at two processes, do no harm: each has a beginning of the same file, segments that overlap are
//! read as far as they go on, and in the end the digest decides.

use std::{
    fs::File,
    io::{self, Write as _},
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, ObjectStore, path::Path};
use uuid::Uuid;

use crate::{s3, staging::blocking};

const FOLDER: &str = "staging";

/// The uploads under way of which processes on other hosts know.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    objects: Arc<dyn ObjectStore>,
}

/// A piece of an upload, as its name and size tell.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    start: u64,
    end: u64,
}

impl Shared {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects }
    }

    /// The segments of an upload that follow each other from its beginning on.
    pub(crate) async fn segments(&self, id: Uuid) -> object_store::Result<Vec<Segment>> {
        let folder = Path::from_iter([FOLDER, &id.to_string()]);
        let found = self.objects.list(Some(&folder)).try_filter_map(|meta| async move {
            let start: Option<u64> = meta.location.filename().and_then(|name| name.parse().ok());
            Ok(start.map(|start| Segment { start, end: start + meta.size }))
        });
        Ok(in_a_row(found.try_collect().await?))
    }

    /// Puts a part of what was staged into the bucket.
    pub(crate) async fn put(&self, id: Uuid, file: Arc<File>, range: Range<u64>) -> object_store::Result<()> {
        s3::upload(&*self.objects, &name(id, range.start), file, range).await
    }

    /// Appends to the file what it lacks of the segments.
    pub(crate) async fn fetch(
        &self,
        id: Uuid,
        segments: &[Segment],
        file: &Arc<File>,
        mut have: u64,
    ) -> object_store::Result<()> {
        let skip = segments.partition_point(|segment| segment.end <= have);
        for segment in &segments[skip..] {
            let range = Some(GetRange::Bounded(have - segment.start..segment.end - segment.start));
            let options = GetOptions { range, ..GetOptions::default() };
            let mut pieces = self.objects.get_opts(&name(id, segment.start), options).await?.into_stream();
            while let Some(piece) = pieces.try_next().await? {
                let file = Arc::clone(file);
                have += piece.len() as u64;
                blocking(move || (&*file).write_all(&piece)).await.map_err(disk)?;
            }
        }
        Ok(())
    }

    /// Removes the segments of an upload.
    pub(crate) async fn remove(&self, id: Uuid) -> object_store::Result<()> {
        let folder = Path::from_iter([FOLDER, &id.to_string()]);
        self.remove_all(&folder, |_| true).await.map(drop)
    }

    /// Removes segments of uploads that nobody goes on with. Returns how many.
    pub(crate) async fn sweep(&self, idle: Duration) -> object_store::Result<u64> {
        let old = SystemTime::now().checked_sub(idle);
        self.remove_all(&Path::from(FOLDER), move |modified| old.is_some_and(|old| modified <= old)).await
    }

    async fn remove_all(&self, folder: &Path, is_due: impl Fn(SystemTime) -> bool) -> object_store::Result<u64> {
        let all =
            self.objects.list(Some(folder)).try_filter(|meta| std::future::ready(is_due(meta.last_modified.into())));
        let all: Vec<_> = all.map_ok(|meta| meta.location).try_collect().await?;
        let count = all.len() as u64;
        let gone = self.objects.delete_stream(futures::stream::iter(all).map(Ok).boxed());
        gone.try_for_each(|_| std::future::ready(Ok(()))).await?;
        Ok(count)
    }
}

/// Of so many digits, so that a listing has them in their order.
fn name(id: Uuid, start: u64) -> Path {
    Path::from_iter([FOLDER, &id.to_string(), &format!("{start:020}")])
}

/// How long an upload is whose segments follow each other.
pub(crate) fn length(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.end).max().unwrap_or(0)
}

/// Leaves out those that bring nothing new, and what comes after a gap.
fn in_a_row(mut all: Vec<Segment>) -> Vec<Segment> {
    all.sort();
    let mut have = 0;
    all.retain(|segment| {
        let goes_on = segment.start <= have && segment.end > have;
        have = if goes_on { segment.end } else { have };
        goes_on
    });
    all
}

fn disk(source: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "staging", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(all: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let all = all.iter().map(|(start, end)| Segment { start: *start, end: *end }).collect();
        in_a_row(all).into_iter().map(|segment| (segment.start, segment.end)).collect()
    }

    #[test]
    fn segments_count_as_far_as_they_follow_each_other() {
        assert_eq!(row(&[]), []);
        assert_eq!(row(&[(10, 20), (0, 10)]), [(0, 10), (10, 20)]);
        assert_eq!(row(&[(0, 10), (11, 20)]), [(0, 10)], "after a gap");
        assert_eq!(row(&[(5, 10)]), [], "no beginning");
    }

    #[test]
    fn of_segments_that_overlap_those_count_that_bring_something_new() {
        assert_eq!(row(&[(0, 10), (5, 8), (8, 30), (10, 20)]), [(0, 10), (8, 30)]);
    }
}
