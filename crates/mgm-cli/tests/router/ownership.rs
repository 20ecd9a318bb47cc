//! Ownership as `mgm show` has it, and what the control socket refuses.

use crate::support::Router;

#[test]
fn show_names_the_owner_of_each_interface() {
    let router = Router::start("owners", "");
    let rows = router.show("interfaces");
    let row = |name: &str, family: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["name"] == name && row["family"] == family).unwrap().clone()
    };
    assert_eq!((&row("up", "IPv4")["routing"], &row("up", "IPv4")["gmp"]), (&"static.up".into(), &().into()));
    assert_eq!((&row("lan", "IPv6")["routing"], &row("lan", "IPv6")["gmp"]), (&().into(), &"gmp.lan".into()));
    assert_eq!(row("lan", "IPv4")["state"], "up");
    assert_eq!(row("absent", "IPv4")["state"], "absent");
    let clients = router.show("clients");
    let protocols: Vec<_> = clients.iter().map(|client| client["protocol"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["static", "IGMP", "MLD"]);
}

#[test]
fn joins_and_routes_are_refused_with_a_reason() {
    let router = Router::start("refused", "");
    let refused = |arguments: &[&str], message: &str| {
        let ran = router.mgm(arguments);
        assert_eq!(ran.code, 4, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
    };
    refused(
        &["join", "239.1.1.1", "--interface", "lan"],
        "no static instance owns lan (its protocols: gmp.lan)",
    );
    refused(&["join", "239.1.1.1", "--interface", "lam"], "did you mean lan?");
    refused(&["join", "10.1.1.1", "--interface", "up"], "not a multicast");
    refused(&["leave", "239.1.1.1", "--interface", "up"], "mgm join did not join");
    refused(&["route", "add", "10.0.0.0/8", "--interface", "north"], "has no interface \"north\"");
    refused(&["route", "remove", "10.0.0.0/8"], "did not add a route");
    assert_eq!(router.mgm(&["join", "239.1.1.1", "--interface", "up"]).code, 0);
    assert_eq!(router.static_groups(), ["239.1.1.1"]);
    assert_eq!(router.mgm(&["leave", "239.1.1.1", "--interface", "up"]).code, 0);
    assert!(router.static_groups().is_empty());
}

#[test]
fn a_second_router_on_the_socket_is_refused() {
    let router = Router::start("second", "");
    let ran = router.mgm_in_namespace(&["run", "--config", router.config()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("a router answers on"), "{}", ran.stderr);
    let other = router.write("other.toml", &format!("[router]\ncontrol = '{}.2'\n", router.socket()));
    let ran = router.mgm_in_namespace(&["run", "--config", &other]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("multicast routing"), "{}", ran.stderr);
}

#[test]
fn a_running_router_keeps_two_capabilities_in_each_thread() {
    let router = Router::start("capabilities", "");
    // Bits 12 and 13 of linux/capability.h.
    let expected = format!("{:016x}", (1 << 12) | (1 << 13));
    let threads = std::fs::read_dir(format!("/proc/{}/task", router.pid())).unwrap();
    let mut seen = 0;
    for thread in threads {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        for field in ["CapEff:", "CapPrm:", "CapBnd:"] {
            let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim();
            assert_eq!(value, expected, "{field} {status}");
        }
        seen += 1;
    }
    assert!(seen > 4, "{seen} threads");
}
