//! `farm-admin doctor --kerberos`: would the daemons of this machine be let in, by whom, and as whom?
//!
//! Everything is tried with the daemons' own configurations and keytabs, by the programs of MIT Kerberos and with tickets
//! of its own, which are gone afterwards.
//!
//! | module | looks at |
//! |---|---|
//! | [`daemon`] | configurations: which daemons are to use Kerberos, and how |
//! | [`tools`] | `klist`, `kinit`, `kvno`, and what they say |
//! | [`realm`] | `krb5.conf`, the KDC, the clock |
//! | [`login`] | client keytabs: does each daemon get a ticket, as whom |
//! | [`service`] | service keytabs: can people and builders be known by their tickets |
//! | [`database`] | the way into PostgreSQL: the name of the server, the role that the principal maps to |
//! | [`hub`] | the builder's way to the hub |
//! | [`probe`] | a login to the database, in a process of its own |

mod conninfo;
mod daemon;
mod database;
mod flow;
mod host;
mod hub;
mod login;
mod probe;
mod realm;
mod service;
mod tools;

pub(crate) use flow::check;
pub(crate) use probe::main as probe;
