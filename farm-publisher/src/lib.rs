//! Makes dnf repositories of what was built.
//!
//! Each bucket has one repository per platform, with the binary packages of all tasks of the bucket that succeeded there;
//! of a package that was built more than once, the build that succeeded last. Source packages are not in it: they are
//! downloaded from their job.
//!
//! What is in the folder of repositories, and who may see it:
//!
//! ```text
//! BUCKET/PLATFORM/packages/DIGEST/NAME.rpm    public; named by content, so that a name that was built again is another file
//! BUCKET/PLATFORM/repodata/…                  public; repomd.xml is the only file that ever changes
//! .publisher/BUCKET/PLATFORM/lock             held by the publisher at work on the repository
//!                            run-…/           what it makes, until it is public
//!                            retired/…        since when which public file is not needed any more
//! ```
//!
//! A publication is a sequence of steps, each of which leaves a repository that dnf can use: packages are brought, then
//! metadata is laid beside the old, then repomd.xml is replaced in one go, and what only the old one named stays for an
//! hour for those who have read it. A publisher may be killed between any two of them.
//!
//! - `daemon`: when to publish what; `publication`: the steps;
//! - `folder`, `retired`, `packages`, `metadata`: the folder, what has served its time, and what is put there.

mod config;
mod daemon;
mod folder;
mod metadata;
mod packages;
mod publication;
mod retired;

pub use config::Config;
pub use daemon::run;
