//! Packets reach the hosts that joined, and those that an entry names.

use crate::support::{Router, eventually};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 5, 5, 5);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 5, 1, 2);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 5, 2, 2);

/// Runs a function on a thread in a namespace.
fn inside<R: Send>(namespace: &str, f: impl FnOnce() -> R + Send) -> R {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    let run = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        f()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Returns a socket of the host that has joined the group.
fn receiver(router: &Router) -> UdpSocket {
    inside(router.namespace("host"), || {
        let socket = UdpSocket::bind((GROUP, 5005)).unwrap();
        socket.join_multicast_v4(&GROUP, &HOST).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    })
}

/// Returns a socket of the source that sends beyond its link.
fn sender(router: &Router) -> UdpSocket {
    let namespace = router.namespace("source");
    crate::support::ip(&["-n", namespace, "route", "add", "224.0.0.0/4", "dev", "eth0"]);
    inside(namespace, || {
        let socket = UdpSocket::bind((SOURCE, 0)).unwrap();
        socket.set_multicast_ttl_v4(8).unwrap();
        socket
    })
}

/// Sends 20 packets, and returns the number of those that arrive.
fn arrive(sender: &UdpSocket, receiver: &UdpSocket) -> usize {
    for number in 0..20 {
        sender.send_to(b"a packet", (GROUP, 5005)).unwrap();
        // While the entry of a new flow is made, the kernel keeps four of its packets.
        thread::sleep(Duration::from_millis(if number == 0 { 500 } else { 1 }));
    }
    std::iter::from_fn(|| receiver.recv(&mut [0; 16]).ok()).count()
}

#[test]
fn a_host_that_joins_receives_until_it_leaves() {
    let router = Router::start("traffic", "");
    let (sender, receiver) = (sender(&router), receiver(&router));
    eventually("the group is known", || router.show("groups").iter().any(|row| row["group"] == "239.5.5.5"));
    assert_eq!(arrive(&sender, &receiver), 20);
    let entries = router.show("entries");
    let entry = entries.iter().find(|row| row["group"] == "239.5.5.5").unwrap();
    assert_eq!((&entry["incoming"], &entry["outgoing"][0]), (&"up".into(), &"lan".into()));
    assert_eq!(entry["packets"], 20);
    let kernel = router.ip(&["mroute", "show"]).stdout;
    let kernel: Vec<_> = kernel.split_whitespace().collect();
    assert_eq!(kernel[..5], ["(10.5.1.2,239.5.5.5)", "Iif:", "up", "Oifs:", "lan"]);
    let events = router.show("events");
    let joined = |row: &serde_json::Value| {
        row["event"].as_str().unwrap().contains("(*, 239.5.5.5) joined by 10.5.2.2")
    };
    assert!(events.iter().any(joined), "{events:?}");
    receiver.leave_multicast_v4(&GROUP, &HOST).unwrap();
    eventually("the group is gone", || !router.show("groups").iter().any(|row| row["group"] == "239.5.5.5"));
    assert_eq!(arrive(&sender, &receiver), 0);
}

#[test]
fn a_killed_router_leaves_nothing_to_the_next() {
    let router = Router::start("killed", "");
    let (sender, receiver) = (sender(&router), receiver(&router));
    eventually("the group is known", || router.show("groups").iter().any(|row| row["group"] == "239.5.5.5"));
    assert_eq!(arrive(&sender, &receiver), 20);
    router.kill_and_restart();
    // The host answers the queries of the new router.
    eventually("the group is known again", || {
        router.show("groups").iter().any(|row| row["group"] == "239.5.5.5")
    });
    assert_eq!(arrive(&sender, &receiver), 20);
    let kernel = router.ip(&["mroute", "show"]).stdout;
    assert_eq!(kernel.lines().count(), 1, "{kernel}");
}

#[test]
fn a_static_entry_forwards_without_a_report() {
    let router = Router::start("entry", "");
    // The interface of the host changes its owner under a running router.
    let text = std::fs::read_to_string(router.config()).unwrap();
    let text = text.replace("protocols = ['gmp.lan']", "protocols = ['static.up']");
    let entry =
        "[[entry]]\nsource = '10.5.1.0/24'\ngroup = '239.5.0.0/16'\nincoming = 'up'\noutgoing = ['lan']\n";
    std::fs::write(router.config(), format!("{text}{entry}")).unwrap();
    let ran = router.mgm(&["reload"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("gmp.lan released lan (IPv4)") && ran.stdout.contains("static.up took lan"),
        "{}",
        ran.stdout
    );
    let (sender, receiver) = (sender(&router), receiver(&router));
    assert_eq!(arrive(&sender, &receiver), 20);
    let entries = router.show("entries");
    assert_eq!((entries.len(), &entries[0]["outgoing"][0]), (1, &"lan".into()));
}

#[test]
fn a_route_for_multicast_moves_the_incoming_interface() {
    let router = Router::start("route", "");
    let (sender, receiver) = (sender(&router), receiver(&router));
    eventually("the group is known", || router.show("groups").iter().any(|row| row["group"] == "239.5.5.5"));
    assert_eq!(arrive(&sender, &receiver), 20);
    let route = |arguments: &[&str]| assert_eq!(router.mgm(arguments).code, 0);
    route(&["route", "add", "10.5.1.0/24", "--interface", "lan"]);
    eventually("the entry moves", || router.show("entries").iter().all(|row| row["incoming"] == "lan"));
    assert_eq!(arrive(&sender, &receiver), 0, "they arrive on the wrong interface");
    route(&["route", "remove", "10.5.1.0/24"]);
    eventually("the entry moves back", || router.show("entries").iter().all(|row| row["incoming"] == "up"));
    assert_eq!(arrive(&sender, &receiver), 20);
}
