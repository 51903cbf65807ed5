//! Who may do what, see what, use up what, and what of it is written down.

mod actions;
mod audit;
mod limits;
mod options;
mod rights;
mod tokens;
mod visibility;

use diesel::PgConnection;
use farm_db::{operator, testing};

/// Gives a right.
pub fn grant(conn: &mut PgConnection, right: &str, to: &str) {
    operator::set_grant(conn, &testing::operator(), &right.parse().unwrap(), to, true).unwrap();
}

/// Makes a bucket.
pub fn bucket(conn: &mut PgConnection, name: &str, public: bool) {
    operator::put_bucket(conn, &testing::operator(), &name.parse().unwrap(), None, Some(public)).unwrap();
}

/// Lets a person in, or shuts the person out.
fn let_in(conn: &mut PgConnection, name: &str, enabled: bool) {
    operator::put_person(conn, &testing::operator(), name, enabled).unwrap();
}
