//! Flows as keys: their order, their parts, and look-ups by the key of IPv4 alone.

use super::*;
use std::net::{IpAddr, Ipv4Addr};

/// Flows in ascending order, as source and group.
const ASCENDING: [(&str, &str); 8] = [
    ("10.0.0.9", "224.0.0.1"),
    ("9.0.0.1", "224.0.0.2"),
    ("10.0.0.1", "239.255.255.255"),
    ("223.255.255.255", "239.255.255.255"),
    ("::1", "ff00::1"),
    ("2001:db8::1", "ff0e::1"),
    ("2001:db8:0:1::", "ff0e::1"),
    ("2001:db8::1", "ff0e::2"),
];

fn addresses((source, group): (&str, &str)) -> (IpAddr, IpAddr) {
    (source.parse().unwrap(), group.parse().unwrap())
}

#[test]
fn flows_are_ordered_by_family_then_group_then_source() {
    let flows = ASCENDING.map(addresses).map(|(source, group)| Flow::new(source, group).unwrap());
    assert!(flows.is_sorted_by(|a, b| a < b));
    for (flow, (source, group)) in flows.into_iter().zip(ASCENDING.map(addresses)) {
        assert_eq!((flow.source(), flow.group(), flow.family()), (source, group, Family::of(source)));
        let first = Flow::first_of(group);
        assert!(first <= flow && flows.iter().all(|other| (*other < first) == (other.group() < group)));
    }
}

#[test]
fn the_bound_of_an_address_above_all_groups_is_one_of_ipv4() {
    let bound = Flow::first_of(Ipv4Addr::BROADCAST.into());
    assert_eq!(bound.family(), Family::V4);
    let flows = ASCENDING.map(addresses).map(|(source, group)| Flow::new(source, group).unwrap());
    assert!(flows.iter().all(|flow| (*flow < bound) == (flow.family() == Family::V4)));
}

#[test]
fn an_ipv4_flow_is_refused_where_its_flow_is() {
    for (source, group) in [("10.0.0.1", "10.0.0.2"), ("224.0.0.1", "232.0.0.1"), ("0.0.0.0", "232.0.0.1")] {
        let (source, group): (Ipv4Addr, Ipv4Addr) = (source.parse().unwrap(), group.parse().unwrap());
        assert_eq!(Ipv4Flow::new(source, group).err(), Flow::new(source.into(), group.into()).err());
        assert!(Ipv4Flow::new(source, group).is_err());
    }
}

/// Among flows of both families, with the whole hash and with one home bucket for all.
#[test]
fn an_ipv4_flow_finds_what_its_flow_finds() {
    const PUBLISHED: u32 = 300;
    let ipv4 = |flow: Flow| match (flow.source(), flow.group()) {
        (IpAddr::V4(source), IpAddr::V4(group)) => Some(Ipv4Flow::new(source, group).unwrap()),
        _ => None,
    };
    for kept_bits in [!0, !0 << 54] {
        let owner = Owner::new();
        let table = owner.forwarding(PUBLISHED, FlowHash::keeping(kept_bits));
        let counter = table.alloc_counter().unwrap();
        (0..PUBLISHED).for_each(|n| table.publish(owner.entry(counter, n, n).new_entry()).unwrap());
        let keys = Vec::from_iter((0..2 * PUBLISHED).filter_map(|n| ipv4(flow(n))));
        assert_eq!(keys.len(), PUBLISHED as usize);
        for search in searches() {
            let mut reader = table.reader().with_search(search);
            let found = |entry: Option<&Entry>, n| entry.map(|entry| version(entry, n));
            for (key, n) in keys.iter().zip((0..).step_by(2)) {
                assert_eq!(Flow::from(*key), flow(n));
                assert_eq!(found(reader.lookup(key), n), (n < PUBLISHED).then_some(n), "{search:?}");
            }
            let burst = reader.lookup_burst(&keys);
            for (entry, n) in burst.zip((0..).step_by(2)) {
                assert_eq!(found(entry, n), (n < PUBLISHED).then_some(n), "{search:?}");
            }
        }
    }
}
