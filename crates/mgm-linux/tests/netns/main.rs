//! Scenarios in network namespaces that each test makes and removes. They need root and iproute2.

mod forwarding_v4;
mod support;
