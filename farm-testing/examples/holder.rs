//! Holds a test database and a realm until it is killed. The tests run it as a real process.

use farm_testing::{Realm, TestDb};

fn main() {
    let db = TestDb::new();
    let realm = Realm::start();
    println!("{}", db.cluster().dir().display());
    println!("{}", realm.dir().display());
    // Until standard input ends, or the process is killed.
    let _ = std::io::read_to_string(std::io::stdin());
}
