//! [`FlowOverrides`]: vetoes and FORWARD edits of one flow, and the outgoing interfaces that follow.

use super::Upstream;
use crate::forwarding::{Flow, Outgoing, Stamp, VifIndex};
use crate::handle::OwnerWords;
use crate::manager::state::{MembershipTable, Role, RoleKey};
use crate::memory::{self, NoMemory};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
        if matches!(action, Action::JoinAdd | Action::JoinDelete) && !self.overrides.contains_key(&key) {
            return;
        }
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
        for key in RoleKey::both(vif) {
            let Entry::Occupied(mut occupied) = self.overrides.entry(key) else { continue };
            let entry = occupied.get_mut();
            entry.veto = entry.veto.filter(|stamp| stamp.is_current(owners));
            entry.edit = entry.edit.filter(|(_, stamp)| stamp.is_current(owners));
            if entry.veto.is_none() && entry.edit.is_none() {
                occupied.remove();
            }
        }
    }

    /// Returns whether an interface has an override.
    pub(in crate::manager) fn has(&self, vif: VifIndex) -> bool {
        RoleKey::both(vif).iter().any(|key| self.overrides.contains_key(key))
    }

    /// Returns the interfaces with an override.
    pub(in crate::manager) fn interfaces(&self) -> impl Iterator<Item = VifIndex> {
        self.overrides.keys().map(|key| key.vif)
    }

    /// Returns the outgoing interfaces of the flow, in order: those of the memberships, changed by edits and vetoes.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(in crate::manager) fn outgoing(
        &self,
        flow: &Flow,
        upstream: &Upstream,
        members: &MembershipTable,
        view: View<'_>,
    ) -> Result<Vec<Outgoing>, NoMemory> {
        let mut wanted: BTreeMap<VifIndex, Wanted> = BTreeMap::new();
        for (key, stamp) in members.covering(flow) {
            wanted.entry(key.vif).or_default().add(key.role, stamp, view);
        }
        for vif in self.interfaces() {
            wanted.entry(vif).or_default();
        }
        let mut outgoing = memory::vec(wanted.len())?;
        for (vif, wanted) in wanted.into_iter().filter(|(vif, _)| upstream.allows_egress(*vif)) {
            outgoing.extend(self.decide(vif, wanted, view).map(|stamp| Outgoing::uncounted(vif, stamp)));
        }
        Ok(outgoing)
    }

    /// Returns the stamp of one interface in [`outgoing`](Self::outgoing), if it is there. The cost does not depend on the number
    /// of interfaces.
    pub(in crate::manager) fn outgoing_at(
        &self,
        vif: VifIndex,
        flow: &Flow,
        upstream: &Upstream,
        members: &MembershipTable,
        view: View<'_>,
    ) -> Option<Stamp> {
        if !upstream.allows_egress(vif) {
            return None;
        }
        let mut wanted = Wanted::default();
        for role in Role::BOTH {
            let stamps = members.covering_at(flow, RoleKey::new(vif, role));
            stamps.for_each(|stamp| wanted.add(role, stamp, view));
        }
        self.decide(vif, wanted, view)
    }

    /// Returns the stamp that an interface is an outgoing one under, if it is one: what the memberships ask for, changed by edits
    /// and vetoes.
    ///
    /// A veto of the routing protocol removes the interface; a veto of IGMP removes only IGMP's contribution. Where the
    /// routing protocol contributes, the interface depends on its owner word alone. Where only IGMP contributes, it depends
    /// on both words.
    fn decide(&self, vif: VifIndex, mut wanted: Wanted, view: View<'_>) -> Option<Stamp> {
        if !self.overrides.is_empty() {
            let overrides = Role::BOTH.map(|role| {
                let found = self.overrides.get(&RoleKey::new(vif, role)).copied();
                (role, found.unwrap_or_default())
            });
            for (role, Override { edit, .. }) in overrides {
                if let Some((added, stamp)) = edit
                    && wanted.yields_to(role, stamp, view)
                {
                    *wanted.of(role) = added.then_some(stamp);
                }
            }
            for (role, Override { veto, .. }) in overrides {
                let removed = if role == Role::Routing { &Role::BOTH[..] } else { &[Role::Igmp] };
                for role in removed {
                    if veto.is_some_and(|stamp| wanted.yields_to(*role, stamp, view)) {
                        *wanted.of(*role) = None;
                    }
                }
            }
        }
        match (wanted.routing, wanted.igmp) {
            (Some(routing), Some(igmp)) if !routing.is_current(view.owners) => Some(igmp),
            (routing, igmp) => routing.or(igmp),
        }
    }
}

/// Which members and overrides count, and the owner words that tell.
#[derive(Clone, Copy)]
pub(in crate::manager) struct View<'o> {
    pub(in crate::manager) owners: &'o OwnerWords,
    pub(in crate::manager) filter: MemberFilter,
}

impl View<'_> {
    fn includes_unswept(&self) -> bool {
        self.filter == MemberFilter::IncludeUnswept
    }

    fn counts(&self, stamp: Stamp) -> bool {
        self.includes_unswept() || stamp.is_current(self.owners)
    }
}

/// The stamps under which the owners of an interface want a flow there.
#[derive(Clone, Copy, Default)]
struct Wanted {
    routing: Option<Stamp>,
    igmp: Option<Stamp>,
}

impl Wanted {
    fn of(&mut self, role: Role) -> &mut Option<Stamp> {
        match role {
            Role::Routing => &mut self.routing,
            Role::Igmp => &mut self.igmp,
        }
    }

    /// Adds the contribution of a member. A dead contribution yields to the next owner's.
    fn add(&mut self, role: Role, stamp: Stamp, view: View<'_>) {
        let wanted = self.of(role);
        if view.counts(stamp) && wanted.is_none_or(|first| !first.is_current(view.owners)) {
            *wanted = Some(stamp);
        }
    }

    /// Returns whether an override under a stamp counts: a dead one only where nothing live is wanted.
    fn yields_to(&mut self, role: Role, stamp: Stamp, view: View<'_>) -> bool {
        let live = self.of(role).is_some_and(|wanted| wanted.is_current(view.owners));
        stamp.is_current(view.owners) || view.includes_unswept() && !live
    }
}
