//! The calls that are made, the answers they get, and how they are made of a real manager.

use super::spec::{self, Role};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{
    DeregisterError, Effect, FlowState, GroupManager, Interface as RealInterface, Membership,
    MembershipError, NewFlowError, Protocol, RegisterError, ReleaseError, ReversePath, Routes, TakeError,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub(crate) type Interface = u32;

/// A group and a source.
pub(crate) type FlowNumber = (u32, u32);

/// Who registers: a routing protocol, or IGMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Name(pub(crate) u32);

impl Name {
    pub(crate) const IGMP: Name = Name(u32::MAX);

    pub(crate) fn role(self) -> Role {
        if self == Name::IGMP { Role::Igmp } else { Role::Routing }
    }

    fn protocol(self) -> Protocol {
        if self == Name::IGMP { Protocol::new(Protocol::IGMP, 0) } else { Protocol::new(0x4000_0001, self.0) }
    }

    fn of(protocol: Protocol) -> Name {
        if protocol.id == Protocol::IGMP { Name::IGMP } else { Name(protocol.component) }
    }
}

/// What is wanted: (*,*), (*,g) or (s,g).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) group: Option<u32>,
    pub(crate) source: Option<u32>,
}

impl Wish {
    pub(crate) fn covers(self, (group, source): FlowNumber) -> bool {
        self.group.is_none_or(|g| g == group) && self.source.is_none_or(|s| s == source)
    }

    fn membership(self) -> Option<Membership> {
        match (self.group, self.source) {
            (None, _) => Some(Membership::everything(Family::V4)),
            (Some(group), None) => Membership::any_source(address(GROUPS, group)).ok(),
            (Some(group), Some(source)) => {
                Membership::one_source(address(SOURCES, source), address(GROUPS, group)).ok()
            }
        }
    }

    fn of(membership: &Membership) -> Wish {
        Wish {
            group: membership.group().map(|g| number(GROUPS, g)),
            source: membership.source().map(|s| number(SOURCES, s)),
        }
    }
}

const GROUPS: u32 = 0xEF01_0000;
const SOURCES: u32 = 0x0A00_0001;

fn address(base: u32, number: u32) -> IpAddr {
    Ipv4Addr::from(base.wrapping_add(number)).into()
}

fn number(base: u32, address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => u32::from(address).wrapping_sub(base),
        IpAddr::V6(_) => u32::MAX,
    }
}

/// A call. Handles are named by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    Register(Name),
    Deregister(u64),
    Take(u64, Interface),
    Release(u64, Interface),
    OwnerOf(Interface),
    Resolve(u64),
    Add(u64, Interface, Wish),
    Delete(u64, Interface, Wish),
    NewFlow(FlowNumber),
    /// Every membership there is.
    Walk,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Handle(u64),
    Name(Option<Name>),
    Active,
    Negative,
    Memberships(Vec<(Interface, Name, Wish)>),
    Stale,
    AlreadyRegistered,
    Full,
    StillOwns(u32),
    Owned,
    NotOwner,
    NotTaken,
    ChangingHands,
    Building,
    /// What no call should answer here, as it said it.
    Other(String),
}

impl Call {
    /// What latencies and counts are kept by.
    pub(crate) const KINDS: [&'static str; 10] = [
        "register",
        "deregister",
        "take",
        "release",
        "owner_of",
        "resolve",
        "add_membership",
        "delete_membership",
        "new_flow",
        "walk",
    ];

    /// Its place in [`Call::KINDS`].
    pub(crate) fn kind(&self) -> usize {
        match self {
            Call::Register(_) => 0,
            Call::Deregister(_) => 1,
            Call::Take(..) => 2,
            Call::Release(..) => 3,
            Call::OwnerOf(_) => 4,
            Call::Resolve(_) => 5,
            Call::Add(..) => 6,
            Call::Delete(..) => 7,
            Call::NewFlow(_) => 8,
            Call::Walk => 9,
        }
    }

