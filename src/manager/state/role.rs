//! [`Role`]: the two capacities in which an interface is owned.

use crate::forwarding::VifIndex;

/// The capacity in which a client owns an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::manager) enum Role {
    Routing,
    Igmp,
}

impl Role {
    pub(in crate::manager) const BOTH: [Role; 2] = [Role::Routing, Role::Igmp];
}

/// One role on one interface. Memberships and overrides are kept separately for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manager) struct RoleKey {
    pub(in crate::manager) vif: VifIndex,
    pub(in crate::manager) role: Role,
}

impl RoleKey {
    /// The first key in the order of keys.
    pub(in crate::manager) const FIRST: RoleKey = RoleKey::new(VifIndex(0), Role::Routing);
    /// The last key in the order of keys. No member has it.
    pub(in crate::manager) const LAST: RoleKey = RoleKey::new(VifIndex::NONE, Role::Igmp);

    pub(in crate::manager) const fn new(vif: VifIndex, role: Role) -> RoleKey {
        RoleKey { vif, role }
    }

    /// Returns the keys of both roles on an interface, the routing role first.
    pub(in crate::manager) fn both(vif: VifIndex) -> [RoleKey; 2] {
        Role::BOTH.map(|role| RoleKey { vif, role })
    }
}
