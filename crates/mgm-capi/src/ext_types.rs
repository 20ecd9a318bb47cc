//! The structures and constants of `mgm_ext.h`, which are this project's own. They carry addresses of both families.

use crate::convert::{to_address, to_dword};
use crate::windows::{BOOL, BYTE, DWORD};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, ReversePath, Route};
use std::ffi::c_void;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A flag of MgmExtRegisterMProtocol: enables pfnWrongIfCallback.
pub const MGM_EXT_WANT_WRONG_IF: DWORD = 1;
/// A flag of MgmExtRegisterMProtocol: pfnJoinAlertCallback is called for the memberships that exist.
pub const MGM_EXT_WANT_PRESENT_JOINS: DWORD = 2;

/// The verdict that the packet has to be copied to the outgoing interfaces.
pub const MGM_EXT_FORWARD: DWORD = 0;
/// The verdict that the packet has no receivers: discard it.
pub const MGM_EXT_NO_RECEIVERS: DWORD = 1;
/// The verdict that the packet arrived on another interface than the incoming one: discard it.
///
/// The owner of the interface is called if it registered with MGM_EXT_WANT_WRONG_IF.
pub const MGM_EXT_WRONG_IF: DWORD = 2;
/// The verdict that the flow has no entry yet: discard the packet, or keep it until there is one.
///
/// The flow is queued to get an entry from the manager's thread.
pub const MGM_EXT_NO_ENTRY: DWORD = 3;
/// The verdict that the flow has no entry and the queue is full: discard the packet.
pub const MGM_EXT_QUEUE_FULL: DWORD = 4;

/// No address. As the family of a next hop: a broadcast or point-to-point interface of IPv4.
pub const MGM_EXT_NONE: DWORD = 0;
/// An IPv4 address: the first 4 octets count.
pub const MGM_EXT_IPV4: DWORD = 4;
/// An IPv6 address: all 16 octets count.
pub const MGM_EXT_IPV6: DWORD = 6;

/// An address of either family, in network byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_ADDRESS {
    /// MGM_EXT_NONE, MGM_EXT_IPV4 or MGM_EXT_IPV6.
    pub dwFamily: DWORD,
    /// The octets.
    pub rgbAddress: [BYTE; 16],
}

/// An interface of IPv4 or of IPv6. A link that carries both is two interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_INTERFACE {
    /// The interface.
    pub dwIfIndex: DWORD,
    /// The link of a point-to-multipoint interface; otherwise all octets are 0. Its family is that of the interface.
    pub NextHop: MGM_EXT_ADDRESS,
}
/// A pointer to MGM_EXT_INTERFACE values.
pub type PMGM_EXT_INTERFACE = *mut MGM_EXT_INTERFACE;

/// A flow: the packets of one source to one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_FLOW {
    /// The source.
    pub Source: MGM_EXT_ADDRESS,
    /// The group.
    pub Group: MGM_EXT_ADDRESS,
}
/// A pointer to an MGM_EXT_FLOW.
pub type PMGM_EXT_FLOW = *mut MGM_EXT_FLOW;

/// The reverse path of a source: where a unicast packet to it would leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_PATH {
    /// The interface towards the source.
    pub Interface: MGM_EXT_INTERFACE,
    /// The next router towards the source, or MGM_EXT_NONE.
    pub Neighbour: MGM_EXT_ADDRESS,
    /// The network of the route, or MGM_EXT_NONE. This and the next two are for information only.
    pub RouteNetwork: MGM_EXT_ADDRESS,
    /// The prefix length of the route.
    pub dwRoutePrefix: DWORD,
    /// The origin of the route (PROTO_IP_OSPF, ...).
    pub dwRouteProtocol: DWORD,
}
/// A pointer to an MGM_EXT_PATH.
pub type PMGM_EXT_PATH = *mut MGM_EXT_PATH;

/// The route to a source, which pbRoute of PMGM_RPF_CALLBACK points to. All zero when no route is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_ROUTE {
    /// The origin of the route.
    pub dwRouteProtocol: DWORD,
    /// The network of the route.
    pub dwRouteNetwork: DWORD,
    /// The mask of the route.
    pub dwRouteMask: DWORD,
}
/// A pointer to an MGM_EXT_ROUTE.
pub type PMGM_EXT_ROUTE = *mut MGM_EXT_ROUTE;

/// The limits of the process-wide manager. 0 stands for the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_LIMITS {
    /// Clients registered at the same time.
    pub dwClients: DWORD,
    /// Interfaces at the same time that have an owner, or that a membership, an entry or a packet in a queue depends on.
    pub dwInterfaces: DWORD,
    /// Memberships at the same time.
    pub dwMemberships: DWORD,
    /// Entries at the same time, without negative ones.
    pub dwEntries: DWORD,
    /// Negative entries at the same time. The oldest makes room for a new one.
    pub dwNegativeEntries: DWORD,
    /// Enumerations open at the same time.
    pub dwEnumerations: DWORD,
    /// The lifetime of an entry, in seconds.
    pub dwEntryLifetime: DWORD,
}
/// A pointer to MGM_EXT_LIMITS.
pub type PMGM_EXT_LIMITS = *mut MGM_EXT_LIMITS;

