//! The control socket of a running router: lines of JSON over a Unix stream socket. docs/control-socket.md describes it.
//!
//! - `protocol`: requests and answers, and how they are written.
//! - `server`: the router's side, which no client can hold up.
//! - `client`: the side of `mgm show`, `mgm join` and the others.

pub(crate) mod client;
mod connection;
pub(crate) mod protocol;
pub(crate) mod server;
#[cfg(test)]
mod tests;
