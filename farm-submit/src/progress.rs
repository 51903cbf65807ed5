//! Progress of one file: a bar for a person, one line for everything else.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    output::aside,
    show::{shown, size},
};

/// Smaller files are read before anybody could look.
const WORTH_A_BAR: u64 = 32 * 1024 * 1024;

/// How far a file has come.
#[derive(Debug, Clone)]
pub struct FileProgress {
    bar: ProgressBar,
    name: String,
    size: u64,
    began: Instant,
    quiet: bool,
}

impl FileProgress {
    /// Progress of something quick, which is only worth showing of a large file to a person.
    pub fn brief(live: bool, doing: &'static str, name: &str, size: u64) -> Self {
        Self::begin(live && size >= WORTH_A_BAR, true, doing, name, size)
    }

    /// Progress of something slow: a bar when `live`, else, unless `quiet`, a line at the end.
    pub fn begin(live: bool, quiet: bool, doing: &'static str, name: &str, size: u64) -> Self {
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(size), target).with_prefix(doing);
        bar.set_message(shown(name).into_owned());
        let template =
            "{prefix} {msg}  [{bar:24}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
        // The template is constant; were it wrong, a plain bar would do.
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        Self { bar, name: name.to_owned(), size, began: Instant::now(), quiet }
    }

    /// So many bytes are done.
    pub fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// All are done; `done` says what.
    pub fn end(&self, done: &str) {
        self.bar.finish_and_clear();
        if !self.quiet {
            let seconds = self.began.elapsed().as_secs_f64();
            let rate = size((self.size as f64 / seconds.max(0.001)) as u64);
            aside(&format!("{done} {}: {} in {seconds:.1}s, {rate}/s", shown(&self.name), size(self.size)));
        }
    }

    /// There was nothing to do, for that reason.
    pub fn skip(&self, why: &str) {
        self.bar.finish_and_clear();
        if !self.quiet {
            aside(&format!("{}: {why}", shown(&self.name)));
        }
    }
}
