//! Reloads, interfaces that come and go, and the end.

use crate::support::{Router, eventually};

#[test]
fn a_reload_changes_only_what_changed() {
    let router = Router::start("reload", "");
    let handle = |router: &Router| router.show("clients")[0]["interfaces"].clone();
    let before = handle(&router);
    let join = "\n[[join]]\ninterface = 'up'\ngroup = '239.5.5.5'\n";
    router.write_config(join);
    let ran = router.mgm(&["reload"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(router.static_groups(), ["239.5.5.5"]);
    assert_eq!(handle(&router), before);
    // SIGHUP does the same.
    router.write_config("");
    router.signal(rustix::process::Signal::HUP);
    eventually("the join goes", || router.static_groups().is_empty());
    let ran = router.mgm(&["reload"]);
    assert_eq!((ran.code, ran.stdout.trim()), (0, "nothing has changed"));
}

#[test]
fn a_reload_with_mistakes_changes_nothing() {
    let router = Router::start("mistakes", "");
    router.write_config("\n[[join]]\ninterface = 'lan'\ngroup = '10.1.1.1'\n");
    let ran = router.mgm(&["reload"]);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    assert!(ran.stderr.contains("the old one stays in force"), "{}", ran.stderr);
    assert!(ran.stderr.contains("10.1.1.1 is not a multicast group"), "{}", ran.stderr);
    assert_eq!(router.show("clients").len(), 3);
}

#[test]
fn an_interface_may_appear_late_vanish_and_come_back() {
    let router = Router::start("late", "\n[[join]]\ninterface = 'absent'\ngroup = '239.6.6.6'\n");
    let state = |router: &Router| {
        let rows = router.show("interfaces");
        let row = rows.iter().find(|row| row["name"] == "absent" && row["family"] == "IPv4").unwrap();
        (row["state"].as_str().unwrap().to_owned(), row["routing"].as_str().map(str::to_owned))
    };
    assert_eq!(state(&router), ("absent".to_owned(), None));
    for _ in 0..3 {
        router.ip(&["link", "add", "absent", "type", "veth", "peer", "name", "other"]);
        router.ip(&["link", "set", "absent", "up"]);
        eventually("the interface is taken", || state(&router).1 == Some("static.up".to_owned()));
        eventually("the join is there", || router.static_groups() == ["239.6.6.6"]);
        router.ip(&["link", "delete", "absent"]);
        eventually("the interface is gone", || state(&router) == ("absent".to_owned(), None));
        eventually("the join is gone", || router.static_groups().is_empty());
    }
}

#[test]
fn a_signal_ends_the_router_and_nothing_is_left() {
    let mut router = Router::start("end", "");
    let socket = router.socket().to_owned();
    assert!(std::path::Path::new(&socket).exists());
    let ran = router.end();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!std::path::Path::new(&socket).exists());
    let vifs = router.in_namespace("cat", &["/proc/net/ip_mr_vif"]);
    assert_eq!(vifs.stdout.lines().count(), 1, "{}", vifs.stdout);
}
