//! What a change costs: as much as it changes. Steps are counted, because time depends on the machine.

use crate::support::router::*;
use mgm::forwarding::Verdict;
use mgm::forwarding::VifIndex;
use mgm::handle::Handle;
use mgm::manager::ManagerConfig;
use mgm::plane::{CannotForward, CopyOutcome, Egress, NoFastPath, PacketProcessor};
use std::collections::BTreeSet;

const GROUP: &str = "* 239.1.1.1";
const FLOW: &str = "192.0.2.1 239.1.1.1";
/// The interface of the joins and leaves that are measured. Interface 1 is the incoming one.
const TOGGLED: u32 = 2;

/// Returns a router and a client that has joined the group on `joined` interfaces, from 3 on.
fn router(joined: u32) -> (Router, Handle) {
    let router = Router::with(ManagerConfig::default().with_interfaces(10_000));
    let interfaces = Vec::from_iter(1..3 + joined);
    let client = router.client(1, &interfaces);
    (3..3 + joined).for_each(|n| router.join(client, n, GROUP));
    (router, client)
}

/// Returns how much a join and a leave look at and how many paths they copy.
fn cost(router: &Router, client: Handle) -> (u64, u64) {
    let counts = || (router.manager.looks(), router.manager.forwarding_table().paths_copied());
    let before = counts();
    router.join(client, TOGGLED, GROUP);
    router.leave(client, TOGGLED, GROUP);
    let after = counts();
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_join_looks_at_few_members_of_its_group() {
    let looks = [10, 100, 5000].map(|joined| {
        let (router, client) = router(joined);
        let other = router.client(2, &[6000, 6001, 6002]);
        (6000..6003).for_each(|n| router.join(other, n, GROUP));
        cost(&router, client).0
    });
    assert_eq!(looks[0], looks[2], "{looks:?}");
    assert!((1..=14).contains(&looks[2]), "{looks:?}");
}

#[test]
fn a_join_looks_at_the_entries_of_its_group_only() {
    let (router, client) = router(3);
    router.join(client, 5, "* *");
    router.new_flow(FLOW).unwrap();
    let (looks, copied) = cost(&router, client);
    for n in 0..2000_u32 {
        let group = format!("192.0.2.1 239.2.{}.{}", n / 250, n % 250);
        router.new_flow(&group).unwrap();
    }
    let among_others = cost(&router, client);
    assert_eq!(among_others.0, looks);
    assert!(among_others.1 <= copied, "{} paths copied, {copied} before", among_others.1);
}

#[test]
fn a_join_copies_few_of_the_paths_of_an_entry() {
    let copied = [100, 1000, 5000].map(|joined| {
        let (router, client) = router(joined);
        router.new_flow(FLOW).unwrap();
        cost(&router, client).1
    });
    // Two pieces of 64, and a pointer for each piece, for the join and for the leave.
    for (joined, copied) in [100_u64, 1000, 5000].into_iter().zip(copied) {
        assert!((1..=2 * (131 + joined / 32)).contains(&copied), "{joined} interfaces: {copied} copied");
    }
}

#[test]
fn entries_with_equal_interfaces_change_for_one_copy() {
    let [(_, copied_for_one), (looks, copied)] = [1, 249].map(|flows| {
        let (router, client) = router(40);
        for n in 1..=flows {
            router.new_flow(&format!("192.0.2.{n} 239.1.1.1")).unwrap();
        }
        let cost = cost(&router, client);
        let outgoing = router.outgoing(&format!("192.0.2.{flows} 239.1.1.1"));
        assert_eq!(outgoing, Some(Vec::from_iter(3..43)));
        cost
    });
    assert_eq!(copied, copied_for_one);
    assert!(copied > 0 && looks >= 2 * 249, "{copied} copied, {looks} looks at 249 entries");
}

#[test]
fn a_changed_route_looks_at_the_flows_of_its_network_only() {
    let (router, client) = router(3);
    router.join(client, 5, "* *");
    let bring = |what: &str| {
        router.new_flow(what).unwrap();
        router.join(client, 4, what);
    };
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.77"] {
        bring(&format!("{source} 239.1.1.1"));
        bring(&format!("{source} 239.1.1.2"));
    }
    let looks = || {
        [("192.0.2.1", 32), ("192.0.2.2", 30), ("192.0.2.0", 24), ("198.51.100.1", 32)].map(
            |(network, bits)| {
                let before = router.manager.looks();
                router.manager.routes_changed_in(network.parse().unwrap(), bits);
                router.manager.looks() - before
            },
        )
    };
    let alone = looks();
    for n in 0..2000_u32 {
        bring(&format!("10.1.{}.{} 239.1.1.1", n / 250, n % 250));
        router.new_flow(&format!("2001:db8::{n:x} ff0e::1")).unwrap();
    }
    assert_eq!(looks(), alone);
    // An entry and a joined source each, and the latter's witnesses.
    assert!((4..=10).contains(&alone[0]), "{alone:?}");
    assert_eq!(alone, [2, 4, 6, 0].map(|flows| alone[0] / 2 * flows));
}

/// Notes to which interfaces a packet was copied.
#[derive(Default)]
struct Copies(Vec<VifIndex>);

impl Egress for Copies {
    type Rewritten = ();
    type Fast<'q> = NoFastPath;

    fn rewrite(&mut self) -> Result<(), CannotForward> {
        Ok(())
    }

    fn copy(&mut self, (): &(), interface: VifIndex) -> CopyOutcome {
        self.0.push(interface);
        CopyOutcome::Made
    }
}

/// The pieces of a list that changes one interface at a time differ in length.
#[test]
fn each_of_many_interfaces_gets_and_counts_its_copies() {
    let (router, client) = router(0);
    let many = Vec::from_iter(3..403);
    many.iter().for_each(|n| router.manager.take(client, v4(*n)).unwrap());
    router.new_flow(FLOW).unwrap();
    let mut processor = PacketProcessor::new(router.manager.forwarding().counters());
    let incoming = router.manager.vif_index(v4(1)).unwrap();
    let (mut joined, mut packets) = (BTreeSet::new(), vec![0; 403]);
    // In an order that is neither ascending nor descending; every third leaves again.
    for step in 0..800_u32 {
        let n = 3 + step.wrapping_mul(7919) % 400;
        if step < 400 {
            router.join(client, n, GROUP);
            joined.insert(n);
        } else if n.is_multiple_of(3) {
            router.leave(client, n, GROUP);
            joined.remove(&n);
        }
        if step % 40 != 0 {
            continue;
        }
        let mut copies = Copies::default();
        let mut reader = router.manager.forwarding().reader();
        let entry = reader.lookup(&flow(FLOW)).unwrap();
        assert_eq!(processor.process(entry, incoming, 100, &mut copies), Verdict::Accept);
        let copied = copies.0.iter().map(|vif| router.manager.interface(*vif).unwrap().index());
        assert_eq!(Vec::from_iter(copied), Vec::from_iter(joined.iter().copied()), "step {step}");
        joined.iter().for_each(|n| packets[*n as usize] += 1);
    }
    let entry = router.manager.entry(flow(FLOW)).unwrap();
    assert_eq!(entry.outgoing.len(), joined.len());
    for out in &entry.outgoing {
        assert_eq!(out.packets, packets[out.interface.index() as usize], "{}", out.interface);
    }
}
