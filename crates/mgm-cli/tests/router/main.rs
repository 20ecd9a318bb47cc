//! Tests of the router: the real program, in network namespaces. They need root.

mod check;
mod demo;
mod ownership;
mod reload;
mod support;
mod traffic;
