//! Who is it: tokens and Kerberos tickets.
//!
//! A [`Token`] is shown once, to the one who will use it. The farm stores only its digest, so that nobody who reads the
//! database can act as someone else. A Kerberos ticket is worth one: see [`negotiate`]. Who comes with either
//! is [`Remembered`] for a moment.

mod bearer;
mod file;
pub mod negotiate;
mod remembered;
mod token;

pub use bearer::{BearerError, bearer};
pub use file::{TokenFileError, read_token_file};
pub use remembered::Remembered;
pub use token::{ParseTokenError, Token};
