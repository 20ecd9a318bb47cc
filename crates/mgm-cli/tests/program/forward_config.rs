//! `mgm forward --config`: interfaces, protocols, static joins and routes.

use crate::support::{CAPTURES, EXAMPLE, assert_nothing_is_lost, directory, file, forward};
use serde_json::{Value, json};
use std::fs;

fn entry<'r>(report: &'r Value, source: &str, group: &str) -> &'r Value {
    let entries = report["entries"].as_array().unwrap();
    entries.iter().find(|e| e["source"] == source && e["group"] == group).unwrap()
}

fn memberships<'r>(report: &'r Value, key: &str, value: &str) -> Vec<&'r Value> {
    report["memberships"].as_array().unwrap().iter().filter(|m| m[key] == value).collect()
}

#[test]
fn the_example_configuration_takes_effect() {
    let report = forward(&["--config", "examples/forward.toml", EXAMPLE]);
    assert_nothing_is_lost(&report);
    let joins = json!([
        {"interface": "lab", "group": "232.77.3.1", "source": "10.77.4.10", "blocked": [], "protocol": "static"},
        {"interface": "uplink", "group": "239.77.1.1", "source": null, "blocked": [], "protocol": "static"},
    ]);
    assert_eq!(json!(memberships(&report, "protocol", "static")), joins);
    // The static receivers come besides the hosts that report.
    let camera = entry(&report, "10.77.1.10", "239.77.1.1");
    assert_eq!(camera["outgoing"], json!(["office", "lab", "uplink"]));
    assert_eq!(entry(&report, "10.77.4.10", "232.77.3.1")["outgoing"], json!(["office", "lab"]));
    // MLD does not run in the lab. The uplink has static joins only.
    assert!(memberships(&report, "protocol", "mld").iter().all(|m| m["interface"] != "lab"));
    assert_eq!(memberships(&report, "interface", "uplink").len(), 1);
    assert_eq!(
        report["clients"],
        json!([
            {"protocol": "static", "component": 0, "interfaces": ["studio", "office", "lab", "uplink"]},
            {"protocol": "igmp", "component": 4, "interfaces": ["studio", "office", "lab"]},
            {"protocol": "mld", "component": 6, "interfaces": ["studio", "office"]},
        ])
    );
}

/// The networks of the interfaces give the same routes as a router without a configuration learns.
#[test]
fn connected_networks_are_routes_to_their_sources() {
    let text = "
        [[interface]]
        name = 'studio'
        addresses = ['10.77.1.1/24', 'fd77:0:0:1::1/64']
        [[interface]]
        name = 'office'
        addresses = ['10.77.2.1/24', 'fd77:0:0:2::1/64']
        [[interface]]
        name = 'lab'
        addresses = ['10.77.3.1/24', 'fd77:0:0:3::1/64']
        [[interface]]
        name = 'uplink'
        addresses = ['10.77.4.1/24', 'fd77:0:0:4::1/64']
    ";
    let path = file("connected_networks", "all.toml", text.as_bytes());
    let mut configured = forward(&["--config", &path, "--repeat", "2", EXAMPLE]);
    let mut learned = forward(&["--repeat", "2", EXAMPLE]);
    for report in [&mut configured, &mut learned] {
        for key in ["seconds", "packets_per_second"] {
            report.as_object_mut().unwrap().remove(key);
        }
    }
    assert_eq!(configured, learned);
}

