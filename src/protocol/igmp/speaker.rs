//! Telling the manager what the hosts want, and hearing from it.

use super::Wanted;
use super::plan::{self, Step};
use super::tracker::{Task, Told, Tracker};
use crate::handle::Handle;
use crate::manager::{
    Client, CreationAlert, GroupManager, Interface, Membership, MembershipError, StateChange,
};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

/// To whom a tracker speaks, and as whom.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    registration: OnceLock<Registration>,
}

#[derive(Debug)]
struct Registration {
    manager: Weak<GroupManager>,
    handle: Handle,
}

impl Client for Tracker {
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let flow = alert.flow();
        self.look(|state| {
            for offered in alert.outgoing_mut() {
                if state.keeps_off(offered.interface(), flow) {
                    offered.veto();
                }
            }
        });
    }

    fn enable_igmp(&self, interface: Interface) {
        self.change(|state| state.doubt(interface));
        self.tell();
    }
}

impl Tracker {
    /// From now on this is whom it tells. Only the first call counts.
    pub(super) fn speak_to(&self, manager: &Arc<GroupManager>, handle: Handle) {
        _ = self.speaker.registration.set(Registration { manager: Arc::downgrade(manager), handle });
    }

    /// Tells the manager what it does not know yet, unless another thread is at it.
    pub(super) fn tell(&self) {
        let Some(registration) = self.speaker.registration.get() else { return };
        let Some(manager) = registration.manager.upgrade() else { return };
        self.tell_all(|task| registration.tell_of(&manager, self, task));
    }
}

impl Registration {
    /// Tells the manager of one group, and says what it has been told then.
    fn tell_of(&self, manager: &GroupManager, tracker: &Tracker, task: &Task) -> Told {
        let mut told = Told { what: task.told.what.clone(), ..Told::default() };
        for step in plan::steps(&told.what, &task.wanted, !task.told.doubtful) {
            match self.call(manager, task.interface, task.group, step) {
                Ok(()) => step.apply(&mut told.what),
                Err(MembershipError::TooMany(_) | MembershipError::NoMemory) => {
                    told.incomplete = true;
                    tracker.change(|state| state.counters.no_room += 1);
                }
                // Everything that was told has ended, and will be said again when IGMP is switched on again.
                Err(MembershipError::ChangingHands(_)) => {
                    return Told { incomplete: true, ..Told::default() };
                }
                // The interface, or the registration, is gone, and with it everything that was told.
                Err(_) => {
                    tracker.change(|state| state.counters.not_owned += 1);
                    let incomplete = task.wanted != Wanted::default();
                    return Told { incomplete, ..Told::default() };
                }
            }
        }
        told
    }

    fn call(
        &self,
        manager: &GroupManager,
        interface: Interface,
        group: IpAddr,
        step: Step,
    ) -> Result<(), MembershipError> {
        let membership = match step {
            Step::AddAny | Step::DeleteAny => Membership::any_source(group),
            Step::Add(source) | Step::Delete(source) | Step::PutOn(source) | Step::PutOff(source) => {
                Membership::one_source(source, group)
            }
        };
        // The tracker lets only groups and sources in.
        let Ok(membership) = membership else { return Ok(()) };
        let effect = match step {
            Step::PutOn(_) | Step::PutOff(_) => StateChange::Forward,
            _ => StateChange::Join,
        };
        match step {
            Step::AddAny | Step::Add(_) | Step::PutOn(_) => {
                manager.add_membership(self.handle, interface, membership, effect)
            }
            Step::DeleteAny | Step::Delete(_) | Step::PutOff(_) => {
                manager.delete_membership(self.handle, interface, membership, effect)
            }
        }
    }
}
