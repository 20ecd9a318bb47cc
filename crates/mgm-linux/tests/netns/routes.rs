//! Reverse paths from the kernel's routes, which change under traffic.

use crate::support::{Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use mgm::manager::{ManagerConfig, RpfLookup};
use mgm::rpf::RouteTable;
use mgm_linux::routes::KernelRoutes;
use std::sync::Arc;
use std::time::Duration;

fn router_with_kernel_routes(family: Family) -> (Router, KernelRoutes) {
    let mut kept = None;
    let router = Router::with_routes(family, ManagerConfig::default(), |namespace, _, _| {
        let routes = namespace.enter(KernelRoutes::start).expect("routes");
        kept = Some(routes.clone());
        Arc::new(routes)
    });
    let routes = kept.expect("routes");
    router.router.enter(|| routes.follow(&router.manager)).expect("followed");
    (router, routes)
}

#[test]
fn a_route_change_moves_live_entries() {
    for (family, group, moved) in [
        (Family::V4, "239.1.2.3", "10.1.0.2/32 via 10.2.0.2"),
        (Family::V6, "ff05::1:2:3", "fd01::2/128 via fd02::2"),
    ] {
        let (router, routes) = router_with_kernel_routes(family);
        let host = Receiver::join(&router.host, "eth0", group);
        let sender = Sender::new(&router.source, "eth0", group);
        router.join(group);
        host.expect(&sender, "first");
        let flow = router.flow(group);
        let incoming = || router.manager.entry(flow).and_then(|entry| entry.incoming);
        assert_eq!(incoming(), Some(router.up));
        // Towards the host: packets from the other side are on the wrong interface then.
        router.router.run(&format!("ip route add {moved} dev lan"));
        eventually("the entry moved", || {
            sender.send("on the wrong interface");
            incoming() == Some(router.lan)
        });
        eventually("the kernel reports the wrong interface", || {
            sender.send("on the wrong interface");
            router.plane().counters().wrong_interface > 0
        });
        let path = routes.reverse_path(flow.source()).expect("a route");
        assert!(path.neighbour.is_some() && path.route.is_some(), "{path:?}");
        std::thread::sleep(Duration::from_millis(100));
        host.drain();
        (0..20).for_each(|_| sender.send("on the wrong interface"));
        assert_eq!(host.next(Duration::from_millis(100)), None);
        router.router.run(&format!("ip route del {moved} dev lan"));
        host.expect(&sender, "again");
        assert_eq!((incoming(), routes.failures()), (Some(router.up), 0));
    }
}

#[test]
fn configured_routes_win_over_the_kernels() {
    let (router, routes) = router_with_kernel_routes(Family::V4);
    let source = "10.1.0.2".parse().unwrap();
    let through = || routes.reverse_path(source).map(|path| path.interface);
    assert_eq!(through(), Some(router.up));
    routes.set_configured(RouteTable::new([("10.1.0.0/16".parse().unwrap(), router.lan)]));
    assert_eq!(through(), Some(router.lan));
    routes.set_configured(RouteTable::default());
    routes.set_interfaces(|_, _| None);
    assert_eq!(through(), None, "no protocol may use the interface");
    assert_eq!(routes.reverse_path("192.0.2.1".parse().unwrap()), None, "no route");
}
