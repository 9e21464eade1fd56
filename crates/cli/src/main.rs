//! The `pipehat` binary.

fn main() {}
