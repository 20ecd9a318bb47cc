//! The (source, group) table.
