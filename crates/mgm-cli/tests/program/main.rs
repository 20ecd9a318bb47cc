//! Tests of the program `mgm`, run as users run it.

mod forward_account;
mod forward_config;
mod forward_counts;
mod forward_errors;
mod forward_output;
mod forward_tables;
mod reports;
mod soak;
mod stress;
mod support;
