//! The kernel has one owner of its multicast routing, and what an earlier one left is removed.

use crate::support::{Namespace, Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use mgm_linux::mroute::MrouteError;
use mgm_linux::plane::{KernelPlane, KernelPlaneConfig, PlaneError};
use std::os::fd::AsRawFd;

#[test]
fn a_second_plane_is_refused_and_told_the_owner() {
    for family in [Family::V4, Family::V6] {
        let router = Router::new(family);
        let second = |config: KernelPlaneConfig| {
            router.router.enter(|| KernelPlane::start(router.manager.clone(), family, config))
        };
        let error = second(KernelPlaneConfig::default()).expect_err("the socket is in use");
        let PlaneError::Mroute(MrouteError::InUse { holders, .. }) = &error else { panic!("{error}") };
        assert!(holders.iter().any(|(_, id)| *id == std::process::id()), "{error}");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        // Another table has an owner of its own.
        second(KernelPlaneConfig::default().with_table(77)).expect("another table");
    }
}

#[test]
fn the_33rd_interface_is_refused_with_the_limit() {
    let router = Router::new(Family::V4);
    (0..16).for_each(|n| _ = router.router.run(&format!("ip link add a{n} type veth peer name b{n}")));
    for n in 0..31 {
        let device = format!("{}{}", if n % 2 == 0 { "a" } else { "b" }, n / 2);
        let index = router.router.ifindex(&device);
        let added = router.plane().add_interface(mgm::manager::Interface::v4(index), index, 1);
        match added {
            Ok(()) => assert!(n < 30, "33 interfaces"),
            Err(error) => {
                assert_eq!(n, 30, "{error}");
                assert!(matches!(error, PlaneError::Mroute(MrouteError::TooManyVifs)), "{error}");
                assert!(error.to_string().contains("at most 32"), "{error}");
            }
        }
    }
    let unknown = mgm::manager::Interface::v4(9999);
    router.plane().remove_interface(router.up).unwrap();
    let error = router.plane().add_interface(unknown, 9999, 1).expect_err("no such interface");
    assert!(matches!(error, PlaneError::Mroute(MrouteError::NoSuchInterface(9999))), "{error}");
}

/// Adds an entry of (10.9.9.9, 239.9.9.9) as a program without the socket does. The kernel keeps it until it is flushed.
fn leave_a_static_entry(namespace: &Namespace) {
    namespace.enter(|| {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::RAW,
            Some(socket2::Protocol::from(libc::IPPROTO_IGMP)),
        )
        .expect("a socket");
        let mut entry = [0_u8; 60];
        entry[..8].copy_from_slice(&[10, 9, 9, 9, 239, 9, 9, 9]);
        // SAFETY: the kernel reads 60 octets, which `entry` has.
        let set =
            unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, 204, entry.as_ptr().cast(), 60) };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    });
}

#[test]
fn a_restart_removes_what_was_left_and_forwards_again() {
    const GROUP: &str = "239.1.2.3";
    let mut router = Router::new(Family::V4);
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    router.plane = None;
    assert_eq!(router.mroute(), Vec::<String>::new(), "nothing is left behind");
    leave_a_static_entry(&router.router);
    assert_eq!(router.mroute().len(), 1, "another program left an entry");
    router.start(KernelPlaneConfig::default());
    eventually("the entry of the other program is gone", || {
        router.mroute().iter().all(|line| !line.contains("239.9.9.9"))
    });
    host.expect(&sender, "again");
    router.assert_same_entries();
}
