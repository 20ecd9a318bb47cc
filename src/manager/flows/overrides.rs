//! [`FlowOverrides`]: vetoes and FORWARD edits of one flow, and the outgoing interfaces that follow.

use super::Upstream;
use crate::forwarding::{Flow, Outgoing, Stamp, VifIndex};
use crate::handle::OwnerWords;
use crate::manager::state::{MembershipTable, Role, RoleKey};
use crate::memory::{self, NoMemory};
use std::collections::BTreeMap;

/// An action of an owner in its role on an interface.
#[derive(Clone, Copy)]
pub(in crate::manager) enum Action {
    JoinAdd,
    JoinDelete,
    ForwardAdd(Stamp),
    ForwardDelete(Stamp),
}

/// What one owner said of the flow in its role. Each part counts while its stamp is current.
#[derive(Clone, Copy, Default)]
struct Override {
    /// A veto: the answer to the creation alert.
    veto: Option<Stamp>,
    /// An edit: `true` after a FORWARD add, `false` after a FORWARD delete.
    edit: Option<(bool, Stamp)>,
}

/// The members and overrides that count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::manager) enum MemberFilter {
    /// Those with a current stamp.
    Live,
    /// Those that are not swept yet. Then only the sweep of an interface gives it up and reports that: a thread that looks
    /// at the flow for another reason cannot tell which client caused the change. Nothing is forwarded to the interface
    /// meanwhile, because the packet path compares stamps.
    IncludeUnswept,
}

/// What owners said of one flow beside their memberships.
#[derive(Default)]
pub(in crate::manager) struct FlowOverrides {
    overrides: BTreeMap<RoleKey, Override>,
}

impl FlowOverrides {
    /// Applies an action of an owner: the last action wins.
    pub(in crate::manager) fn apply(&mut self, key: RoleKey, action: Action) {
        let entry = self.overrides.entry(key).or_default();
        match action {
            Action::JoinAdd => *entry = Override::default(),
            Action::JoinDelete => entry.edit = None,
            Action::ForwardAdd(stamp) => *entry = Override { veto: None, edit: Some((true, stamp)) },
            Action::ForwardDelete(stamp) => entry.edit = Some((false, stamp)),
        }
        if entry.veto.is_none() && entry.edit.is_none() {
            self.overrides.remove(&key);
        }
    }

    /// Adds an owner's veto.
    pub(in crate::manager) fn veto(&mut self, key: RoleKey, stamp: Stamp) {
        self.overrides.entry(key).or_default().veto = Some(stamp);
    }

    /// Removes the dead overrides of an interface.
    pub(in crate::manager) fn remove_dead(&mut self, vif: VifIndex, owners: &OwnerWords) {
        self.overrides.retain(|key, entry| {
            if key.vif == vif {
                entry.veto = entry.veto.filter(|stamp| stamp.is_current(owners));
                entry.edit = entry.edit.filter(|(_, stamp)| stamp.is_current(owners));
            }
            entry.veto.is_some() || entry.edit.is_some()
        });
    }

    /// Returns the interfaces with an override.
    pub(in crate::manager) fn interfaces(&self) -> impl Iterator<Item = VifIndex> {
        self.overrides.keys().map(|key| key.vif)
    }

    /// Returns the outgoing interfaces of the flow, in order: those of the memberships, changed by edits and vetoes.
    ///
    /// A veto of the routing protocol removes the interface; a veto of IGMP removes only IGMP's contribution. Where the
    /// routing protocol contributes, the interface depends on its owner word alone. Where only IGMP contributes, it depends
    /// on both words.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(in crate::manager) fn outgoing(
        &self,
        flow: &Flow,
        upstream: &Upstream,
        members: &MembershipTable,
        owners: &OwnerWords,
        filter: MemberFilter,
    ) -> Result<Vec<Outgoing>, NoMemory> {
        let unswept = filter == MemberFilter::IncludeUnswept;
        let mut wanted: BTreeMap<RoleKey, Stamp> = BTreeMap::new();
        for (key, stamp) in members.covering(flow) {
            if unswept || stamp.is_current(owners) {
                let first = wanted.entry(key).or_insert(stamp);
                // A dead contribution yields to the next owner's.
                if !first.is_current(owners) {
                    *first = stamp;
                }
            }
        }
        let is_live = |wanted: &BTreeMap<RoleKey, Stamp>, key| {
            wanted.get(key).is_some_and(|stamp| stamp.is_current(owners))
        };
        let counts = |wanted: &BTreeMap<RoleKey, Stamp>, key, stamp: Stamp| {
            stamp.is_current(owners) || unswept && !is_live(wanted, key)
        };
        for (key, entry) in &self.overrides {
            match entry.edit {
                Some((true, stamp)) if counts(&wanted, key, stamp) => {
                    wanted.insert(*key, stamp);
                }
                Some((false, stamp)) if counts(&wanted, key, stamp) => {
                    wanted.remove(key);
                }
                _ => {}
            }
        }
        for (key, entry) in &self.overrides {
            if entry.veto.is_some_and(|stamp| counts(&wanted, key, stamp)) {
                wanted.remove(key);
                if key.role == Role::Routing {
                    wanted.remove(&RoleKey::new(key.vif, Role::Igmp));
                }
            }
        }
        // The routing role comes first of an interface's two.
        let mut outgoing: Vec<Outgoing> = memory::vec(wanted.len())?;
        for (RoleKey { vif, .. }, stamp) in wanted {
            match outgoing.last_mut().filter(|last| last.interface == vif) {
                Some(last) if !last.stamp.is_current(owners) => last.stamp = stamp,
                Some(_) => {}
                None if upstream.allows_egress(vif) => outgoing.push(Outgoing::uncounted(vif, stamp)),
                None => {}
            }
        }
        Ok(outgoing)
    }
}
