//! The structures and constants of `mgm_ext.h`, which are our own. They know both address families.

use super::convert::{self, dword};
use super::windows::{BYTE, DWORD};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, ReversePath, Route};
use std::ffi::c_void;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A wish of MgmExtRegisterMProtocol: wrong interface alerts.
pub const MGM_EXT_WANT_WRONG_IF: DWORD = 1;

/// Copy the packet to the outgoing interfaces.
pub const MGM_EXT_FORWARD: DWORD = 0;
/// Discard it: nobody wants it.
pub const MGM_EXT_NO_RECEIVERS: DWORD = 1;
/// Discard it: it did not arrive where it should. The owner of the interface is told, if it wants to be.
pub const MGM_EXT_WRONG_IF: DWORD = 2;
/// There is no entry: discard it, or keep it until there is one. The flow is queued to get one.
pub const MGM_EXT_NO_ENTRY: DWORD = 3;
/// There is no entry, and too many flows wait for one: discard it.
pub const MGM_EXT_QUEUE_FULL: DWORD = 4;

/// No address; for a next hop: a broadcast or point-to-point interface, for IPv4.
pub const MGM_EXT_NONE: DWORD = 0;
/// The address is of IPv4: the first 4 octets count.
pub const MGM_EXT_IPV4: DWORD = 4;
/// The address is of IPv6: all 16 octets count.
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

/// An interface: of IPv4, or of IPv6. One wire that has both is two interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_INTERFACE {
    /// The interface.
    pub dwIfIndex: DWORD,
    /// Which link of a point-to-multipoint interface; all octets 0 otherwise. Its family is the interface's.
    pub NextHop: MGM_EXT_ADDRESS,
}
/// Where an MGM_EXT_INTERFACE is.
pub type PMGM_EXT_INTERFACE = *mut MGM_EXT_INTERFACE;

/// What one source sends to one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_FLOW {
    /// The sender.
    pub Source: MGM_EXT_ADDRESS,
    /// The group it sends to.
    pub Group: MGM_EXT_ADDRESS,
}
/// Where an MGM_EXT_FLOW is.
pub type PMGM_EXT_FLOW = *mut MGM_EXT_FLOW;

/// The way packets from a source arrive: where a unicast packet to it would leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_PATH {
    /// The interface towards the source.
    pub Interface: MGM_EXT_INTERFACE,
    /// The next router towards the source, or MGM_EXT_NONE.
    pub Neighbour: MGM_EXT_ADDRESS,
    /// The network of the route that says so, or MGM_EXT_NONE. For information only, as the next two.
    pub RouteNetwork: MGM_EXT_ADDRESS,
    /// How many bits of it count.
    pub dwRoutePrefix: DWORD,
    /// Which protocol the route is from.
    pub dwRouteProtocol: DWORD,
}
/// Where an MGM_EXT_PATH is.
pub type PMGM_EXT_PATH = *mut MGM_EXT_PATH;

/// What pbRoute of PMGM_RPF_CALLBACK leads to: the route to the source, all zero when none is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_ROUTE {
    /// Which protocol the route is from.
    pub dwRouteProtocol: DWORD,
    /// Its network.
    pub dwRouteNetwork: DWORD,
    /// Its mask.
    pub dwRouteMask: DWORD,
}
/// Where an MGM_EXT_ROUTE is.
pub type PMGM_EXT_ROUTE = *mut MGM_EXT_ROUTE;

/// How much the process-wide manager keeps at most; 0 for what it keeps otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MGM_EXT_LIMITS {
    /// Clients registered at once.
    pub dwClients: DWORD,
    /// Interfaces ever taken.
    pub dwInterfaces: DWORD,
    /// Memberships at once.
    pub dwMemberships: DWORD,
    /// Entries at once.
    pub dwEntries: DWORD,
    /// Negative entries at once; the oldest makes room.
    pub dwNegativeEntries: DWORD,
    /// Enumerations open at once.
    pub dwEnumerations: DWORD,
    /// How many seconds an entry lives.
    pub dwEntryLifetime: DWORD,
}
/// Where an MGM_EXT_LIMITS is.
pub type PMGM_EXT_LIMITS = *mut MGM_EXT_LIMITS;

/// Says the way to a source by filling in the path, which is all zero before, and returning TRUE; FALSE if there is none.
/// Called on whichever thread makes an entry.
pub type PMGM_EXT_ROUTE_LOOKUP = Option<
    unsafe extern "C" fn(
        pvContext: *mut c_void,
        pSource: *const MGM_EXT_ADDRESS,
        pPath: PMGM_EXT_PATH,
    ) -> super::windows::BOOL,
>;
/// The entry of a flow was made, changed or withdrawn: look at it now (MgmExtGetEntry). Called on the manager's thread, once
/// for several changes that follow one another closely. Without a flow (null), more have changed than are told one by
/// one: look at them all. For planes that keep a copy of the entries, in a kernel or in hardware.
pub type PMGM_EXT_ENTRY_CHANGED =
    Option<unsafe extern "C" fn(pvContext: *mut c_void, pFlow: *const MGM_EXT_FLOW)>;

/// What a forwarding plane answers, and wants to be told. A null pointer is never called.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MGM_EXT_HOOKS {
    /// Handed to each hook.
    pub pvContext: *mut c_void,
    /// See PMGM_EXT_ROUTE_LOOKUP. Without it there is no way to any source, and every entry is negative.
    pub pfnRouteLookup: PMGM_EXT_ROUTE_LOOKUP,
    /// See PMGM_EXT_ENTRY_CHANGED.
    pub pfnEntryChanged: PMGM_EXT_ENTRY_CHANGED,
}

impl MGM_EXT_ADDRESS {
    pub(super) fn to_address(self) -> Option<IpAddr> {
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
    pub(super) fn to_interface(self) -> Option<Interface> {
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
    pub(super) fn to_flow(self) -> Option<Flow> {
        Flow::new(self.Source.to_address()?, self.Group.to_address()?).ok()
    }
}

impl From<Flow> for MGM_EXT_FLOW {
    fn from(flow: Flow) -> MGM_EXT_FLOW {
        MGM_EXT_FLOW { Source: flow.source().into(), Group: flow.group().into() }
    }
}

impl MGM_EXT_PATH {
    pub(super) fn to_path(self) -> Option<ReversePath> {
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
    pub(super) fn to_route(self) -> Option<Route> {
        (self != MGM_EXT_ROUTE::default()).then(|| Route {
            protocol: self.dwRouteProtocol,
            network: convert::address(self.dwRouteNetwork).into(),
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
            dwRouteNetwork: dword(route.network),
            dwRouteMask: DWORD::from_ne_bytes(mask.to_be_bytes()),
        }
    }
}
