use super::*;
use crate::wire::gmp::GmpVersion;

const LAN: Interface = Interface::v4(2);
const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

fn group(n: u8) -> IpAddr {
    IpAddr::from([239, 0, 0, n])
}

fn receive(tracker: &Tracker, message: Message<'_>) {
    let datagram =
        Datagram { source: HOST, destination: HOST, hop_limit: 1, router_alert: true, payload: &[] };
    assert_eq!(
        tracker.change(|state| {
            let now = state.now;
            state.arrive(LAN, now, |state| state.receive(LAN, &datagram, message))
        }),
        Received::Report
    );
}

fn take(tracker: &Tracker) {
    tracker.change(|state| state.follow(LAN, Some(1)));
}

/// Returns a tracker that has received a report of group 1, and has published nothing yet.
fn tracker() -> Tracker {
    let tracker = Tracker::new(Arc::default());
    take(&tracker);
    receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(1) });
    tracker
}

/// Publishes, and runs `meanwhile` during the first publication. Returns (group, wanted, stale) of each publication.
fn publish(tracker: &Tracker, meanwhile: impl FnOnce()) -> Vec<(IpAddr, bool, bool)> {
    let (mut calls, mut meanwhile) = (Vec::new(), Some(meanwhile));
    tracker.publish_all(|task| {
        calls.push((task.group, task.wanted.any_source, task.published.stale));
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile();
        }
        Published { interest: task.wanted.clone(), ..Published::default() }
    });
    calls
}

#[test]
fn a_change_during_publication_is_published_too() {
    let tracker = tracker();
    let calls = publish(&tracker, || receive(&tracker, Message::Leave { group: group(1) }));
    assert_eq!(calls, [(group(1), true, false), (group(1), false, false)]);
    assert_eq!(publish(&tracker, || ()), [], "no group is dirty then");
}

#[test]
fn one_thread_publishes_for_all() {
    let tracker = tracker();
    let calls = publish(&tracker, || {
        receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(2) });
        tracker.publish_all(|_| panic!("the first call is still publishing"));
    });
    assert_eq!(calls, [(group(1), true, false), (group(2), true, false)]);
}

#[test]
fn a_publication_during_a_change_of_ownership_is_stale() {
    let retaken = tracker();
    let calls = publish(&retaken, || {
        retaken.change(|state| state.follow(LAN, None));
        take(&retaken);
    });
    assert_eq!(
        calls,
        [(group(1), true, false), (group(1), false, true)],
        "the membership may exist, so it is deleted"
    );

    let restored = tracker();
    let calls = publish(&restored, || restored.change(|state| state.mark_stale(LAN)));
    assert_eq!(
        calls,
        [(group(1), true, false), (group(1), true, true)],
        "the membership may have ended, so it is added again"
    );

    let released = tracker();
    let calls = publish(&released, || released.change(|state| state.follow(LAN, None)));
    assert_eq!(calls, [(group(1), true, false)]);
}

#[test]
fn hosts_forgotten_during_publication_are_withdrawn() {
    let tracker = tracker();
    receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(2) });
    let calls = publish(&tracker, || tracker.change(State::forget_hosts));
    assert_eq!(calls, [(group(1), true, false), (group(1), false, false), (group(2), false, false)]);
}

/// A host that joins and leaves one group after the other during a long publication must not fill the memory.
#[test]
fn groups_that_come_and_go_during_publication_are_dropped() {
    let tracker = tracker();
    let dirty = || tracker.read(|state| state.dirty.groups.len());
    let calls = publish(&tracker, || {
        for n in 10..200 {
            receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(n) });
            receive(&tracker, Message::Leave { group: group(n) });
        }
        assert_eq!(dirty(), 0);
        receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(2) });
        tracker.change(|state| state.advance(Duration::from_secs(300)));
        assert_eq!(dirty(), 1, "the group in publication, which has lapsed");
    });
    assert_eq!(calls, [(group(1), true, false), (group(1), false, false)]);
}

#[test]
fn the_wake_deadline_is_the_first_lapse() {
    let tracker = tracker();
    let other = Interface::v4(3);
    tracker.change(|state| state.follow(other, Some(1)));
    let at = Duration::from_secs;
    assert!(!tracker.is_due(at(259)) && tracker.is_due(at(260)));
    let datagram =
        Datagram { source: HOST, destination: HOST, hop_limit: 1, router_alert: true, payload: &[] };
    let report = Message::Report { version: GmpVersion::V2, group: group(1) };
    tracker.change(|state| state.arrive(other, at(100), |state| state.receive(other, &datagram, report)));
    assert!(!tracker.is_due(at(259)) && tracker.is_due(at(260)));
    tracker.change(|state| state.follow(LAN, None));
    assert!(!tracker.is_due(at(359)) && tracker.is_due(at(360)));
    tracker.change(|state| state.follow(other, None));
    assert!(!tracker.is_due(at(1_000_000)));
}

#[test]
fn a_panic_in_a_publication_leaves_the_group_to_the_next() {
    let tracker = tracker();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tracker.publish_all(|_| panic!("in a publication"));
    }));
    assert!(unwound.is_err());
    assert_eq!(publish(&tracker, || ()), [(group(1), true, true)], "a part may have been published");
    assert_eq!(publish(&tracker, || ()), []);
}

#[test]
fn events_that_wait_for_the_observer_are_bounded() {
    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);
    impl GmpObserver for Count {
        fn changed(&self, _: &GmpEvent) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let tracker = Tracker::new(Arc::default());
    let observer = Arc::<Count>::default();
    tracker.observe(observer.clone());
    take(&tracker);
    receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(1) });
    publish(&tracker, || {
        for _ in 0..EVENTS / 2 {
            receive(&tracker, Message::Report { version: GmpVersion::V2, group: group(2) });
            receive(&tracker, Message::Leave { group: group(2) });
        }
        assert_eq!(tracker.read(|state| state.events.len()), EVENTS);
    });
    assert_eq!(tracker.read(State::counters).events_lost, 1, "one event of group 1 waited before");
    assert_eq!(observer.0.load(std::sync::atomic::Ordering::Relaxed), EVENTS);
}
