//! Interfaces that vanish and come back, as links tell.

use crate::support::{Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use mgm::manager::{Interface, Membership, StateChange};
use mgm_linux::links::{LinkEvent, Links};
use std::sync::{Arc, Mutex};

const GROUP: &str = "239.1.2.3";

#[test]
fn an_interface_vanishes_under_traffic_and_comes_back() {
    let router = Router::new(Family::V4);
    let events = Arc::<Mutex<Vec<LinkEvent>>>::default();
    let seen = events.clone();
    let links = router
        .router
        .enter(|| Links::start(move |event| seen.lock().unwrap().push(event.clone())))
        .expect("links");
    let find = |matches: &dyn Fn(&LinkEvent) -> bool| events.lock().unwrap().iter().any(matches);
    assert!(find(&|event| matches!(event, LinkEvent::Appeared(link) if link.name == "lan")));
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    // Both ends of a pair go together.
    router.host.run("ip link del eth0");
    (0..50).for_each(|_| sender.send("lost"));
    eventually("the interface is reported as gone", || {
        find(&|event| matches!(event, LinkEvent::Vanished(link) if link.name == "lan"))
    });
    router.plane().remove_interface(router.lan).unwrap();
    router.manager.release(router.client, router.lan).unwrap();
    router.assert_same_entries();
    drop(host);

    let network = &router.network;
    network.connect((&router.router, "lan", &["10.2.0.1/24"]), (&router.host, "eth0", &["10.2.0.2/24"]));
    router.host.run("ip route add default via 10.2.0.1");
    eventually("the interface is there again with its address", || {
        links
            .by_name("lan")
            .is_some_and(|link| link.running && link.addresses.iter().any(|(a, _)| a.is_ipv4()))
    });
    let link = links.by_name("lan").expect("the interface");
    let again = Interface::v4(link.index);
    router.manager.take(router.client, again).unwrap();
    let membership = Membership::any_source(GROUP.parse().unwrap()).unwrap();
    router.manager.add_membership(router.client, again, membership, StateChange::Join).unwrap();
    router.plane().add_interface(again, link.index, 1).unwrap();
    let host = Receiver::join(&router.host, "eth0", GROUP);
    host.expect(&sender, "again");
}

#[test]
fn names_flags_and_addresses_are_followed() {
    let router = Router::new(Family::V4);
    let links = router.router.enter(|| Links::start(|_| ())).expect("links");
    let lan = links.by_name("lan").expect("the interface");
    assert_eq!((lan.index, lan.up, lan.loopback), (router.lan.index(), true, false));
    router.router.run("ip link set dev lan down");
    eventually("down", || links.by_index(lan.index).is_some_and(|link| !link.up && !link.running));
    router.router.run("ip link set dev lan name office");
    eventually("renamed", || links.by_name("office").is_some_and(|link| link.index == lan.index));
    router.router.run("ip addr add 10.7.0.1/16 dev office");
    let has = |links: &Links| {
        let address = ("10.7.0.1".parse().unwrap(), 16);
        links.by_name("office").is_some_and(|link| link.addresses.contains(&address))
    };
    eventually("an address", || has(&links));
    router.router.run("ip addr del 10.7.0.1/16 dev office");
    eventually("no address", || !has(&links));
}
