//! The program `mgm`.

fn main() {}
