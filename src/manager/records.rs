//! The membership records: who wants what where, in the order of groups and then sources.

use super::Membership;
use super::interfaces::Role;
use crate::forwarding::{Family, Flow, Stamp, VifIndex};
use crate::handle::{Handle, OwnerWord, OwnerWords};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

/// One role's share in an interface: what it says of it is kept apart from what the other role says.
pub(super) type Share = (VifIndex, Role);

/// One membership on one interface. It counts while its stamp holds.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Contribution {
    pub(super) client: Handle,
    pub(super) stamp: Stamp,
    /// Whether the client counts as one of those that want this: not IGMP where it shares the interface.
    pub(super) counts: bool,
}

pub(super) type Members = BTreeMap<Share, Contribution>;

/// Every membership, dead ones not yet swept included.
#[derive(Default)]
pub(super) struct Records {
    everything_v4: Members,
    everything_v6: Members,
    any_source: BTreeMap<IpAddr, Members>,
    one_source: BTreeMap<Flow, Members>,
    by_share: BTreeSet<(Share, Membership)>,
    /// How many there are on each share that has any.
    per_share: BTreeMap<Share, usize>,
    /// Under which owner words there was nothing dead on an interface, where it was looked for last.
    swept: BTreeMap<VifIndex, (OwnerWord, OwnerWord)>,
    /// Which clients want what on how many interfaces, of those that count.
    counted: BTreeMap<Membership, BTreeMap<Handle, u32>>,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.by_share.len()
    }

    /// How many there are on a share.
    pub(super) fn len_of_share(&self, share: Share) -> usize {
        self.per_share.get(&share).copied().unwrap_or(0)
    }

    pub(super) fn contains(&self, membership: Membership, share: Share) -> bool {
        self.by_share.contains(&(share, membership))
    }

    /// The clients that count for a membership: for (*, g), those that want (*, g) or (*, *).
    pub(super) fn counted(&self, membership: Membership) -> Vec<Handle> {
        let everything = match membership {
            Membership::AnySource(group) => {
                self.counted.get(&Membership::Everything(Family::of(group.address())))
            }
            _ => None,
        };
        let own = self.counted.get(&membership);
        let both: BTreeSet<Handle> =
            [everything, own].into_iter().flatten().flat_map(BTreeMap::keys).copied().collect();
        both.into_iter().collect()
    }

    /// The interfaces on which something that counts for a membership is dead.
    pub(super) fn dead_among(&self, membership: Membership, owners: &OwnerWords) -> BTreeSet<VifIndex> {
        let everything = match membership {
            Membership::AnySource(group) => Some(self.everything(Family::of(group.address()))),
            _ => None,
        };
        let members = [everything, self.get(membership)].into_iter().flatten().flatten();
        members.filter(|(_, c)| !c.stamp.holds(owners)).map(|(share, _)| share.0).collect()
    }

    /// At most `most` of the flows behind one, or of all, whose source somebody that counts has joined by name.
    pub(super) fn one_source_after(&self, after: Option<Flow>, most: usize) -> Vec<Flow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let joined = self.one_source.range((from, Bound::Unbounded));
        let counted = joined.filter(|(_, members)| members.values().any(|member| member.counts));
        counted.map(|(flow, _)| *flow).take(most).collect()
    }

    /// Puts a contribution in where there is none.
    pub(super) fn insert(&mut self, membership: Membership, share: Share, contribution: Contribution) {
        let members = match membership {
            Membership::Everything(family) => self.everything_mut(family),
            Membership::AnySource(group) => self.any_source.entry(group.address()).or_default(),
            Membership::OneSource(flow) => self.one_source.entry(flow).or_default(),
        };
        members.insert(share, contribution);
        if self.by_share.insert((share, membership)) {
            *self.per_share.entry(share).or_default() += 1;
        }
        if contribution.counts {
            let counted = self.counted.entry(membership).or_default();
            *counted.entry(contribution.client).or_default() += 1;
        }
    }

    /// Takes a contribution out, if it is there.
    pub(super) fn remove(&mut self, membership: Membership, share: Share) -> Option<Contribution> {
        if !self.by_share.remove(&(share, membership)) {
            return None;
        }
        if let Entry::Occupied(mut left) = self.per_share.entry(share) {
            *left.get_mut() -= 1;
            if *left.get() == 0 {
                left.remove();
            }
        }
        let removed = match membership {
            Membership::Everything(family) => self.everything_mut(family).remove(&share),
            Membership::AnySource(group) => remove_from(&mut self.any_source, &group.address(), share),
            Membership::OneSource(flow) => remove_from(&mut self.one_source, &flow, share),
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

    /// The contributions to a flow: of (*, *), of (*, g) and of (s, g).
    pub(super) fn covering(&self, flow: &Flow) -> impl Iterator<Item = (Share, Stamp)> {
        let wide = Some(self.everything(flow.family()));
        [wide, self.any_source.get(&flow.group()), self.one_source.get(flow)]
            .into_iter()
            .flatten()
            .flat_map(|members| members.iter().map(|(share, c)| (*share, c.stamp)))
    }

    /// The memberships on a share.
    pub(super) fn of_share(&self, share: Share) -> impl Iterator<Item = Membership> {
        let from = (share, Membership::Everything(Family::V4));
        self.by_share.range(from..).take_while(move |(s, _)| *s == share).map(|(_, membership)| *membership)
    }

    /// Whether there are memberships on an interface.
    pub(super) fn mentions(&self, number: VifIndex) -> bool {
        [Role::Routing, Role::Igmp].into_iter().any(|role| self.of_share((number, role)).next().is_some())
    }

    /// The interfaces that have memberships.
    pub(super) fn interfaces(&self) -> BTreeSet<VifIndex> {
        self.per_share.keys().map(|share| share.0).collect()
    }

    /// Whether an interface was swept under these owner words (routing, IGMP) already; notes that it is about to be. What is
    /// added later is added under the words of that time.
    pub(super) fn swept_under(&mut self, number: VifIndex, words: (OwnerWord, OwnerWord)) -> bool {
        self.swept.insert(number, words) == Some(words)
    }

    /// The members of one membership.
    pub(super) fn get(&self, membership: Membership) -> Option<&Members> {
        match membership {
            Membership::Everything(family) => Some(self.everything(family)),
            Membership::AnySource(group) => self.any_source.get(&group.address()),
            Membership::OneSource(flow) => self.one_source.get(&flow),
        }
    }

    /// Every contribution, by share and membership.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Share, Membership, Contribution)> {
        self.by_share
            .iter()
            .filter_map(|(share, m)| self.get(*m)?.get(share).map(|contribution| (*share, *m, *contribution)))
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

fn remove_from<K: Ord>(map: &mut BTreeMap<K, Members>, key: &K, share: Share) -> Option<Contribution> {
    let members = map.get_mut(key)?;
    let removed = members.remove(&share);
    if members.is_empty() {
        map.remove(key);
    }
    removed
}
