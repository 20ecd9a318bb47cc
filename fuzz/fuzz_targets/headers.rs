//! IP headers and extension chains in any kind of frame: classification and forwarding are consistent.
//!
//! - A datagram lies within its frame, and its length is that of its own header.
//! - A datagram of link-local scope, with an expired hop limit or from an impossible source is not to be forwarded.
//! - A forwarded datagram has its TTL lowered by one and a correct checksum; nothing else of it has changed, and the next
//!   router classifies it in the same way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mgm::forwarding::Family;
use mgm::plane::{CannotForward, Class, Control, Data, Link, MacAddress, Truncated, classify, classify_cut};
use mgm::wire::{ETHERNET_HEADER, decrement_ttl, ethernet_header};
use std::net::IpAddr;

const LINKS: [Link; 6] =
    [Link::Ethernet, Link::Ip, Link::LinuxCooked, Link::LinuxCooked2, Link::Loopback, Link::Unknown(77)];

/// RFC 1071.
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0)));
    let sum = words.fold(0_u64, |sum, word| sum + u64::from(word));
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

fn is_within(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty()
        || whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

/// Returns the fields of a datagram's header: its length, hop limit, source and destination.
fn read(datagram: &[u8]) -> (usize, u8, IpAddr, IpAddr) {
    let word = |at: usize| usize::from(u16::from_be_bytes([datagram[at], datagram[at + 1]]));
    let v4 = |at: usize| <[u8; 4]>::try_from(&datagram[at..at + 4]).unwrap().into();
    let v6 = |at: usize| <[u8; 16]>::try_from(&datagram[at..at + 16]).unwrap().into();
    match datagram[0] >> 4 {
        4 => (word(2), datagram[8], v4(12), v4(16)),
        6 => (40 + word(4), datagram[7], v6(8), v6(24)),
        version => panic!("IP version {version}"),
    }
}

fn data(link: Link, frame: &[u8], Data { flow, datagram }: Data<'_>) {
    assert!(is_within(datagram, frame));
    let (length, hops, source, group) = read(datagram);
    assert_eq!((length, source, group), (datagram.len(), flow.source(), flow.group()));
    assert!(hops > 1 && group.is_multicast() && !source.is_multicast());
    match (source, group) {
        (IpAddr::V4(source), IpAddr::V4(group)) => {
            assert!(group.octets()[..3] != [224, 0, 0] && !source.is_link_local() && !source.is_loopback());
            assert!(!source.is_unspecified() && !source.is_broadcast());
            assert_eq!(sum(&datagram[..usize::from(datagram[0] & 15) * 4]), 0xffff);
        }
        (IpAddr::V6(source), IpAddr::V6(group)) => {
            assert!(group.octets()[1] & 15 > 2 && !source.is_unicast_link_local() && !source.is_loopback());
        }
        _ => panic!("{source} sends to {group}"),
    }

    let mut lowered = datagram.to_vec();
    decrement_ttl(&mut lowered).unwrap();
    let header = match flow.family() {
        Family::V4 => {
            assert_eq!(sum(&lowered[..usize::from(lowered[0] & 15) * 4]), 0xffff);
            12
        }
        Family::V6 => 8,
    };
    let hops_at = if flow.family() == Family::V4 { 8 } else { 7 };
    assert_eq!(lowered[hops_at], hops - 1);
    assert_eq!(lowered[..hops_at], datagram[..hops_at]);
    assert_eq!(lowered[header..], datagram[header..]);

    let mac = MacAddress::for_interface(3);
    let next = [&ethernet_header(group, mac)[..], &lowered].concat();
    match classify(Link::Ethernet, &next) {
        Class::Data(Data { flow: again, datagram: behind }) => {
            assert!(hops > 2);
            assert_eq!((again, behind), (flow, &next[ETHERNET_HEADER..]));
        }
        Class::TtlExpired => assert_eq!(hops, 2),
        other => panic!("{link:?}: {flow} became {other:?}"),
    }
}

fuzz_target!(|octets: &[u8]| {
    let Some((first, frame)) = octets.split_first() else { return };
    // Random octets seldom have a correct checksum: unless the top bit of the first octet is set, the header's is corrected.
    let mut frame = frame.to_vec();
    let link = LINKS[usize::from(first & 7) % LINKS.len()];
    let at = match link {
        Link::Ethernet => 14,
        Link::LinuxCooked => 16,
        Link::LinuxCooked2 => 20,
        Link::Loopback => 4,
        _ => 0,
    };
    if first & 0x80 == 0
        && let Some(datagram) =
            frame.get_mut(at..).filter(|datagram| datagram.len() >= 20 && datagram[0] >> 4 == 4)
    {
        let length = (usize::from(datagram[0] & 15) * 4).clamp(20, datagram.len());
        datagram[10..12].fill(0);
        let checksum = !sum(&datagram[..length]);
        datagram[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    // Of a frame that was cut off, as much is known as of the whole one, or less.
    let cut = frame.len() / 2;
    match (classify_cut(link, &frame[..frame.len() - cut], cut), classify(link, &frame)) {
        (Class::Data(found), Class::Data(whole)) => assert_eq!(found, whole),
        (Class::Truncated(Some(found)), Class::Data(whole)) => {
            let Truncated { flow, captured, length } = found;
            assert_eq!((flow, length), (whole.flow, whole.datagram.len()));
            assert!(whole.datagram.starts_with(captured) && captured.len() < length);
        }
        (Class::Truncated(None), _) => assert!(cut > 0),
        (found, whole) => {
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&whole), "{found:?} {whole:?}")
        }
    }
    let before = frame.clone();
    match classify(link, &frame) {
        Class::Data(found) => data(link, &frame, found),
        Class::Control(Control::Igmp { destination, message, .. }) => {
            assert!(destination.is_multicast() && is_within(message, &frame));
        }
        Class::Control(Control::Mld { destination, message, .. }) => {
            assert!(destination.is_multicast() && is_within(message, &frame) && !message.is_empty());
            assert!(matches!(message[0], 130..=132 | 143));
        }
        Class::NotMulticast | Class::Malformed(_) | Class::LinkLocal | Class::TtlExpired => {}
        Class::Truncated(_) => panic!("the frame is whole"),
    }
    if matches!(link, Link::Unknown(_)) {
        assert_eq!(classify(link, &frame), Class::NotMulticast);
    }
    // Decrementing changes octets of the header only, for any input, and none if it returns an error.
    let refused: Result<(), CannotForward> = decrement_ttl(&mut frame);
    if refused.is_err() {
        assert_eq!(frame, before);
    } else {
        assert!(frame.iter().zip(&before).filter(|(now, then)| now != then).count() <= 3);
    }
});
