//! Observers: what they hear, and what they may do.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::protocol::gmp::{GmpChange, GmpEvent, GmpObserver};
use std::sync::{Arc, Mutex};

/// Keeps the events as text, and panics at the first ones.
#[derive(Default)]
struct Panics {
    heard: Mutex<Vec<String>>,
    panics: usize,
}

impl GmpObserver for Panics {
    fn changed(&self, event: &GmpEvent) {
        let heard = {
            let mut heard = self.heard.lock().unwrap();
            let change = match event.change {
                GmpChange::Joined => "joined",
                GmpChange::Left => "left",
                GmpChange::Lapsed => "lapsed",
            };
            heard.push(format!("{} {change}", event.subject));
            heard.len()
        };
        assert!(heard > self.panics, "the observer panics");
    }
}

fn observed(panics: usize) -> (Router, Arc<Panics>) {
    let Router { manager, igmp, family } = Router::v4();
    let observer = Arc::new(Panics { panics, ..Panics::default() });
    (Router { manager, igmp: igmp.with_observer(observer.clone()), family }, observer)
}

#[test]
fn memberships_follow_hosts_though_the_observer_panics() {
    let (router, observer) = observed(2);
    router.reports(1, TO_EX, G, &[], 0);
    router.reports(1, TO_IN, G, &[], 1);
    router.reports(1, ALLOW, G, &[A], 2);
    assert_eq!(router.memberships(), ["2 (192.0.2.1, 239.1.1.1)"]);
    assert_eq!(router.igmp.counters().observer_panics, 2);
    let heard = observer.heard.lock().unwrap();
    assert_eq!(*heard, ["(*, 239.1.1.1) joined", "(*, 239.1.1.1) left", "(192.0.2.1, 239.1.1.1) joined"]);
}

#[test]
fn what_ends_with_its_interface_is_told() {
    let (router, observer) = observed(0);
    let heard = || std::mem::take(&mut *observer.heard.lock().unwrap());
    router.reports(1, TO_EX, G, &[A], 1);
    router.reports(2, ALLOW, G, &[B], 1);
    let joined =
        ["(*, 239.1.1.1) joined", "(192.0.2.1, 239.1.1.1) blocked joined", "(192.0.2.2, 239.1.1.1) joined"];
    assert_eq!(heard(), joined);
    let left = ["(*, 239.1.1.1) left", "(192.0.2.2, 239.1.1.1) left", "(192.0.2.1, 239.1.1.1) blocked left"];
    router.igmp.release(router.on(LAN)).unwrap();
    assert_eq!(heard(), left);
    router.igmp.take(router.on(LAN)).unwrap();
    assert!(heard().is_empty());
    router.reports(1, TO_EX, G, &[A], 1);
    router.reports(2, ALLOW, G, &[B], 1);
    assert_eq!(heard(), joined);
    router.igmp.forget_everything();
    assert_eq!(heard(), left);
    router.igmp.forget_everything();
    assert!(heard().is_empty());
}
