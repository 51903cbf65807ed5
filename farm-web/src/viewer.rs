//! Counts those who watch.

use metrics::gauge;

/// Somebody who watches something as it grows or changes; counted as long as this lives.
pub struct Viewer(&'static str);

impl Viewer {
    /// One more who watches this kind of thing.
    pub fn new(kind: &'static str) -> Self {
        gauge!("farm_web_viewers", "kind" => kind).increment(1);
        Self(kind)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        gauge!("farm_web_viewers", "kind" => self.0).decrement(1);
    }
}
