//! The C interface as a C program meets it: codes, records, callbacks, layout, and the headers.

#[macro_use]
#[path = "../support/stage.rs"]
mod stage;

mod behaviour;
mod callbacks;
mod codes;
mod header;
mod hooks;
mod layout;
