//! How fast the store receives, against `sha256sum` and `cp` of the same bytes in the same run.
fn main() {}
