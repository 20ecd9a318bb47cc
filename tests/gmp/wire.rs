//! The message formats of IGMP and MLD.

use crate::support::igmp_messages::*;
use mgm::wire::gmp::{GmpVersion, Malformed, Message, RecordKind, is_mld, parse_igmp, parse_mld};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};

const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 5);

/// Returns (kind, group, sources) of every record.
fn records(message: Message<'_>) -> Vec<(Option<RecordKind>, IpAddr, Vec<IpAddr>)> {
    let Message::Records(records) = message else { panic!("no records in {message:?}") };
    records.map(|record| (record.kind, record.group, record.sources().collect())).collect()
}

/// Returns the group of a query.
fn queried(parsed: Result<Message<'_>, Malformed>) -> Result<IpAddr, Malformed> {
    parsed.map(|message| match message {
        Message::Query(query) => query.group,
        other => panic!("no query: {other:?}"),
    })
}

#[test]
fn the_older_messages_name_one_group() {
    let group = ip("239.1.2.3");
    for (octets, message) in [
        (v1_report("239.1.2.3"), Message::Report { version: GmpVersion::V1, group }),
        (v2_report("239.1.2.3"), Message::Report { version: GmpVersion::V2, group }),
        (leave("239.1.2.3"), Message::Leave { group }),
    ] {
        assert_eq!(parse_igmp(&octets), Ok(message), "{octets:02x?}");
    }
    let group = ip("ff1e::3");
    let to: Ipv6Addr = "ff1e::3".parse().unwrap();
    for (kind, message) in
        [(131, Message::Report { version: GmpVersion::V2, group }), (132, Message::Leave { group })]
    {
        let octets = mld_v1(kind, "ff1e::3", HOST, to);
        assert_eq!(parse_mld(&octets, HOST, to), Ok(message), "type {kind}");
    }
}

/// Octets that Linux 6 sent for sockets that joined, allowed and blocked. Their checksums come from the
/// kernel.
#[test]
fn messages_of_a_linux_kernel_are_parsed() {
    let octets = [
        0x22, 0, 0x78, 0xe4, 0, 0, 0, 2, // a report with two records
        5, 0, 0, 1, 232, 1, 1, 1, 192, 0, 2, 7, // a source-specific join
        4, 0, 0, 1, 239, 0, 0, 3, 192, 0, 2, 8, // IP_BLOCK_SOURCE
    ];
    let expected = [
        (Some(RecordKind::Allow), ip("232.1.1.1"), vec![ip("192.0.2.7")]),
        (Some(RecordKind::ToExclude), ip("239.0.0.3"), vec![ip("192.0.2.8")]),
    ];
    assert_eq!(records(parse_igmp(&octets).unwrap()), expected);

    let group = ip("239.0.0.3");
    let octets = [0x16, 0, 0xfa, 0xfb, 239, 0, 0, 3];
    assert_eq!(parse_igmp(&octets), Ok(Message::Report { version: GmpVersion::V2, group }));
    let octets = [0x17, 0, 0xf9, 0xfb, 239, 0, 0, 3];
    assert_eq!(parse_igmp(&octets), Ok(Message::Leave { group }));

    let host: Ipv6Addr = "fe80::ca3:69ff:fede:aacb".parse().unwrap();
    let mut octets = vec![0x8f, 0, 0x4f, 0x9f, 0, 0, 0, 1, 4, 0, 0, 0, 0xff, 0x1e];
    octets.extend([0; 13]);
    octets.push(3);
    assert_eq!(
        records(parse_mld(&octets, host, ALL_MLDV2_ROUTERS).unwrap()),
        [(Some(RecordKind::ToExclude), ip("ff1e::3"), vec![])]
    );
    let mut octets = vec![0x83, 0, 0x5f, 0x99, 0, 0, 0, 0, 0xff, 0x1e];
    octets.extend([0; 13]);
    octets.push(4);
    let to: Ipv6Addr = "ff1e::4".parse().unwrap();
    assert_eq!(
        parse_mld(&octets, host, to),
        Ok(Message::Report { version: GmpVersion::V2, group: IpAddr::V6(to) })
    );
}

