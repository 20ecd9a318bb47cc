//! The timeline of memberships: what hosts joined and left, and what lapsed.

use mgm::plane::capture::CaptureRouter;
use mgm::protocol::gmp::{GmpChange, GmpEvent, GmpObserver, GmpSubject};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The maximum number of events that are kept. Hosts choose how often they join and leave.
const MAX_EVENTS: usize = 1 << 16;

/// Keeps the events of the first pass.
#[derive(Default)]
pub(crate) struct Timeline {
    events: Mutex<Vec<GmpEvent>>,
    /// Events for which there was no room.
    left_out: AtomicU64,
    closed: AtomicBool,
}

/// One event.
#[derive(Serialize)]
pub(crate) struct EventReport {
    /// Seconds since 1970.
    pub(crate) time: f64,
    pub(crate) interface: String,
    pub(crate) group: IpAddr,
    /// `None` for every source.
    pub(crate) source: Option<IpAddr>,
    /// `joined`, `left` or `lapsed`; `blocked` and `unblocked` of a source that hosts exclude.
    pub(crate) event: &'static str,
    /// The host that sent the message behind the event, or the last report of what lapsed.
    pub(crate) host: Option<IpAddr>,
}

impl GmpObserver for Timeline {
    fn changed(&self, event: &GmpEvent) {
        // Relaxed: the thread that reads the frames calls this and closes.
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() < MAX_EVENTS {
            events.push(*event);
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Timeline {
    /// Ends the timeline: further passes repeat the first.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Returns the number of events for which there was no room.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Returns the events in their order. `start` is the time of the first frame, at which the router's clock began.
    pub(crate) fn report(&self, router: &CaptureRouter, start: Duration) -> Vec<EventReport> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|event| report(router, start, event)).collect()
    }
}

fn report(router: &CaptureRouter, start: Duration, event: &GmpEvent) -> EventReport {
    let (source, group, is_blocked) = match event.subject {
        GmpSubject::AnySource { group } => (None, group, false),
        GmpSubject::OneSource { source, group } => (Some(source), group, false),
        GmpSubject::Blocked { source, group } => (Some(source), group, true),
    };
    EventReport {
        time: (start + event.at).as_secs_f64(),
        interface: super::report::name(router, event.interface),
        group,
        source,
        event: match (event.change, is_blocked) {
            (GmpChange::Joined, false) => "joined",
            (GmpChange::Left, false) => "left",
            (GmpChange::Lapsed, false) => "lapsed",
            (GmpChange::Joined, true) => "blocked",
            (GmpChange::Left | GmpChange::Lapsed, true) => "unblocked",
        },
        host: event.host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_hosts_fill_no_memory() {
        use mgm::forwarding::Family;
        use mgm::manager::{GroupManager, Interface, ManagerConfig};
        use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership};
        use std::sync::Arc;

        let timeline = Arc::new(Timeline::default());
        let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap());
        let igmp = GroupMembership::new(manager, Family::V4, GmpConfig::default()).unwrap();
        let igmp = igmp.with_observer(timeline.clone());
        igmp.take(Interface::v4(1)).unwrap();
        let send = |payload: &[u8]| {
            let (source, destination) = ([10, 0, 0, 5].into(), [239, 0, 0, 3].into());
            let datagram = Datagram { source, destination, hop_limit: 1, router_alert: true, payload };
            igmp.receive(Interface::v4(1), &datagram, Duration::from_secs(1));
        };
        let (report, leave) = ([0x16, 0, 0xfa, 0xfb, 239, 0, 0, 3], [0x17, 0, 0xf9, 0xfb, 239, 0, 0, 3]);
        send(&report);
        let event = *timeline.events.lock().unwrap().first().expect("the observer hears of the join");
        assert_eq!((event.change, event.host), (GmpChange::Joined, Some([10, 0, 0, 5].into())));
        for _ in 0..MAX_EVENTS {
            timeline.changed(&event);
        }
        assert_eq!((timeline.events.lock().unwrap().len(), timeline.left_out()), (MAX_EVENTS, 1));
        timeline.close();
        send(&leave);
        assert_eq!(timeline.left_out(), 1);
    }
}
