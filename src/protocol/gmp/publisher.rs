//! Publishes the interest of the hosts as memberships of the manager, and answers the manager's calls.

use super::hosts::Wanted;
use super::plan::{self, Step};
use super::tracker::{Published, Task, Tracker};
use crate::handle::Handle;
use crate::manager::{
    Client, CreationAlert, GroupManager, Interface, Membership, MembershipError, StateChange,
};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

/// The registration under which a tracker publishes.
#[derive(Debug, Default)]
pub(super) struct Publisher {
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
        self.read(|state| {
            for offered in alert.outgoing_mut() {
                if state.blocks(offered.interface(), flow) {
                    offered.veto();
                }
            }
        });
    }

    fn enable_igmp(&self, interface: Interface) {
        self.change(|state| state.mark_stale(interface));
        self.publish();
    }
}

impl Tracker {
    /// Sets the registration under which this tracker publishes. Only the first call has an effect.
    pub(super) fn publish_to(&self, manager: &Arc<GroupManager>, handle: Handle) {
        _ = self.publisher.registration.set(Registration { manager: Arc::downgrade(manager), handle });
    }

    /// Publishes all changes, unless another thread is publishing.
    pub(super) fn publish(&self) {
        let Some(registration) = self.publisher.registration.get() else { return };
        let Some(manager) = registration.manager.upgrade() else { return };
        self.publish_all(|task| registration.publish_group(&manager, self, task));
    }
}

impl Registration {
    /// Publishes the interest in one group, and returns the interest that is published then.
    fn publish_group(&self, manager: &GroupManager, tracker: &Tracker, task: &Task) -> Published {
        let mut published = Published { interest: task.published.interest.clone(), ..Published::default() };
        for step in plan::steps(&published.interest, &task.wanted, task.published.stale) {
            match self.call(manager, task.interface, task.group, step) {
                Ok(()) => step.apply(&mut published.interest),
                Err(MembershipError::TooMany(_) | MembershipError::NoMemory) => {
                    published.incomplete = true;
                    tracker.change(|state| state.counters.no_room += 1);
                }
                // All memberships there have ended. They are published again once IGMP is enabled again.
                Err(MembershipError::ChangingHands(_)) => {
                    return Published { incomplete: true, ..Published::default() };
                }
                // The interface or the registration is gone, and with it all memberships.
                Err(_) => {
                    tracker.change(|state| state.counters.not_owned += 1);
                    let incomplete = task.wanted != Wanted::default();
                    return Published { incomplete, ..Published::default() };
                }
            }
        }
        published
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
            Step::Add(source) | Step::Delete(source) | Step::Unblock(source) | Step::Block(source) => {
                Membership::one_source(source, group)
            }
        };
        // The tracker admits only groups and sources, so this does not fail.
        let Ok(membership) = membership else { return Ok(()) };
        let change = match step {
            Step::Unblock(_) | Step::Block(_) => StateChange::Forward,
            _ => StateChange::Join,
        };
        match step {
            Step::AddAny | Step::Add(_) | Step::Unblock(_) => {
                manager.add_membership(self.handle, interface, membership, change)
            }
            Step::DeleteAny | Step::Delete(_) | Step::Block(_) => {
                manager.delete_membership(self.handle, interface, membership, change)
            }
        }
    }
}
