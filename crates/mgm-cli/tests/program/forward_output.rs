//! `mgm forward --out`: the packets that each interface transmits.

use crate::support::{CAPTURES, EXAMPLE, at_root, directory, forward};
use mgm::forwarding::Flow;
use mgm::plane::capture::CaptureReader;
use mgm::plane::{Class, classify};
use mgm::wire::{ETHERNET_HEADER, Link, MacAddress};
use std::collections::HashMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The time, the link header and the datagram of a packet.
type Packet = (Duration, Vec<u8>, Vec<u8>);

fn read(path: &Path, name: &str) -> HashMap<Flow, Vec<Packet>> {
    let mut reader = CaptureReader::new(File::open(path).unwrap()).unwrap();
    let mut packets: HashMap<_, Vec<_>> = HashMap::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        // `classify` verifies the checksum. A packet with one hop left is no data packet any more, but a right copy.
        if matches!(classify(frame.link, frame.octets), Class::Data(_) | Class::TtlExpired) {
            let (header, datagram) = frame.octets.split_at(ETHERNET_HEADER);
            let (flow, datagram) = parse(datagram);
            packets.entry(flow).or_default().push((frame.time, header.to_vec(), datagram.to_vec()));
        }
    }
    assert!(name.is_empty() || reader.interfaces().iter().map(|i| i.name.as_str()).eq([name]));
    packets
}

/// Returns the flow of a datagram, and the datagram without the padding of the link.
fn parse(datagram: &[u8]) -> (Flow, &[u8]) {
    fn address<const N: usize>(octets: &[u8]) -> IpAddr
    where
        IpAddr: From<[u8; N]>,
    {
        IpAddr::from(<[u8; N]>::try_from(&octets[..N]).unwrap())
    }
    let length = |at: usize| usize::from(u16::from_be_bytes([datagram[at], datagram[at + 1]]));
    let (source, group, length) = if datagram[0] >> 4 == 4 {
        (address::<4>(&datagram[12..]), address::<4>(&datagram[16..]), length(2))
    } else {
        (address::<16>(&datagram[8..]), address::<16>(&datagram[24..]), 40 + length(4))
    };
    (Flow::new(source, group).unwrap(), &datagram[..length])
}

/// Returns the hop limit, and the datagram without the fields that forwarding changes.
fn hops_and_rest(datagram: &[u8]) -> (u8, Vec<u8>) {
    let mut rest = datagram.to_vec();
    if rest[0] >> 4 == 4 {
        rest[10..12].fill(0);
        (std::mem::take(&mut rest[8]), rest)
    } else {
        (std::mem::take(&mut rest[7]), rest)
    }
}

#[test]
fn every_copy_is_its_original_with_one_hop_less() {
    let directory = directory("every_copy_is_its_original");
    let report = forward(&["--out", directory.to_str().unwrap(), EXAMPLE]);
    let mut originals = read(&at_root(EXAMPLE), "");
    for packets in originals.values_mut() {
        packets.sort_by_key(|(time, ..)| *time);
    }
    let mut senders = HashMap::new();
    for interface in report["interfaces"].as_array().unwrap() {
        let name = interface["name"].as_str().unwrap();
        let copies = read(&directory.join(format!("{name}.pcapng")), name);
        let number: usize = copies.values().map(Vec::len).sum();
        assert_eq!(interface["transmitted"], number, "{name}: every written packet can be forwarded again");
        for (flow, copies) in copies {
            let mut originals = originals[&flow].iter();
            let mut last = Duration::ZERO;
            for (time, header, datagram) in copies {
                assert!(time >= last);
                last = time;
                let (hops, rest) = hops_and_rest(&datagram);
                let original = originals.find(|(then, _, original)| {
                    *then == time && hops_and_rest(original) == (hops + 1, rest.clone())
                });
                assert!(original.is_some(), "{name}: no original of {flow} at {time:?}");
                assert_eq!(header[..6], MacAddress::of_group(flow.group()).0);
                senders.insert(name.to_owned(), header[6..12].to_vec());
            }
        }
    }
    let mut addresses: Vec<_> = senders.values().collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!((senders.len(), addresses.len()), (4, 4), "each interface sends from its own address");
}