#[test]
fn records_come_in_order_with_their_sources() {
    let octets = v3_report(&[
        record(IS_IN, "232.0.0.1", &["10.0.0.1", "10.0.0.2"]),
        record_with_auxiliary(TO_EX, "232.0.0.2", &["10.0.0.3"], &[9; 12]),
        record(TO_IN, "232.0.0.3", &[]),
        record(77, "232.0.0.4", &["10.0.0.4"]),
        record(BLOCK, "10.9.9.9", &["224.0.0.1"]),
    ]);
    let expected = [
        (Some(RecordKind::IsInclude), ip("232.0.0.1"), vec![ip("10.0.0.1"), ip("10.0.0.2")]),
        (Some(RecordKind::ToExclude), ip("232.0.0.2"), vec![ip("10.0.0.3")]),
        (Some(RecordKind::ToInclude), ip("232.0.0.3"), vec![]),
        (None, ip("232.0.0.4"), vec![ip("10.0.0.4")]),
        (Some(RecordKind::Block), ip("10.9.9.9"), vec![ip("224.0.0.1")]),
    ];
    assert_eq!(records(parse_igmp(&octets).unwrap()), expected);

    let octets = mld_v2(
        &[
            record(IS_EX, "ff3e::1", &["2001:db8::1", "2001:db8::2"]),
            record_with_auxiliary(ALLOW, "ff3e::2", &["2001:db8::3"], &[9; 1020]),
            record(TO_IN, "ff3e::3", &[]),
        ],
        HOST,
    );
    let expected = [
        (Some(RecordKind::IsExclude), ip("ff3e::1"), vec![ip("2001:db8::1"), ip("2001:db8::2")]),
        (Some(RecordKind::Allow), ip("ff3e::2"), vec![ip("2001:db8::3")]),
        (Some(RecordKind::ToInclude), ip("ff3e::3"), vec![]),
    ];
    assert_eq!(records(parse_mld(&octets, HOST, ALL_MLDV2_ROUTERS).unwrap()), expected);
}

#[test]
fn additional_data_is_checksummed_and_ignored() {
    let mut octets = v3_report(&[record(IS_IN, "232.0.0.1", &["10.0.0.1"])]);
    octets.extend([1, 2, 3]);
    assert_eq!(parse_igmp(&octets), Err(Malformed::Checksum));
    assert_eq!(records(parse_igmp(&seal(octets)).unwrap()).len(), 1);

    let mut octets = v2_report("239.1.2.3");
    octets.extend([1, 2, 3]);
    assert_eq!(
        parse_igmp(&seal(octets)),
        Ok(Message::Report { version: GmpVersion::V2, group: ip("239.1.2.3") })
    );
}

#[test]
fn a_message_cut_short_anywhere_is_malformed() {
    let whole = v3_report(&[
        record(IS_IN, "232.0.0.1", &["10.0.0.1", "10.0.0.2"]),
        record_with_auxiliary(TO_EX, "232.0.0.2", &["10.0.0.3"], &[9; 8]),
    ]);
    for end in 0..whole.len() {
        let cut = &whole[..end];
        assert!(parse_igmp(cut).is_err(), "cut at {end}, checksum of the whole");
        if end < 8 {
            assert_eq!(parse_igmp(cut), Err(Malformed::Short { have: end, min: 8 }));
        } else {
            let record = u16::from(end >= 24);
            assert_eq!(
                parse_igmp(&seal(cut.to_vec())),
                Err(Malformed::Record(record)),
                "cut at {end}, sealed"
            );
        }
    }
    let whole = mld_v2(&[record(IS_IN, "ff3e::1", &["2001:db8::1"])], HOST);
    for end in 4..whole.len() {
        let cut = seal6(whole[..end].to_vec(), HOST, ALL_MLDV2_ROUTERS);
        assert!(parse_mld(&cut, HOST, ALL_MLDV2_ROUTERS).is_err(), "cut at {end}");
    }
    let whole = mld_v1(131, "ff1e::3", HOST, HOST);
    for end in 4..24 {
        let cut = seal6(whole[..end].to_vec(), HOST, HOST);
        assert_eq!(parse_mld(&cut, HOST, HOST), Err(Malformed::Short { have: end, min: 24 }));
    }
}

