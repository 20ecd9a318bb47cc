//! Scenarios in network namespaces that each test makes and removes. They need root and iproute2.

mod flood;
mod forwarding_v4;
mod forwarding_v6;
mod group_membership;
mod interfaces;
mod one_owner;
mod release;
mod routes;
mod support;
