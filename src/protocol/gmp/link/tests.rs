use super::super::hosts::Wanted;
use super::*;
use crate::wire::gmp::{Datagram, parse_igmp};
use std::net::Ipv4Addr;

const GROUP: [u8; 4] = [239, 1, 1, 1];
/// The sources that the group may have.
const FULL: u32 = 2048;
/// The most records of one source that a datagram has room for.
const MOST: u32 = 5400;

fn source(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0b00_0000 + n)
}

/// Has a link receive a report. Returns the number of sources that the cut of the group looked at.
fn receive(link: &mut LinkState, host: u8, records: impl Iterator<Item = (u8, Vec<Ipv4Addr>)>) -> usize {
    let (mut octets, mut count) = (vec![0x22, 0, 0, 0, 0, 0, 0, 0], 0u16);
    for (kind, sources) in records {
        octets.extend([kind, 0]);
        octets.extend((sources.len() as u16).to_be_bytes());
        octets.extend(GROUP);
        sources.iter().for_each(|source| octets.extend(source.octets()));
        count += 1;
    }
    octets[6..8].copy_from_slice(&count.to_be_bytes());
    let sum: u32 = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    octets[2..4].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    let datagram = Datagram {
        source: Ipv4Addr::new(10, 0, 0, host).into(),
        destination: Ipv4Addr::new(224, 0, 0, 22).into(),
        hop_limit: 1,
        router_alert: true,
        payload: &octets,
    };
    let before = link.looked_at;
    let message = parse_igmp(&octets).unwrap();
    link.receive(&datagram, message, Duration::from_secs(5), &mut GmpCounters::default());
    link.drain(|_| (), |_| (), |_| ());
    link.looked_at - before
}

/// Returns a link with a group that has as many sources as it may.
fn full() -> LinkState {
    let mut link = LinkState::new(Arc::default(), true);
    for host in 0..8 {
        let first = 256 * u32::from(host);
        receive(&mut link, host, [(5, (first..first + 256).map(source).collect())].into_iter());
    }
    assert_eq!(link.sources, FULL as usize);
    link
}

fn wanted(link: &LinkState) -> Wanted {
    link.wanted(Ipv4Addr::from(GROUP).into())
}

#[test]
fn a_record_costs_in_proportion_to_what_it_lists() {
    let mut link = full();
    assert_eq!(receive(&mut link, 0, [(6, vec![source(7)])].into_iter()), 1, "BLOCK");
    assert_eq!(receive(&mut link, 0, [(5, vec![source(7)])].into_iter()), 1, "ALLOW");
    assert_eq!(receive(&mut link, 1, [(1, vec![source(7)])].into_iter()), 1, "IS_IN");
    assert_eq!(wanted(&link).sources.len(), FULL as usize);
}

#[test]
fn a_report_of_many_records_looks_at_its_group_once() {
    for kinds in [[6, 6], [6, 5], [1, 5]] {
        let mut link = full();
        let records = (0..MOST).map(|n| (kinds[n as usize % 2], vec![source(n / 2 % FULL)]));
        assert!(receive(&mut link, 0, records) <= FULL as usize, "{kinds:?}");
    }
    for kinds in [[3, 3], [3, 4], [2, 6], [4, 1]] {
        let mut link = full();
        let records = (0..MOST).map(|n| (kinds[n as usize % 2], vec![source(n % FULL)]));
        assert!(receive(&mut link, 0, records) <= 2 * FULL as usize, "{kinds:?}");
    }
}

#[test]
fn include_lists_of_one_report_are_one_list() {
    let mut link = full();
    receive(&mut link, 0, (0..100).map(|n| (3, vec![source(n)])));
    let left: BTreeSet<IpAddr> = (0..100).chain(256..FULL).map(|n| source(n).into()).collect();
    assert_eq!(wanted(&link).sources, left);
}
