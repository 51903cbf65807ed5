//! `farm-admin doctor`: is this machine fit for a farm, and is the farm well?
//!
//! Each check is a small function that answers [`Finding`]s: what was looked at, the verdict, and the command that mends it.
//! What can be tried is tried, as the builder does it, rather than guessed from settings: so a check that says “ok” means that it works.
//!
//! | module | looks at |
//! |---|---|
//! | [`machine`] | the family of the system, hence how its packages are installed |
//! | [`programs`] | the programs that farm drives |
//! | [`ids`] | the range of subordinate ids |
//! | [`sandbox`] | user namespaces, overlays and bubblewrap in them |
//! | [`room`] | disk, inodes, memory, the way to the data folder |
//! | [`database`] | schema, queue, leases |
//! | [`platforms`] | recipes, their repositories, who builds for them |
//! | [`servers`] | web and hub |
//! | [`kerberos`] | `--kerberos`, instead of all these: keytabs, realm, clock, database |

mod database;
mod finding;
mod flow;
mod ids;
mod kerberos;
mod limits;
mod machine;
mod platforms;
mod programs;
mod room;
mod sandbox;
mod servers;

pub(crate) use flow::{DoctorArgs, run};