#[test]
fn the_files_depend_on_neither_workers_nor_passes() {
    let first = directory("the_files_depend_1");
    let second = directory("the_files_depend_2");
    forward(&["--out", first.to_str().unwrap(), EXAMPLE]);
    // An existing file is overwritten.
    fs::write(second.join("lab.pcapng"), vec![0; 5_000_000]).unwrap();
    forward(&["--out", second.to_str().unwrap(), "--threads", "4", "--repeat", "3", "--churn", "1", EXAMPLE]);
    for name in ["studio", "office", "lab", "uplink"] {
        let file = format!("{name}.pcapng");
        assert!(fs::read(first.join(&file)).unwrap() == fs::read(second.join(&file)).unwrap(), "{name}");
    }
}

/// A raw interface sends bare datagrams. Cooked headers exist only on reception, so Ethernet replaces them.
#[test]
fn each_link_is_written_as_it_can_be_sent() {
    let directory = directory("each_link_is_written");
    forward(&["--out", directory.to_str().unwrap(), &format!("{CAPTURES}/links.pcapng")]);
    for (name, link) in [
        ("ether", Link::Ethernet),
        ("raw", Link::Ip),
        ("cooked", Link::Ethernet),
        ("cooked2_3", Link::Ethernet),
    ] {
        let file = File::open(directory.join(format!("{name}.pcapng"))).unwrap();
        let mut reader = CaptureReader::new(file).unwrap();
        let frame = reader.next_frame().unwrap().expect("every interface transmits");
        assert_eq!(frame.link, link, "{name}");
        assert!(matches!(classify(frame.link, frame.octets), Class::Data(_)), "{name}");
    }
}

#[test]
fn copies_leave_with_the_tag_of_their_vlan() {
    let directory = directory("copies_leave_with_the_tag");
    forward(&["--out", directory.to_str().unwrap(), &format!("{CAPTURES}/vlan-trunk.pcapng")]);
    let written = fs::read(directory.join("trunk.20.pcapng")).unwrap();
    let header = [0x01, 0, 0x5e, 1, 1, 1, 0x02, 0x6d, 0, 0, 0, 2, 0x81, 0, 0, 20, 8, 0, 0x45];
    assert_eq!(written.windows(header.len()).filter(|window| *window == header).count(), 2);
    // The router of the next capture finds the same interface.
    let mut reader = CaptureReader::new(&written[..]).unwrap();
    let frame = reader.next_frame().unwrap().unwrap();
    assert!(matches!(classify(frame.link, frame.octets), Class::Data(_)));
    assert_eq!(reader.interfaces()[1].name, "trunk.20.20");
}

/// A packet without its end cannot be written.
#[test]
fn cut_packets_are_not_written() {
    let directory = directory("cut_packets_are_not_written");
    let capture = format!("{CAPTURES}/snap.pcapng");
    let (plain, written) = (forward(&[&capture]), forward(&["--out", directory.to_str().unwrap(), &capture]));
    assert_eq!((&plain["forwarded_packets"], &plain["not_forwarded"]["truncated"]), (&4.into(), &8.into()));
    assert_eq!(
        (&written["forwarded_packets"], &written["not_forwarded"]["truncated"]),
        (&0.into(), &12.into())
    );
    let flow = |report: &serde_json::Value| report["flows"][0]["not_forwarded"]["truncated"].as_u64();
    assert_eq!(flow(&written).unwrap() - flow(&plain).unwrap_or(0), 2);
    // All passes count the same, although only the first one is written.
    let twice = forward(&["--repeat", "2", "--out", directory.to_str().unwrap(), &capture]);
    assert_eq!(twice["not_forwarded"]["truncated"], 24);
    let bits = plain["flows"][0]["forwarded_octets"].as_u64().unwrap();
    assert_eq!(bits, 2 * (20 + 8 + 1316), "the whole datagrams count");
}
