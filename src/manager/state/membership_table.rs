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
    /// The members that count for each membership, by client.
    counted: BTreeMap<Membership, BTreeSet<(Handle, RoleKey)>>,
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
        self.counted_by(membership, client).next().is_some()
    }

    /// Returns where a client counts for a membership.
    fn counted_by(&self, membership: Membership, client: Handle) -> impl Iterator<Item = RoleKey> {
        let counted = self.counted.get(&membership).into_iter();
        let own = counted.flat_map(move |counted| counted.range((client, RoleKey::FIRST)..));
        own.take_while(move |(by, _)| *by == client).map(|(_, key)| *key)
    }

    /// Returns the clients that count for a membership, each with the first of its interfaces. Skips the others, so that a
    /// step costs the same however many there are.
    fn clients_counted(&self, membership: Membership) -> impl Iterator<Item = (Handle, RoleKey)> {
        let counted = self.counted.get(&membership);
        let after = move |client: Option<Handle>| {
            let from = client.map_or(Bound::Unbounded, |client| Bound::Excluded((client, RoleKey::LAST)));
            counted?.range((from, Bound::Unbounded)).next().copied()
        };
        std::iter::successors(after(None), move |(client, _)| after(Some(*client)))
    }

    /// Returns which clients but one count for a membership.
    pub(in crate::manager) fn others(&self, membership: Membership, one: Handle) -> Others {
        let mut others = self.clients_counted(membership).filter(|(client, _)| *client != one);
        match (others.next(), others.next()) {
            (None, _) => Others::Empty,
            (Some((one, _)), None) => Others::One(one),
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

    /// Returns the interfaces with a dead member among the witnesses of a membership, and the number of witnesses.
    ///
    /// The witnesses are the members that a change of the membership depends on: the member that is changed (`own`), two others
    /// of its client, and one of each of the first three clients that count. While they are live, [`counts`](Self::counts) of
    /// that client and [`others`](Self::others) of any client are right, before and after the change, whichever of the
    /// remaining members are dead. So a change costs the same on any number of interfaces.
    pub(in crate::manager) fn dead_witnesses(
        &self,
        membership: Membership,
        own: Option<(Handle, RoleKey)>,
        owners: &OwnerWords,
    ) -> (BTreeSet<VifIndex>, u64) {
        let of_client = own.into_iter().flat_map(|(client, _)| self.counted_by(membership, client).take(2));
        let of_others = self.clients_counted(membership).take(3).map(|(_, key)| key);
        let (mut dead, mut looks) = (BTreeSet::new(), 0);
        let Some(members) = self.get(membership) else { return (dead, looks) };
        for key in own.map(|(_, key)| key).into_iter().chain(of_client).chain(of_others) {
            looks += 1;
            if members.get(&key).is_some_and(|member| !member.stamp.is_current(owners)) {
                dead.insert(key.vif);
            }
        }
        (dead, looks)
    }

    /// Returns at most `max` of the flows after `after`, or of all flows, that have a source-specific member which counts.
    pub(in crate::manager) fn one_source_after(&self, after: Option<Flow>, max: usize) -> Vec<Flow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let joined = self.one_source.range((from, Bound::Unbounded)).map(|(flow, _)| *flow);
        joined.filter(|flow| self.is_counted(Membership::OneSource(*flow))).take(max).collect()
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
            self.counted.entry(membership).or_default().insert((member.client, key));
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
            counted.remove(&(removed.client, key));
            if counted.is_empty() {
                self.counted.remove(&membership);
            }
        }
        Some(removed)
    }

    /// Returns the members that cover a flow: those of (*, *), of (*, g) and of (s, g).
    pub(in crate::manager) fn covering(&self, flow: &Flow) -> impl Iterator<Item = (RoleKey, Stamp)> {
        let members = self.tables_covering(flow).flatten();
        members.map(|(key, member)| (*key, member.stamp))
    }

    /// Returns the stamps of the members with a key that cover a flow, in the order of [`covering`](Self::covering).
    pub(in crate::manager) fn covering_at(&self, flow: &Flow, key: RoleKey) -> impl Iterator<Item = Stamp> {
        self.tables_covering(flow).filter_map(move |members| Some(members.get(&key)?.stamp))
    }

    /// Returns the members of (*, *), of (*, g) and of (s, g).
    fn tables_covering(&self, flow: &Flow) -> impl Iterator<Item = &Members> {
        let wide = Some(self.everything(flow.family()));
        let tables = [wide, self.any_source.get(&flow.group()), self.one_source.get(flow)];
        tables.into_iter().flatten()
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
