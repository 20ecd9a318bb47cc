//! [`MembershipTable`]: the memberships on each interface, ordered by group and then by source.

use super::{Role, RoleKey};
use crate::forwarding::{Family, Flow, Stamp, VifIndex};
use crate::handle::{Handle, OwnerWord, OwnerWords};
use crate::manager::Membership;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

/// One membership on one interface. It is live while its stamp is current.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::manager) struct Member {
    pub(in crate::manager) client: Handle,
    pub(in crate::manager) stamp: Stamp,
    /// Whether the client counts as a receiver for alerts: every client except IGMP on a shared interface.
    pub(in crate::manager) counts: bool,
}

/// The clients beside one that count for a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Others {
    Empty,
    One(Handle),
    Several,
}

impl Others {
    pub(in crate::manager) fn any(self) -> bool {
        self != Others::Empty
    }
}

pub(in crate::manager) type Members = BTreeMap<RoleKey, Member>;

/// Every membership, including dead ones that are not swept yet.
#[derive(Default)]
pub(in crate::manager) struct MembershipTable {
    everything_v4: Members,
    everything_v6: Members,
    any_source: BTreeMap<IpAddr, Members>,
    one_source: BTreeMap<Flow, Members>,
    by_key: BTreeSet<(RoleKey, Membership)>,
    /// The number of memberships of each key that has any.
    per_key: BTreeMap<RoleKey, usize>,
    /// The owner words under which an interface was last swept.
    swept: BTreeMap<VifIndex, (OwnerWord, OwnerWord)>,
    /// The clients that count for each membership, each with its number of interfaces.
    counted: BTreeMap<Membership, BTreeMap<Handle, u32>>,
}

impl MembershipTable {
    pub(in crate::manager) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns the number of memberships of a key.
    pub(in crate::manager) fn len_of(&self, key: RoleKey) -> usize {
        self.per_key.get(&key).copied().unwrap_or(0)
    }

    pub(in crate::manager) fn contains(&self, membership: Membership, key: RoleKey) -> bool {
        self.by_key.contains(&(key, membership))
    }

    /// Returns whether any client counts for a membership.
    pub(in crate::manager) fn is_counted(&self, membership: Membership) -> bool {
        self.counted.contains_key(&membership)
    }

    /// Returns whether a client counts for a membership.
    pub(in crate::manager) fn counts(&self, membership: Membership, client: Handle) -> bool {
        self.counted.get(&membership).is_some_and(|counted| counted.contains_key(&client))
    }

    /// Returns which clients but one count for a membership.
    pub(in crate::manager) fn others(&self, membership: Membership, one: Handle) -> Others {
        let counted = self.counted.get(&membership).into_iter().flat_map(BTreeMap::keys);
        let mut others = counted.filter(|client| **client != one);
        match (others.next(), others.next()) {
            (None, _) => Others::Empty,
            (Some(one), None) => Others::One(*one),
            _ => Others::Several,
        }
    }

