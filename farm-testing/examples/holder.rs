//! Holds a test database until it is killed. The tests run it as a real process.

use farm_testing::TestDb;

fn main() {
    let db = TestDb::new();
    println!("{}", db.cluster().dir().display());
    // Until standard input ends, or the process is killed.
    let _ = std::io::read_to_string(std::io::stdin());
}
