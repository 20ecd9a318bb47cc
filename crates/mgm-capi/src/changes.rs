//! Which entries have changed since whoever keeps a copy of them was told last.

use super::hooks;
use super::service;
use mgm::forwarding::Flow;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many at most are noted one by one; beyond that everything is to be looked at.
const MOST: usize = 1 << 16;

struct Changed {
    flows: BTreeSet<Flow>,
    /// More than were noted.
    more: bool,
}

static CHANGED: Mutex<Changed> = Mutex::new(Changed { flows: BTreeSet::new(), more: false });

/// Whether anybody wants to know. Relaxed: nothing is read by it; whoever sets a hook looks at all entries afterwards, and
/// who changes one later has seen it through the locks of the table.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Notes changes from now on, or not any more.
pub(super) fn watch(watched: bool) {
    WATCHED.store(watched, Ordering::Relaxed);
    if !watched {
        let mut changed = CHANGED.lock();
        changed.flows.clear();
        changed.more = false;
    }
}

/// An entry has changed: called with locks held, so it only notes that.
pub(super) fn note(flow: Flow) {
    if !WATCHED.load(Ordering::Relaxed) {
        return;
    }
    {
        let mut changed = CHANGED.lock();
        if changed.flows.len() < MOST {
            changed.flows.insert(flow);
        } else if !changed.flows.contains(&flow) {
            changed.more = true;
        }
    }
    service::wake();
}

/// Tells of at most so many changes: of how many.
pub(super) fn tell(most: usize) -> usize {
    let mut told = 0;
    while told < most {
        let next = {
            let mut changed = CHANGED.lock();
            match changed.flows.pop_first() {
                Some(flow) => Some(Some(flow)),
                None => std::mem::take(&mut changed.more).then_some(None),
            }
        };
        match next {
            Some(flow) => hooks::entry_changed(flow),
            None => break,
        }
        told += 1;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn what_is_not_noted_one_by_one_is_told_as_one_change_of_anything() {
        let group: IpAddr = [239, 0, 0, 1].into();
        let flow = |n: u32| Flow::new(Ipv4Addr::from_bits(0x0A00_0000 + n).into(), group).unwrap();
        watch(true);
        // Twice each: a flow is noted once.
        for n in (0..MOST as u32).chain(0..MOST as u32) {
            note(flow(n));
        }
        assert_eq!((tell(10), tell(usize::MAX), tell(1)), (10, MOST - 10, 0));
        for n in 0..MOST as u32 + 5 {
            note(flow(n));
        }
        assert_eq!((tell(usize::MAX), tell(1)), (MOST + 1, 0));
        note(flow(1));
        watch(false);
        note(flow(2));
        assert_eq!(tell(1), 0);
    }
}
