//! How things look to a person.

pub mod job;
mod measure;
mod style;
mod table;
mod text;

pub use measure::{ago, count, elapsed, size};
pub use style::{BOLD, DIM, outcome_style, progress, task_state};
pub use table::Table;
pub use text::{LogText, file_name, join, shown};
