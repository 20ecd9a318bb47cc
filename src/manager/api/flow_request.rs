//! [`FlowRequest`]: a new flow, with what the forwarding plane knows of its packet.

use super::Interface;
use crate::forwarding::Flow;

/// The request to make a flow's entry: the flow, and optionally the packet that started it and the interface where the
/// packet arrived.
///
/// ```
/// # use mgm::manager::{Flow, FlowRequest, FlowState, GroupManager, Interface, NewFlowError};
/// fn report(manager: &GroupManager, flow: Flow, packet: &[u8]) -> Result<FlowState, NewFlowError> {
///     manager.new_flow(FlowRequest::new(flow).with_packet(packet).with_arrival(Interface::v4(1)))
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FlowRequest<'p> {
    pub(in crate::manager) flow: Flow,
    pub(in crate::manager) packet: &'p [u8],
    pub(in crate::manager) arrival: Option<Interface>,
}

impl<'p> FlowRequest<'p> {
    /// Returns the request for a flow, without a packet and without an arrival interface.
    #[must_use]
    pub const fn new(flow: Flow) -> FlowRequest<'p> {
        FlowRequest { flow, packet: &[], arrival: None }
    }

    /// Adds the packet, from its IP header on, or as much of it as there is. The owner of the interface towards the source
    /// sees it in its [`reverse_path`](super::Client::reverse_path) callback.
    #[must_use]
    pub const fn with_packet(mut self, packet: &'p [u8]) -> FlowRequest<'p> {
        self.packet = packet;
        self
    }

    /// Adds the interface where the packet arrived. The entry is then charged to that interface
    /// ([`ManagerConfig::entries_per_interface`](super::ManagerConfig::entries_per_interface)), which a sender cannot choose
    /// by writing false sources into packets.
    #[must_use]
    pub fn with_arrival(mut self, arrival: impl Into<Option<Interface>>) -> FlowRequest<'p> {
        self.arrival = arrival.into();
        self
    }
}

impl From<Flow> for FlowRequest<'_> {
    fn from(flow: Flow) -> Self {
        FlowRequest::new(flow)
    }
}
