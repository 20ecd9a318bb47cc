//! [`Shared`]: what the plane's threads share, and how the kernel's entries follow the manager's.
//!
//! One lock, the *vif lock*, guards the vif numbers and the copy of the kernel's entries. A thread holds it while it looks one
//! flow up, checks the stamps, and sets or deletes that flow's entry. No call of the manager that may wait is made
//! under it. So a release waits for one such step at most, and an entry that is set afterwards cannot name the vif that the
//! release deleted.

use super::config::IgmpHandler;
use super::counters::{SharedCounters, count};
use super::vifs::{VifTable, named_by};
use crate::mroute::{MAX_VIFS, MfcEntry, MrouteError, MrouteSocket};
use crate::sys::Wake;
use mgm::forwarding::{Family, Flow, ForwardingReader, Verdict};
use mgm::manager::{GroupManager, Interface};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of the manager's entries that are read at a time.
const PAGE: usize = 256;

/// What the plane's threads share.
pub(super) struct Shared {
    pub(super) manager: Arc<GroupManager>,
    pub(super) family: Family,
    pub(super) socket: MrouteSocket,
    /// Behind the vif lock.
    pub(super) state: Mutex<State>,
    pub(super) counters: SharedCounters,
    pub(super) igmp: Option<IgmpHandler>,
    /// Ends the wait of the thread that receives upcalls.
    pub(super) upcalls: Wake,
    /// Ends the wait of the thread that follows entries.
    pub(super) follower: Wake,
    /// Whether the follower has been woken and has not looked yet. Spares a system call for each further change.
    pub(super) woken: AtomicBool,
    /// Whether every entry is to be compared.
    pub(super) compare: AtomicBool,
    pub(super) stop: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) vifs: VifTable,
    /// The entries that the kernel has.
    pub(super) installed: BTreeMap<Flow, MfcEntry>,
}

/// Why an entry is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The manager's entry may have changed.
    Changed,
    /// The kernel has no entry of the flow, and a packet arrived on this vif.
    Missing(u16),
    /// A packet arrived on this vif, which is not the incoming one.
    Arrived(u16),
}

