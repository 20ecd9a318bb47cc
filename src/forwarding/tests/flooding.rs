//! Flows that senders choose so that they meet in the table: what a look-up costs then, counted in buckets it reads.

use super::*;
use crate::forwarding::lanes::{Lanes, MAX_PASSED};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

/// More than fits the first arrays, so that they grow.
const FLOWS: u32 = 1 << 15;

fn v4(source: u32, group: u32) -> Flow {
    let (source, group) = (source.to_be_bytes(), group.to_be_bytes());
    Flow::new(source.into(), IpAddr::from(group)).unwrap()
}

fn v6(source: u128, group: u128) -> Flow {
    Flow::new(Ipv6Addr::from_bits(source).into(), Ipv6Addr::from_bits(group).into()).unwrap()
}

const SOURCE: u32 = 10 << 24;
const GROUP: u32 = 239 << 24;
const GROUP6: u128 = 0xff0e << 112;
const SOURCE6: u128 = 0x2001_0db8 << 96;

/// An unseeded hash of the same kind: what a sender could work out beforehand.
fn known(flow: &Flow) -> u64 {
    let (IpAddr::V4(source), IpAddr::V4(group)) = (flow.source(), flow.group()) else {
        unreachable!("only IPv4 flows are crafted")
    };
    let word = u64::from(source.to_bits()) << 32 | u64::from(group.to_bits());
    foldhash::quality::FixedState::default().hash_one(word)
}

/// Flows whose known hashes all begin in bucket 0 of an array of 2^10 buckets or less.
fn crafted(count: usize) -> Vec<Flow> {
    let all = (0..u32::MAX).map(|n| v4(SOURCE + (n >> 12), GROUP + (n & 0xfff)));
    all.filter(|flow| known(flow) >> 32 & 0x3ff == 0).take(count).collect()
}

/// What somebody can choose who knows the table but not its seed.
fn choices() -> Vec<(&'static str, Vec<Flow>)> {
    let of = |choose: fn(u32) -> Flow| (0..FLOWS).map(choose).collect();
    vec![
        ("sources one after the other", of(|n| v4(SOURCE + n, GROUP + 7))),
        ("groups one after the other", of(|n| v4(SOURCE + 7, GROUP + n))),
        ("sources with the same low bits", of(|n| v4(1 + (n << 16), GROUP + (n >> 16)))),
        ("source and group with the same exclusive or", of(|n| v4(SOURCE + n, GROUP ^ n))),
        ("source and group with the same sum", of(|n| v4(SOURCE + n, GROUP + (1 << 20) - n))),
        ("IPv6 sources one after the other", of(|n| v6(SOURCE6 + u128::from(n), GROUP6 + 7))),
        ("IPv6 sources with the same low half", of(|n| v6(SOURCE6 + (u128::from(n) << 64), GROUP6 + 7))),
        ("IPv6 groups that cancel the source", of(|n| v6(SOURCE6 ^ u128::from(n), GROUP6 ^ u128::from(n)))),
        ("crafted against the hash without a seed", crafted(4096)),
    ]
}

/// Puts hashes in as the table does, and tells how many buckets a look-up reads: the most, and all together.
fn buckets_read(hashes: &[u64]) -> (usize, usize) {
    let first = Lanes::default();
    for (index, hash) in (0..).zip(hashes) {
        let mut lanes = first.newest();
        if index as usize >= lanes.limit() {
            lanes = lanes.grow().unwrap();
        }
        assert!(lanes.put(*hash, index));
    }
    let read: Vec<_> = hashes.iter().map(|hash| first.newest().buckets_read(*hash)).collect();
    (read.iter().copied().max().unwrap(), read.iter().sum())
}

/// A cache line or two, whatever is sent.
#[test]
fn flows_that_senders_choose_cost_a_look_up_no_more_than_others() {
    for (what, flows) in choices() {
        assert_eq!(flows.iter().collect::<BTreeSet<_>>().len(), flows.len(), "{what}");
        for _ in 0..3 {
            let hash = FlowHash::new();
            let hashes: Vec<_> = flows.iter().map(|flow| hash.of(flow)).collect();
            let (most, all) = buckets_read(&hashes);
            assert!(most <= 12, "{what}: {most} buckets for one look-up");
            assert!(all * 2 <= flows.len() * 3, "{what}: {all} buckets for {} look-ups", flows.len());
        }
    }
}

/// The flows of the test above are a flood indeed: were the seed known, each look-up would go through most of them.
#[test]
fn a_known_seed_would_be_a_way_to_flood_the_table() {
    let hashes: Vec<_> = crafted(4096).iter().map(known).collect();
    let (most, _) = buckets_read(&hashes);
    assert!(most > 256, "{most} buckets");
}

#[test]
fn every_table_has_a_seed_of_its_own() {
    let tables = [(); 16].map(|()| FlowHash::new());
    let hashes: BTreeSet<u64> = tables.iter().map(|hash| hash.of(&v4(SOURCE, GROUP))).collect();
    assert!(hashes.len() > 1);
    assert_eq!(tables[0].of(&v4(SOURCE, GROUP)), tables[0].clone().of(&v4(SOURCE, GROUP)));
}

/// If all of them met in one bucket all the same: the flow that would be too far from it is refused, and the others are as
/// they were.
#[test]
fn flows_that_meet_in_one_bucket_are_bounded_and_refused() {
    let owning = Owning::new();
    // What is left tells flows apart and names no bucket.
    let table = owning.forwarding(4096, FlowHash::keeping(!0 << 54));
    let number = table.alloc_counter().unwrap();
    let refused = (0..4096)
        .find_map(|n| table.publish(owning.entry(number, n, n).to_be_made()).err().map(|error| (n, error)));
    let Some((first, PublishError::Crowded(crowded))) = refused else { panic!("{refused:?}") };
    assert_eq!(crowded, flow(first));
    assert_eq!(table.len(), first as usize);
    assert_eq!(table.lanes.newest().buckets_read(0), MAX_PASSED + 1);
    let mut reader = table.reader();
    (0..first).for_each(|n| assert_eq!(version(reader.lookup(&flow(n)).unwrap(), n), n));
    assert!(reader.lookup(&flow(first)).is_none());
    drop(reader);
    assert_eq!(table.replace(owning.entry(number, 3, 7).to_be_made()), Ok(()), "who is there needs no room");
    assert!(table.withdraw(&flow(5)));
    assert_eq!(table.publish(owning.entry(number, first, first).to_be_made()), Ok(()), "there is room again");
}
