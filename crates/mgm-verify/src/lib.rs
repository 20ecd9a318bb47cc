//! Verification of the multicast group manager.
//!
//! | module | subject |
//! |---|---|
//! | [`spec`] | the sequential specification of the manager |
//! | [`model`] | sequences of calls on the manager, compared with the specification |
//! | [`alternation`] | the check that a client's alerts alternate |
//! | `history` | recorded calls, answers and callbacks of threads |
//! | `linearizability` | the checker of histories |
//! | `litmus` | pairs of a store and a load on two threads of the machine |
//! | `stress` | threads on one manager, and the check of their history |
//! | `churn` | load by other protocols while packets are forwarded |
//! | `soak` | long runs, and the check that nothing grows |
//! | `report` | samples, tables, HTML pages with plots |
//!
//! The program `mgm` (`crates/mgm-cli`) runs `stress` and `soak`, and `mgm forward --churn` uses `churn`.
//!
//! # Features
//!
//! `runs` (default) has every module but [`spec`], [`model`] and [`alternation`]. Without it the crate needs no libraries for plots, random
//! numbers or /proc.

pub mod alternation;
#[cfg(feature = "runs")]
pub mod churn;
#[cfg(feature = "runs")]
pub mod history;
#[cfg(feature = "runs")]
pub mod linearizability;
#[cfg(feature = "runs")]
pub mod litmus;
pub mod model;
#[cfg(feature = "runs")]
pub mod report;
#[cfg(feature = "runs")]
pub mod soak;
pub mod spec;
#[cfg(feature = "runs")]
pub mod stress;
