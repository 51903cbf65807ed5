//! For benches: what a PostgreSQL server uses up, and the table of what was measured and what is wanted.

mod server;
mod table;

pub use server::{Server, Turn, text};
pub use table::{Table, Wanted, median};