#[test]
fn every_octet_is_covered_by_the_checksum() {
    let whole = v3_report(&[record(IS_IN, "232.0.0.1", &["10.0.0.1"])]);
    let whole6 = mld_v2(&[record(IS_IN, "ff3e::1", &["2001:db8::1"])], HOST);
    for at in 0..whole.len() {
        let mut octets = whole.clone();
        octets[at] ^= 0x10;
        assert_eq!(parse_igmp(&octets), Err(Malformed::Checksum), "octet {at}");
    }
    for at in 0..whole6.len() {
        let mut octets = whole6.clone();
        octets[at] ^= 0x10;
        assert_eq!(parse_mld(&octets, HOST, ALL_MLDV2_ROUTERS), Err(Malformed::Checksum), "octet {at}");
    }
    let other: Ipv6Addr = "fe80::6".parse().unwrap();
    assert_eq!(parse_mld(&whole6, other, ALL_MLDV2_ROUTERS), Err(Malformed::Checksum), "the pseudo-header");
    assert_eq!(parse_mld(&whole6, HOST, other), Err(Malformed::Checksum), "the pseudo-header");
}

#[test]
fn queries_have_the_lengths_of_their_versions() {
    let general = ip("0.0.0.0");
    for (length, sources, expected) in [
        (8, 0, Ok(general)),
        (9, 0, Err(Malformed::QueryLength(9))),
        (11, 0, Err(Malformed::QueryLength(11))),
        (12, 0, Ok(general)),
        (12, 1, Err(Malformed::QuerySources)),
        (15, 1, Err(Malformed::QuerySources)),
        (16, 1, Ok(general)),
    ] {
        let mut octets = vec![0; length];
        octets[0] = 0x11;
        if length >= 12 {
            octets[11] = sources;
        }
        assert_eq!(queried(parse_igmp(&seal(octets))), expected, "{length} octets, {sources} sources");
    }
    let group = ip("::");
    for (length, sources, expected) in [
        (24, 0, Ok(group)),
        (27, 0, Err(Malformed::QueryLength(27))),
        (28, 0, Ok(group)),
        (43, 1, Err(Malformed::QuerySources)),
        (44, 1, Ok(group)),
    ] {
        let mut octets = vec![0; length];
        octets[0] = 130;
        if length >= 28 {
            octets[27] = sources;
        }
        assert_eq!(queried(parse_mld(&seal6(octets, HOST, HOST), HOST, HOST)), expected, "{length} octets");
    }
}

#[test]
fn other_types_are_well_formed() {
    // A PIMv1 query and a multicast router solicitation (RFC 4286) are IGMP too; a neighbour solicitation is ICMPv6.
    assert_eq!(parse_igmp(&seal(vec![0x14, 0, 0, 0, 0, 0, 0, 0])), Ok(Message::Other(0x14)));
    assert_eq!(parse_igmp(&seal(vec![0x31, 0, 0, 0, 0, 0, 0, 0])), Ok(Message::Other(0x31)));
    assert_eq!(parse_mld(&seal6(vec![135; 24], HOST, HOST), HOST, HOST), Ok(Message::Other(135)));
    assert_eq!((0..=255).filter(|&kind| is_mld(kind)).collect::<Vec<_>>(), [130, 131, 132, 143]);
}

/// Generates a message type, most often a known one.
fn kind() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(vec![0x11, 0x12, 0x16, 0x17, 0x22, 130, 131, 132, 143]),
        1 => any::<u8>(),
    ]
}

proptest! {
    /// Any octets are a message or an error, and what a message exposes lies within it.
    #[test]
    fn any_octets_are_a_message_or_malformed(kind in kind(), mut octets in prop::collection::vec(any::<u8>(), 4..200), few in any::<bool>()) {
        octets[0] = kind;
        if few && octets.len() > 12 {
            octets[6] = 0;
            octets[7] &= 3;
            octets[10] = 0;
            octets[11] &= 7;
        }
        let length = octets.len();
        let igmp = seal(octets.clone());
        if let Ok(Message::Records(records)) = parse_igmp(&igmp) {
            let length_of_records: usize = records.map(|record| 8 + 4 * record.sources().len()).sum();
            prop_assert!(8 + length_of_records <= length);
        }
        let mld = seal6(octets, HOST, HOST);
        if let Ok(Message::Records(records)) = parse_mld(&mld, HOST, HOST) {
            let length_of_records: usize = records.map(|record| 20 + 16 * record.sources().len()).sum();
            prop_assert!(8 + length_of_records <= length);
        }
    }
}