impl Shared {
    /// Wakes the follower, unless it has been woken already. Does not block.
    pub(super) fn wake_follower(&self) {
        // AcqRel pairs with the swap in the follower: it sees what was queued before this call, or is woken.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.follower.wake();
        }
    }

    /// Takes an interface out of use at once, because something that was derived from its ownership has ended. The
    /// follower gives it another number.
    pub(super) fn cut(&self, interface: Interface) {
        if interface.family() != self.family {
            return;
        }
        let cut = {
            let mut state = self.state.lock();
            match state.vifs.retire(interface) {
                Some(number) => {
                    self.delete_vif(number);
                    true
                }
                None => false,
            }
        };
        if cut {
            count(&self.counters.interfaces_cut);
            self.wake_follower();
        }
    }

    /// Deletes a vif in the kernel. The vif lock is held.
    pub(super) fn delete_vif(&self, number: u16) {
        // Absent: the kernel deletes the vif of an interface that vanishes.
        if let Err(error) = self.socket.delete_vif(number) {
            tracing::error!(%error, number, "a virtual interface was not deleted");
        }
    }

    /// Makes the kernel's entry of a flow what the manager's entry demands.
    pub(super) fn update(&self, reader: &mut ForwardingReader<'_>, flow: Flow, occasion: Occasion) {
        if flow.family() != self.family {
            return;
        }
        let mut state = self.state.lock();
        let State { vifs, installed } = &mut *state;
        if matches!(occasion, Occasion::Missing(_)) {
            installed.remove(&flow);
        }
        let before = installed.get(&flow).copied();
        let wanted = self.wanted(reader, vifs, flow, before, occasion);
        if wanted == before {
            return;
        }
        let result = match wanted {
            Some(entry) => self.socket.set_entry(&entry).map(|()| count(&self.counters.entries_set)),
            None => self.delete_entry(flow),
        };
        match (result, wanted) {
            (Ok(()), Some(entry)) => _ = installed.insert(flow, entry),
            (Ok(()), None) => _ = installed.remove(&flow),
            (Err(error), _) => {
                count(&self.counters.entries_failed);
                tracing::warn!(%flow, %error, "the kernel refused an entry");
                // Better no entry than one that is out of date. Where even that fails, the copy stays, and with it the numbers.
                if before.is_some() && self.delete_entry(flow).is_ok() {
                    installed.remove(&flow);
                }
            }
        }
    }

    fn delete_entry(&self, flow: Flow) -> Result<(), MrouteError> {
        self.socket.delete_entry(flow)?;
        count(&self.counters.entries_deleted);
        Ok(())
    }

    /// Returns the kernel's entry that the manager's entry demands; `None` for no entry.
    fn wanted(
        &self,
        reader: &mut ForwardingReader<'_>,
        vifs: &VifTable,
        flow: Flow,
        before: Option<MfcEntry>,
        occasion: Occasion,
    ) -> Option<MfcEntry> {
        let entry = reader.lookup(&flow)?;
        let number = |vif| {
            let given = vifs.get(self.manager.interface(vif)?)?;
            given.vif.map(|number| (number, given.threshold))
        };
        let mut ttls = [0; MAX_VIFS];
        let incoming = match entry.incoming() {
            Some(incoming) if entry.check(incoming.interface) == Verdict::Stale => return None,
            incoming => incoming.and_then(|incoming| number(incoming.interface)),
        };
        let Some((parent, _)) = incoming else {
            // Nothing can be forwarded. The packets are discarded without a report if the parent is where they arrive.
            let parent = match occasion {
                Occasion::Missing(vif) | Occasion::Arrived(vif) => vif,
                Occasion::Changed => before.map_or(0, |before| before.parent),
            };
            return Some(MfcEntry { flow, parent, ttls });
        };
        for (out, threshold) in entry.live_outgoing().filter_map(|out| number(out.interface)) {
            // The kernel would send a packet back to where it came from.
            if out != parent {
                ttls[usize::from(out)] = threshold;
            }
        }
        Some(MfcEntry { flow, parent, ttls })
    }

    /// Updates the entries that name a retired vif number, and frees the numbers that no entry names any more.
    pub(super) fn sweep(&self, reader: &mut ForwardingReader<'_>) {
        let (retired, flows) = {
            let state = self.state.lock();
            let retired = state.vifs.retired();
            let names = |entry: &MfcEntry| {
                named_by(entry) & retired != 0
                    || 1_u32.checked_shl(entry.parent.into()).is_some_and(|p| p & retired != 0)
            };
            let flows = state.installed.values().filter(|entry| names(entry)).map(|entry| entry.flow);
            (retired, if retired == 0 { Vec::new() } else { flows.collect::<Vec<_>>() })
        };
        flows.into_iter().for_each(|flow| self.update(reader, flow, Occasion::Changed));
        let mut state = self.state.lock();
        let named = state.installed.values().fold(0, |named, entry| named | named_by(entry));
        state.vifs.free(retired, named);
    }

    /// Gives numbers to the interfaces that have none. Those that the kernel refused before are tried again if `retry`.
    pub(super) fn number_interfaces(&self, reader: &mut ForwardingReader<'_>, retry: bool) {
        let without: Vec<Interface> = {
            let state = self.state.lock();
            let waiting =
                state.vifs.iter().filter(|(_, given)| given.vif.is_none() && (retry || !given.refused));
            waiting.map(|(interface, _)| interface).collect()
        };
        for interface in without {
            if let Err(error) = self.number_interface(reader, interface) {
                tracing::warn!(%interface, %error, "an interface stays without forwarding");
            }
        }
    }

    /// Gives an interface a number, and adds it to the kernel.
    pub(super) fn number_interface(
        &self,
        reader: &mut ForwardingReader<'_>,
        interface: Interface,
    ) -> Result<(), MrouteError> {
        for last in [false, true] {
            let mut state = self.state.lock();
            if state.vifs.get(interface).is_none_or(|given| given.vif.is_some()) {
                return Ok(());
            }
            if let Some(vif) = state.vifs.number(interface) {
                let added = self.socket.add_vif(&vif);
                if added.is_err() {
                    state.vifs.refuse(interface);
                }
                return added;
            }
            if last || !state.vifs.has_retired() {
                break;
            }
            drop(state);
            self.sweep(reader);
        }
        Err(MrouteError::TooManyVifs)
    }

    /// Compares every entry of the kernel with the manager's.
    pub(super) fn compare_all(&self, reader: &mut ForwardingReader<'_>) {
        count(&self.counters.comparisons);
        let installed: Vec<Flow> = self.state.lock().installed.keys().copied().collect();
        installed.into_iter().for_each(|flow| self.update(reader, flow, Occasion::Changed));
        let mut after = None;
        loop {
            // The pages need the membership lock, so no entry is held meanwhile.
            let page = self.manager.entries_after(after, PAGE);
            let Some(last) = page.last() else { return };
            after = Some(last.flow);
            page.iter().for_each(|record| self.update(reader, record.flow, Occasion::Changed));
        }
    }
}