    /// Returns at most `max` of the (*,*) and (*,g) after `after`, or of all of them, for which any client counts.
    pub(in crate::manager) fn groups_counted_after(
        &self,
        after: Option<Membership>,
        max: usize,
    ) -> Vec<Membership> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let counted = self.counted.range((from, Bound::Unbounded)).map(|(membership, _)| *membership);
        counted.take_while(|membership| !matches!(membership, Membership::OneSource(_))).take(max).collect()
    }

    /// Returns the interfaces with a dead member among those that count for a membership.
    pub(in crate::manager) fn dead_interfaces(
        &self,
        membership: Membership,
        owners: &OwnerWords,
    ) -> BTreeSet<VifIndex> {
        let members = self.get(membership).into_iter().flatten();
        members.filter(|(_, member)| !member.stamp.is_current(owners)).map(|(key, _)| key.vif).collect()
    }

    /// Returns at most `max` of the flows after `after`, or of all flows, that have a source-specific member which counts.
    pub(in crate::manager) fn one_source_after(&self, after: Option<Flow>, max: usize) -> Vec<Flow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let joined = self.one_source.range((from, Bound::Unbounded));
        let counted = joined.filter(|(_, members)| members.values().any(|member| member.counts));
        counted.map(|(flow, _)| *flow).take(max).collect()
    }

    /// Inserts a member where there is none.
    pub(in crate::manager) fn insert(&mut self, membership: Membership, key: RoleKey, member: Member) {
        let members = match membership {
            Membership::Everything(family) => self.everything_mut(family),
            Membership::AnySource(group) => self.any_source.entry(group.address()).or_default(),
            Membership::OneSource(flow) => self.one_source.entry(flow).or_default(),
        };
        members.insert(key, member);
        if self.by_key.insert((key, membership)) {
            *self.per_key.entry(key).or_default() += 1;
        }
        if member.counts {
            let counted = self.counted.entry(membership).or_default();
            *counted.entry(member.client).or_default() += 1;
        }
    }

    /// Removes and returns a member, if it exists.
    pub(in crate::manager) fn remove(&mut self, membership: Membership, key: RoleKey) -> Option<Member> {
        if !self.by_key.remove(&(key, membership)) {
            return None;
        }
        if let Entry::Occupied(mut left) = self.per_key.entry(key) {
            *left.get_mut() -= 1;
            if *left.get() == 0 {
                left.remove();
            }
        }
        let removed = match membership {
            Membership::Everything(family) => self.everything_mut(family).remove(&key),
            Membership::AnySource(group) => remove_from(&mut self.any_source, &group.address(), key),
            Membership::OneSource(flow) => remove_from(&mut self.one_source, &flow, key),
        }?;
        if removed.counts
            && let Some(counted) = self.counted.get_mut(&membership)
        {
            if let Some(interfaces) = counted.get_mut(&removed.client) {
                *interfaces -= 1;
                if *interfaces == 0 {
                    counted.remove(&removed.client);
                }
            }
            if counted.is_empty() {
                self.counted.remove(&membership);
            }
        }
        Some(removed)
    }

    /// Returns the members that cover a flow: those of (*, *), of (*, g) and of (s, g).
    pub(in crate::manager) fn covering(&self, flow: &Flow) -> impl Iterator<Item = (RoleKey, Stamp)> {
        let wide = Some(self.everything(flow.family()));
        [wide, self.any_source.get(&flow.group()), self.one_source.get(flow)]
            .into_iter()
            .flatten()
            .flat_map(|members| members.iter().map(|(key, member)| (*key, member.stamp)))
    }

    /// Returns the memberships of a key.
    pub(in crate::manager) fn of(&self, key: RoleKey) -> impl Iterator<Item = Membership> {
        let from = (key, Membership::Everything(Family::V4));
        self.by_key.range(from..).take_while(move |(k, _)| *k == key).map(|(_, membership)| *membership)
    }

    /// Returns whether an interface has memberships.
    pub(in crate::manager) fn mentions(&self, vif: VifIndex) -> bool {
        Role::BOTH.into_iter().any(|role| self.len_of(RoleKey { vif, role }) > 0)
    }

    /// Forgets an interface without memberships, because its number will name nothing.
    pub(in crate::manager) fn forget(&mut self, vif: VifIndex) {
        self.swept.remove(&vif);
    }

    /// Returns the interfaces that have memberships.
    pub(in crate::manager) fn interfaces(&self) -> BTreeSet<VifIndex> {
        self.per_key.keys().map(|key| key.vif).collect()
    }

    /// Returns whether an interface was swept under these owner words (routing, IGMP) already, and notes that it is about to
    /// be. Members that are added later carry the words of their own time.
    pub(in crate::manager) fn swept_under(&mut self, vif: VifIndex, words: (OwnerWord, OwnerWord)) -> bool {
        self.swept.insert(vif, words) == Some(words)
    }

    /// Returns the members of one membership.
    pub(in crate::manager) fn get(&self, membership: Membership) -> Option<&Members> {
        match membership {
            Membership::Everything(family) => Some(self.everything(family)),
            Membership::AnySource(group) => self.any_source.get(&group.address()),
            Membership::OneSource(flow) => self.one_source.get(&flow),
        }
    }

    /// Returns every member, by key and membership.
    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = (RoleKey, Membership, Member)> {
        self.by_key.iter().filter_map(|(key, membership)| {
            self.get(*membership)?.get(key).map(|member| (*key, *membership, *member))
        })
    }

    fn everything(&self, family: Family) -> &Members {
        match family {
            Family::V4 => &self.everything_v4,
            Family::V6 => &self.everything_v6,
        }
    }

    fn everything_mut(&mut self, family: Family) -> &mut Members {
        match family {
            Family::V4 => &mut self.everything_v4,
            Family::V6 => &mut self.everything_v6,
        }
    }
}

fn remove_from<K: Ord>(map: &mut BTreeMap<K, Members>, group: &K, key: RoleKey) -> Option<Member> {
    let members = map.get_mut(group)?;
    let removed = members.remove(&key);
    if members.is_empty() {
        map.remove(group);
    }
    removed
}
