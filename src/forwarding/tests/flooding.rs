//! Flows that a sender chooses to collide in the table: the number of buckets that their look-ups read.

use super::*;
use crate::forwarding::buckets::{BucketArray, MAX_PASSED};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

/// More flows than the first arrays hold, so that they grow.
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

/// Returns an unseeded hash of the same kind, which a sender can compute in advance.
fn unseeded(flow: &Flow) -> u64 {
    let (IpAddr::V4(source), IpAddr::V4(group)) = (flow.source(), flow.group()) else {
        unreachable!("only IPv4 flows are crafted")
    };
    let word = u64::from(group.to_bits()) << 32 | u64::from(source.to_bits());
    foldhash::quality::FixedState::default().hash_one(word)
}

/// Returns flows with unseeded hashes that all select bucket 0 of an array of at most 2^10 buckets.
fn crafted(count: usize) -> Vec<Flow> {
    let all = (0..u32::MAX).map(|n| v4(SOURCE + (n >> 12), GROUP + (n & 0xfff)));
    all.filter(|flow| unseeded(flow) >> 32 & 0x3ff == 0).take(count).collect()
}

/// Returns the choices of a sender that knows the table but not its seed.
fn choices() -> Vec<(&'static str, Vec<Flow>)> {
    let of = |choose: fn(u32) -> Flow| (0..FLOWS).map(choose).collect();
    vec![
        ("consecutive sources", of(|n| v4(SOURCE + n, GROUP + 7))),
        ("consecutive groups", of(|n| v4(SOURCE + 7, GROUP + n))),
        ("sources with the same low bits", of(|n| v4(1 + (n << 16), GROUP + (n >> 16)))),
        ("source and group with the same exclusive or", of(|n| v4(SOURCE + n, GROUP ^ n))),
        ("source and group with the same sum", of(|n| v4(SOURCE + n, GROUP + (1 << 20) - n))),
        ("consecutive IPv6 sources", of(|n| v6(SOURCE6 + u128::from(n), GROUP6 + 7))),
        ("IPv6 sources with the same low half", of(|n| v6(SOURCE6 + (u128::from(n) << 64), GROUP6 + 7))),
        ("IPv6 groups that cancel the source", of(|n| v6(SOURCE6 ^ u128::from(n), GROUP6 ^ u128::from(n)))),
        ("crafted against the hash without a seed", crafted(4096)),
    ]
}

/// Inserts hashes as the table does, and returns the buckets that a look-up reads: the maximum, and the sum over all
/// look-ups.
fn buckets_read(hashes: &[u64]) -> (usize, usize) {
    let first = BucketArray::default();
    for (index, hash) in (0..).zip(hashes) {
        let mut array = first.current();
        if index as usize >= array.limit() {
            array = array.grow().unwrap();
        }
        assert!(array.insert(*hash, index));
    }
    let read: Vec<_> = hashes.iter().map(|hash| first.current().buckets_read(*hash)).collect();
    (read.iter().copied().max().unwrap(), read.iter().sum())
}

/// A look-up reads a cache line or two, whatever flows a sender chooses.
#[test]
fn chosen_flows_cost_a_look_up_no_more_than_others() {
    for (what, flows) in choices() {
        assert_eq!(flows.iter().collect::<BTreeSet<_>>().len(), flows.len(), "{what}");
        for _ in 0..3 {
            let hash = FlowHash::new();
            let hashes: Vec<_> = flows.iter().map(|flow| hash.of(flow)).collect();
            let (max, all) = buckets_read(&hashes);
            assert!(max <= 12, "{what}: {max} buckets for one look-up");
            assert!(all * 2 <= flows.len() * 3, "{what}: {all} buckets for {} look-ups", flows.len());
        }
    }
}

/// Shows that the crafted flows are a flood: with a known seed, each look-up would read most buckets.
#[test]
fn a_known_seed_would_let_a_sender_flood_the_table() {
    let hashes: Vec<_> = crafted(4096).iter().map(unseeded).collect();
    let (max, _) = buckets_read(&hashes);
    assert!(max > 256, "{max} buckets");
}

#[test]
fn every_table_has_a_seed_of_its_own() {
    let tables = [(); 16].map(|()| FlowHash::new());
    let hashes: BTreeSet<u64> = tables.iter().map(|hash| hash.of(&v4(SOURCE, GROUP))).collect();
    assert!(hashes.len() > 1);
    assert_eq!(tables[0].of(&v4(SOURCE, GROUP)), tables[0].clone().of(&v4(SOURCE, GROUP)));
}

/// If all flows had the same home bucket, the table would refuse the one that passes too many buckets, and keep the
/// others.
#[test]
fn too_many_flows_in_one_bucket_are_refused() {
    let owner = Owner::new();
    // The remaining bits tell flows apart but select no bucket.
    let table = owner.forwarding(4096, FlowHash::keeping(!0 << 54));
    let counter = table.alloc_counter().unwrap();
    let refused = (0..4096)
        .find_map(|n| table.publish(owner.entry(counter, n, n).new_entry()).err().map(|error| (n, error)));
    let Some((first, PublishError::Crowded(crowded))) = refused else { panic!("{refused:?}") };
    assert_eq!(crowded, flow(first));
    assert_eq!(table.len(), first as usize);
    assert_eq!(table.buckets.current().buckets_read(0), MAX_PASSED + 1);
    let mut reader = table.reader();
    (0..first).for_each(|n| assert_eq!(version(reader.lookup(&flow(n)).unwrap(), n), n));
    assert!(reader.lookup(&flow(first)).is_none());
    drop(reader);
    assert_eq!(
        table.replace(owner.entry(counter, 3, 7).new_entry()),
        Ok(()),
        "a replacement needs no new lane"
    );
    assert!(table.withdraw(&flow(5)));
    assert_eq!(table.publish(owner.entry(counter, first, first).new_entry()), Ok(()), "a lane is free again");
}
