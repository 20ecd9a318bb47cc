//! [`Said`]: what owners have said of one flow beside their memberships, and the outgoing interfaces that follow.

use super::interfaces::Role;
use super::records::{Records, Share};
use super::upstream::Upstream;
use crate::forwarding::{Flow, Outgoing, Stamp, VifIndex};
use crate::handle::OwnerWords;
use crate::memory::{self, NoMemory};
use std::collections::BTreeMap;

/// An action of an owner on its share of an interface.
#[derive(Clone, Copy)]
pub(super) enum Action {
    JoinAdd,
    JoinDelete,
    ForwardAdd(Stamp),
    ForwardDelete(Stamp),
}

/// What one owner has said on its share: a veto, its answer to the creation alert; and an edit, whether it last had the
/// flow copied there by a FORWARD add (true) or not by a FORWARD delete. Each counts while its stamp holds.
#[derive(Clone, Copy, Default)]
struct Words {
    veto: Option<Stamp>,
    edit: Option<(bool, Stamp)>,
}

/// What of the records counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// What holds at this moment.
    Live,
    /// What has not been swept. An interface that is changing hands at this moment is then given up, and others are told, by its
    /// own sweep and by nobody else: who looks at the flow for another reason cannot tell whose doing it was. Nothing is
    /// forwarded through it meanwhile, because the packet path compares stamps.
    Kept,
}

/// What owners have said of one flow beside their memberships.
#[derive(Default)]
pub(super) struct Said {
    shares: BTreeMap<Share, Words>,
}

impl Said {
    /// An owner acts on its share: the last action wins.
    pub(super) fn act(&mut self, share: Share, action: Action) {
        let words = self.shares.entry(share).or_default();
        match action {
            Action::JoinAdd => *words = Words::default(),
            Action::JoinDelete => words.edit = None,
            Action::ForwardAdd(stamp) => *words = Words { veto: None, edit: Some((true, stamp)) },
            Action::ForwardDelete(stamp) => words.edit = Some((false, stamp)),
        }
        if words.veto.is_none() && words.edit.is_none() {
            self.shares.remove(&share);
        }
    }

    /// An owner keeps the flow off its share.
    pub(super) fn veto(&mut self, share: Share, stamp: Stamp) {
        self.shares.entry(share).or_default().veto = Some(stamp);
    }

    /// Forgets what was said of an interface and does not count any more.
    pub(super) fn forget_dead(&mut self, interface: VifIndex, owners: &OwnerWords) {
        self.shares.retain(|share, words| {
            if share.0 == interface {
                words.veto = words.veto.filter(|stamp| stamp.holds(owners));
                words.edit = words.edit.filter(|(_, stamp)| stamp.holds(owners));
            }
            words.veto.is_some() || words.edit.is_some()
        });
    }

    /// The interfaces that something was said of.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = VifIndex> {
        self.shares.keys().map(|share| share.0)
    }

    /// The outgoing interfaces of the flow: what memberships ask for, as edits and vetoes leave it, in order.
    ///
    /// The routing protocol's veto takes the interface out, IGMP's only what IGMP put in. Where the routing protocol has a
    /// share, its owner word is all the interface depends on; what only IGMP asks for depends on both words.
    pub(super) fn outgoing(
        &self,
        flow: &Flow,
        upstream: &Upstream,
        records: &Records,
        owners: &OwnerWords,
        which: Which,
    ) -> Result<Vec<Outgoing>, NoMemory> {
        let mut shares: BTreeMap<Share, Stamp> = BTreeMap::new();
        for (share, stamp) in records.covering(flow) {
            if which == Which::Kept || stamp.holds(owners) {
                let first = shares.entry(share).or_insert(stamp);
                // What is over makes room for what the next owner says.
                if !first.holds(owners) {
                    *first = stamp;
                }
            }
        }
        let alive = |shares: &BTreeMap<Share, Stamp>, share| {
            shares.get(share).is_some_and(|stamp| stamp.holds(owners))
        };
        let counts = |shares: &BTreeMap<Share, Stamp>, share, said: Stamp| {
            said.holds(owners) || which == Which::Kept && !alive(shares, share)
        };
        for (share, words) in &self.shares {
            match words.edit {
                Some((true, stamp)) if counts(&shares, share, stamp) => {
                    shares.insert(*share, stamp);
                }
                Some((false, stamp)) if counts(&shares, share, stamp) => {
                    shares.remove(share);
                }
                _ => {}
            }
        }
        for (share, words) in &self.shares {
            if words.veto.is_some_and(|stamp| counts(&shares, share, stamp)) {
                shares.remove(share);
                if share.1 == Role::Routing {
                    shares.remove(&(share.0, Role::Igmp));
                }
            }
        }
        // The routing protocol's share comes first of an interface's two.
        let mut outgoing: Vec<Outgoing> = memory::vec(shares.len())?;
        for ((interface, _), stamp) in shares {
            match outgoing.last_mut().filter(|last| last.interface == interface) {
                Some(last) if !last.stamp.holds(owners) => last.stamp = stamp,
                Some(_) => {}
                None if upstream.lets_out(interface) => outgoing.push(Outgoing::uncounted(interface, stamp)),
                None => {}
            }
        }
        Ok(outgoing)
    }
}
