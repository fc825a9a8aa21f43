//! The `divvy` executable.

fn main() {}