    /// Makes the call.
    pub(crate) fn make(&self, manager: &GroupManager) -> Answer {
        match *self {
            Call::Register(name) => match manager.register(name.protocol(), Arc::new(())) {
                Ok(handle) => Answer::Handle(handle.bits()),
                Err(RegisterError::AlreadyRegistered(_)) => Answer::AlreadyRegistered,
                Err(RegisterError::Full(_)) => Answer::Full,
            },
            Call::Deregister(bits) => match manager.deregister(spec::handle(bits)) {
                Ok(()) => Answer::Done,
                Err(DeregisterError::Stale) => Answer::Stale,
                Err(DeregisterError::StillOwns(n)) => Answer::StillOwns(n),
            },
            Call::Take(bits, interface) => {
                match manager.take(spec::handle(bits), RealInterface::v4(interface)) {
                    Ok(()) => Answer::Done,
                    Err(TakeError::Stale) => Answer::Stale,
                    Err(TakeError::Owned(_)) => Answer::Owned,
                    Err(other) => Answer::Other(other.to_string()),
                }
            }
            Call::Release(bits, interface) => {
                match manager.release(spec::handle(bits), RealInterface::v4(interface)) {
                    Ok(()) => Answer::Done,
                    Err(ReleaseError::Stale) => Answer::Stale,
                    Err(ReleaseError::NotOwner(_)) => Answer::NotOwner,
                }
            }
            Call::OwnerOf(interface) => {
                Answer::Name(manager.owner_of(RealInterface::v4(interface)).ok().map(Name::of))
            }
            Call::Resolve(bits) => Answer::Name(manager.protocol_of(spec::handle(bits)).map(Name::of)),
            Call::Add(bits, interface, wish) => membership(wish, |membership| {
                manager.add_membership(
                    spec::handle(bits),
                    RealInterface::v4(interface),
                    membership,
                    Effect::Join,
                )
            }),
            Call::Delete(bits, interface, wish) => membership(wish, |membership| {
                manager.delete_membership(
                    spec::handle(bits),
                    RealInterface::v4(interface),
                    membership,
                    Effect::Join,
                )
            }),
            Call::NewFlow((group, source)) => {
                let Ok(flow) = Flow::new(address(SOURCES, source), address(GROUPS, group)) else {
                    return Answer::Other("not a flow".into());
                };
                match manager.new_flow(flow) {
                    Ok(FlowState::Active) => Answer::Active,
                    Ok(FlowState::Negative) => Answer::Negative,
                    Err(NewFlowError::Building(_)) => Answer::Building,
                    Err(other) => Answer::Other(other.to_string()),
                }
            }
            Call::Walk => {
                let mut all: Vec<_> = manager
                    .memberships()
                    .iter()
                    .map(|record| {
                        (record.interface.index(), Name::of(record.protocol), Wish::of(&record.membership))
                    })
                    .collect();
                // As the specification has them: by interface and role, a routing protocol before IGMP.
                all.sort_unstable_by_key(|(interface, name, wish)| (*interface, name.role(), *wish));
                Answer::Memberships(all)
            }
        }
    }
}

fn membership(wish: Wish, call: impl FnOnce(Membership) -> Result<(), MembershipError>) -> Answer {
    let Some(membership) = wish.membership() else { return Answer::Other("not a membership".into()) };
    match call(membership) {
        Ok(()) => Answer::Done,
        Err(MembershipError::Stale) => Answer::Stale,
        Err(MembershipError::NotTaken(_)) => Answer::NotTaken,
        Err(MembershipError::NotOwner(_)) => Answer::NotOwner,
        Err(MembershipError::ChangingHands(_)) => Answer::ChangingHands,
        Err(other) => Answer::Other(other.to_string()),
    }
}

/// Every source is reached through interface 0.
pub(crate) fn routes() -> Arc<dyn Routes> {
    Arc::new(|_| Some(ReversePath::through(RealInterface::v4(0))))
}