#[test]
fn without_a_route_nothing_is_forwarded() {
    let text = "[[interface]]\nname = 'studio'\n[[interface]]\nname = 'office'\naddress = '10.77.1.0/24'\n";
    let path = file("without_a_route", "few.toml", text.as_bytes());
    let report = forward(&["--config", &path, EXAMPLE]);
    assert_nothing_is_lost(&report);
    assert_eq!(report["forwarded_packets"], 0);
    let feed = report["entries"].as_array().unwrap().iter().filter(|entry| entry["source"] == "10.77.4.10");
    assert_eq!(feed.count(), 0, "the uplink takes no part");
    // The configuration places the studio's sources in the office.
    let camera = entry(&report, "10.77.1.10", "239.77.1.1");
    assert_eq!(camera["incoming"], "office");
    assert_eq!((&camera["packets"], camera["wrong_interface"].as_u64() > Some(200)), (&json!(0), true));
    // Interfaces that the file does not name take no part.
    assert!(memberships(&report, "interface", "lab").is_empty());
    let lab = &report["interfaces"][2];
    assert_eq!((&lab["received"], &lab["transmitted"], &lab["own"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(lab["inactive"], 128);
    assert!(report["flows"].as_array().unwrap().iter().all(|flow| flow["arrived"] != "lab"));
}

#[test]
fn an_interface_can_be_down() {
    let text = "
        [[interface]]
        name = 'studio'
        address = '10.77.1.1/24'
        [[interface]]
        name = 'office'
        [[interface]]
        name = 'lab'
        enabled = false
        [[join]]
        interface = 'lab'
        group = '239.77.1.1'
    ";
    let path = file("an_interface_can_be_down", "down.toml", text.as_bytes());
    let report = forward(&["--config", &path, EXAMPLE]);
    assert_nothing_is_lost(&report);
    assert_eq!(entry(&report, "10.77.1.10", "239.77.1.1")["outgoing"], json!(["office"]));
    assert_eq!(report["not_forwarded"]["inactive_interface"], 1110 + 128);
    assert!(memberships(&report, "interface", "lab").is_empty());
}

/// The configuration names the interfaces of cooked headers and the router's own addresses.
#[test]
fn names_and_addresses_of_the_router_are_used() {
    let text = "
        [[interface]]
        name = 'uplink'
        capture = 'any:2'
        address = '198.51.100.254/24'
        mac = '02:00:00:00:00:bb'
        [[interface]]
        name = 'lan'
        capture = 'any:3'
        address = '192.0.2.254/24'
    ";
    let path = file("names_and_addresses", "any.toml", text.as_bytes());
    let report = forward(&["--config", &path, &format!("{CAPTURES}/any.pcapng")]);
    assert_nothing_is_lost(&report);
    assert_eq!(report["forwarded_packets"], 3);
    let entry = entry(&report, "198.51.100.1", "239.1.1.1");
    assert_eq!((&entry["incoming"], &entry["outgoing"]), (&json!("uplink"), &json!(["lan"])));
    // What the senders of this capture have is here the router's own address.
    let text = text.replace("00:bb", "00:09");
    let path = file("names_and_addresses", "own.toml", text.as_bytes());
    let report = forward(&["--config", &path, &format!("{CAPTURES}/any.pcapng")]);
    assert_nothing_is_lost(&report);
    assert_eq!((&report["not_forwarded"]["own"], &report["forwarded_packets"]), (&json!(7), &json!(0)));
    assert_eq!((&report["memberships"], &report["flows"]), (&json!([]), &json!([])));
}

#[test]
fn the_longest_prefix_and_the_given_mac_are_used() {
    let text = "
        [[interface]]
        name = 'studio'
        [[interface]]
        name = 'office'
        mac = '02:00:00:00:00:77'
        protocols = ['static']
        [[join]]
        interface = 'office'
        group = '239.77.1.1'
        [[route]]
        prefix = '10.0.0.0/8'
        interface = 'office'
        [[route]]
        prefix = '10.77.1.10/32'
        interface = 'studio'
    ";
    let path = file("longest_prefix", "routes.toml", text.as_bytes());
    let out = directory("longest_prefix_out");
    let report = forward(&["--config", &path, "--out", out.to_str().unwrap(), EXAMPLE]);
    assert_eq!(entry(&report, "10.77.1.10", "239.77.1.1")["incoming"], "studio");
    assert_eq!(entry(&report, "10.77.1.20", "239.77.6.1")["incoming"], "office");
    let written = fs::read(out.join("office.pcapng")).unwrap();
    let header = [0x01, 0x00, 0x5e, 77, 1, 1, 0x02, 0, 0, 0, 0, 0x77, 0x08, 0x00];
    let packets = written.windows(header.len()).filter(|window| *window == header).count();
    assert_eq!(report["interfaces"][1]["transmitted"], packets);
    assert!(packets > 100);
}
