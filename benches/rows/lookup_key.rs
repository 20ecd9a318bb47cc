//! The look-up of IPv4 flows by keys of eight octets, as a plane has them that knows the family of its packets.
//!
//! The peers take the same eight octets as their key, with the same kind of hash function. The work is that of the rows
//! of [`lookup`](super::lookup) otherwise.

use super::lookup::{BURST, SCC, entries, filled, lookups, name, used};
use super::{Clock, Contestant, Row, Target, Walk, lookup};
use foldhash::quality::RandomState;
use mgm::forwarding::{Entry, Family, Flow, Ipv4Flow};
use std::net::IpAddr;

const KEYS: &str = "mgm, keys of 8 octets";
const FLOWS: &str = "mgm, flows";

/// Returns the flow as a key of eight octets.
fn ipv4(flow: Flow) -> Ipv4Flow {
    let (IpAddr::V4(source), IpAddr::V4(group)) = (flow.source(), flow.group()) else {
        unreachable!("the rows are of IPv4")
    };
    Ipv4Flow::new(source, group).expect("made of a flow")
}

fn number(flow: Flow) -> u64 {
    let flow = ipv4(flow);
    u64::from(flow.source().to_bits()) << 32 | u64::from(flow.group().to_bits())
}

fn entries_by_number(size: usize) -> impl Iterator<Item = (u64, Entry)> {
    entries(Family::V4, size).into_iter().map(|entry| (number(entry.flow()), entry))
}

fn mgm(size: usize, flows: &Walk<Flow>) -> Contestant {
    let (table, _) = filled(Family::V4, size);
    let mut flows = flows.map(ipv4);
    Contestant::new(KEYS, move || {
        let mut reader = table.reader();
        flows.bursts::<BURST>(lookups(size), |flows| reader.lookup_burst(flows).flatten().map(used).sum())
    })
}

fn scc(size: usize, flows: &Walk<Flow>) -> Contestant {
    let index = scc::HashIndex::with_capacity_and_hasher(size, RandomState::default());
    entries_by_number(size).for_each(|(key, entry)| assert!(index.insert_sync(key, entry).is_ok()));
    let mut flows = flows.map(number);
    Contestant::new(SCC, move || {
        flows.bursts::<BURST>(lookups(size), |flows| {
            let guard = scc::Guard::new();
            flows.iter().filter_map(|flow| index.peek(flow, &guard).map(used)).sum()
        })
    })
}

fn hashbrown(size: usize, flows: &Walk<Flow>) -> Contestant {
    let mut map = hashbrown::HashMap::with_capacity_and_hasher(size, RandomState::default());
    entries_by_number(size).for_each(|(key, entry)| assert!(map.insert(key, entry).is_none()));
    let mut flows = flows.map(number);
    Contestant::new("hashbrown, one thread", move || {
        flows.sum(lookups(size), |flow| map.get(&flow).map_or(0, used))
    })
}

pub(crate) fn rows() -> Vec<Row> {
    let row = |(size, of_scc): (usize, f64)| {
        Row::rounds(
            format!("lookup-key/{}", name(size)),
            format!(
                "the look-up in bursts of {BURST} by keys of 8 octets, 10 % misses, {}, IPv4",
                name(size)
            ),
            (lookups(size) as u64, Clock::Thread),
            vec![Target::ratio(KEYS, SCC, of_scc)],
            move || {
                let flows = &lookup::flows(Family::V4, size);
                vec![
                    mgm(size, flows),
                    lookup::mgm(FLOWS, Family::V4, size, flows),
                    scc(size, flows),
                    hashbrown(size, flows),
                ]
            },
        )
    };
    [(1 << 10, 1.0), (1 << 16, 0.7), (1 << 20, 0.6)].map(row).into()
}
