//! Metrics of what is kept for further builds.

use metrics::{counter, gauge};

/// How many base trees (`tree`) or layers (`layer`) there are, and how large they are.
pub fn kept(kind: &'static str, count: usize, bytes: u64) {
    gauge!("farm_builder_kept", "kind" => kind).set(count as f64);
    gauge!("farm_builder_kept_bytes", "kind" => kind).set(bytes as f64);
}

/// One of them was evicted.
pub fn evicted() {
    counter!("farm_builder_evicted_total").increment(1);
}

/// How the dependencies of a source package came to be there: `known` by what was asked for, `solved` to what was there, `made`.
pub fn layer(how: &'static str) {
    counter!("farm_builder_dependencies_total", "how" => how).increment(1);
}