/// Returns the reverse path of a source: fills in *pPath, which is all zero before, and returns TRUE. FALSE says that
/// there is no route.
///
/// Called on every thread that makes an entry.
pub type PMGM_EXT_ROUTE_LOOKUP = Option<
    unsafe extern "C" fn(
        pvContext: *mut c_void,
        pSource: *const MGM_EXT_ADDRESS,
        pPath: PMGM_EXT_PATH,
    ) -> BOOL,
>;
/// Reports that the entry of a flow was made, changed or withdrawn: read it with MgmExtGetEntry.
///
/// For planes that keep a copy of the entries, in a kernel or in hardware. Called on the manager's thread, once for
/// several changes in close succession. A null pFlow says that too many entries have changed to report each: read all
/// of them.
pub type PMGM_EXT_ENTRY_CHANGED =
    Option<unsafe extern "C" fn(pvContext: *mut c_void, pFlow: *const MGM_EXT_FLOW)>;

/// The hooks of a forwarding plane. A null pointer is not called.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MGM_EXT_HOOKS {
    /// Passed to each hook.
    pub pvContext: *mut c_void,
    /// See PMGM_EXT_ROUTE_LOOKUP. Without it no source has a route, and every entry is negative.
    pub pfnRouteLookup: PMGM_EXT_ROUTE_LOOKUP,
    /// See PMGM_EXT_ENTRY_CHANGED.
    pub pfnEntryChanged: PMGM_EXT_ENTRY_CHANGED,
}

impl MGM_EXT_ADDRESS {
    pub(crate) fn to_address(self) -> Option<IpAddr> {
        let octets = self.rgbAddress;
        match self.dwFamily {
            MGM_EXT_IPV4 => Some(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()),
            MGM_EXT_IPV6 => Some(Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }
}

impl From<IpAddr> for MGM_EXT_ADDRESS {
    fn from(address: IpAddr) -> MGM_EXT_ADDRESS {
        let mut rgbAddress = [0; 16];
        let dwFamily = match address {
            IpAddr::V4(address) => {
                rgbAddress[..4].copy_from_slice(&address.octets());
                MGM_EXT_IPV4
            }
            IpAddr::V6(address) => {
                rgbAddress = address.octets();
                MGM_EXT_IPV6
            }
        };
        MGM_EXT_ADDRESS { dwFamily, rgbAddress }
    }
}

impl MGM_EXT_INTERFACE {
    pub(crate) fn to_interface(self) -> Option<Interface> {
        match self.NextHop {
            MGM_EXT_ADDRESS { dwFamily: MGM_EXT_NONE, .. } => Some(Interface::of(Family::V4, self.dwIfIndex)),
            next_hop => Some(Interface::with_next_hop(self.dwIfIndex, next_hop.to_address()?)),
        }
    }
}

impl From<Interface> for MGM_EXT_INTERFACE {
    fn from(interface: Interface) -> MGM_EXT_INTERFACE {
        MGM_EXT_INTERFACE { dwIfIndex: interface.index(), NextHop: interface.next_hop().into() }
    }
}

impl MGM_EXT_FLOW {
    pub(crate) fn to_flow(self) -> Option<Flow> {
        Flow::new(self.Source.to_address()?, self.Group.to_address()?).ok()
    }
}

impl From<Flow> for MGM_EXT_FLOW {
    fn from(flow: Flow) -> MGM_EXT_FLOW {
        MGM_EXT_FLOW { Source: flow.source().into(), Group: flow.group().into() }
    }
}

impl MGM_EXT_PATH {
    pub(crate) fn to_path(self) -> Option<ReversePath> {
        let route = self.RouteNetwork.to_address().map(|network| Route {
            protocol: self.dwRouteProtocol,
            network,
            prefix_length: u8::try_from(self.dwRoutePrefix).unwrap_or(u8::MAX),
        });
        let interface = self.Interface.to_interface()?;
        Some(ReversePath::through(interface).with_neighbour(self.Neighbour.to_address()).with_route(route))
    }
}

impl MGM_EXT_ROUTE {
    pub(crate) fn to_route(self) -> Option<Route> {
        (self != MGM_EXT_ROUTE::default()).then(|| Route {
            protocol: self.dwRouteProtocol,
            network: to_address(self.dwRouteNetwork).into(),
            prefix_length: DWORD::from_be_bytes(self.dwRouteMask.to_ne_bytes()).leading_ones() as u8,
        })
    }
}

impl From<Route> for MGM_EXT_ROUTE {
    fn from(route: Route) -> MGM_EXT_ROUTE {
        let bits = u32::from(route.prefix_length).min(DWORD::BITS);
        let mask = DWORD::MAX.checked_shl(DWORD::BITS - bits).unwrap_or(0);
        MGM_EXT_ROUTE {
            dwRouteProtocol: route.protocol,
            dwRouteNetwork: to_dword(route.network),
            dwRouteMask: DWORD::from_ne_bytes(mask.to_be_bytes()),
        }
    }
}
