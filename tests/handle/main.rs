//! The handle table alone: built and run with `--no-default-features` too.

mod model;
