//! The `tickhost` command.
fn main() {}
