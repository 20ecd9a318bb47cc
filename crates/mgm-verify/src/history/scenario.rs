//! The scenario of a run: small numbers stand for protocols, interfaces and flows.

use mgm::forwarding::Flow;
use mgm::manager::{Interface, Protocol, ReversePath, RpfLookup};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Returns the routing protocol of a number, or IGMP for `None`.
#[must_use]
pub fn protocol(number: Option<u32>) -> Protocol {
    number.map_or(Protocol::new(Protocol::IGMP, 0), |number| Protocol::new(0x4000_0001, number))
}

/// Returns the interface of a number. All sources are behind interface 0.
#[must_use]
pub fn interface(number: u32) -> Interface {
    Interface::v4(number)
}

/// Returns the flow of a group's number and a source's number.
///
/// # Panics
/// If the numbers leave the address ranges of the scenario, which the limits of a run rule out.
#[must_use]
pub fn flow(group: u32, source: u32) -> Flow {
    let group: IpAddr = Ipv4Addr::from(0xEF01_0000_u32.wrapping_add(group)).into();
    let source = Ipv4Addr::from(0x0A00_0001_u32.wrapping_add(source)).into();
    Flow::new(source, group).expect("a host's address and a group's")
}

/// Returns the upstream interface of every source.
#[must_use]
pub fn upstream() -> Interface {
    interface(0)
}

/// Returns routes that lead to every source through [`upstream`].
#[must_use]
pub fn routes() -> Arc<dyn RpfLookup> {
    Arc::new(|_| Some(ReversePath::through(upstream())))
}
