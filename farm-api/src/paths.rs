//! URLs of things people look at, made in one place.

use farm_types::{ArtifactId, BucketName, BuilderName, FileName, JobId, PlatformName, TaskId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in one segment of a URL's path as it is (RFC 3986, section 2.3: unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Page of a job.
pub fn job(id: JobId) -> String {
    format!("/jobs/{id}")
}

/// Page of a task.
pub fn task(id: TaskId) -> String {
    format!("/tasks/{id}")
}

/// Page of a builder.
pub fn builder(name: &BuilderName) -> String {
    format!("/builders/{}", segment(name.as_str()))
}

/// Page of a platform.
pub fn platform(name: &PlatformName) -> String {
    format!("/platforms/{}", segment(name.as_str()))
}

/// The file itself. The name is for the reader; the number decides.
pub fn artifact(id: ArtifactId, name: &FileName) -> String {
    format!("/artifacts/{id}/{}", segment(name.as_str()))
}

/// How dnf is told of what a bucket holds for a platform.
pub fn repo_file(bucket: &BucketName, platform: &PlatformName) -> String {
    format!("/repositories/{}/{}/farm.repo", segment(bucket.as_str()), segment(platform.as_str()))
}
