use super::*;
use crate::plane::VlanTags;
use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// Returns a datagram of UDP's protocol number with 8 octets of payload.
fn v4(source: &str, destination: &str) -> Vec<u8> {
    let mut datagram = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 9, 17, 0, 0];
    datagram.extend(source.parse::<Ipv4Addr>().unwrap().octets());
    datagram.extend(destination.parse::<Ipv4Addr>().unwrap().octets());
    datagram.extend([7; 8]);
    summed(datagram)
}

fn summed(mut datagram: Vec<u8>) -> Vec<u8> {
    let header = usize::from(datagram[0] & 0xf) * 4;
    datagram[10..12].fill(0);
    let sum = Sum16BitWords::new().add_slice(&datagram[..header]).ones_complement();
    datagram[10..12].copy_from_slice(&sum.to_ne_bytes());
    datagram
}

fn with(mut datagram: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut datagram);
    if datagram[0] >> 4 == 4 { summed(datagram) } else { datagram }
}

/// Returns a datagram with `chain` as its headers and payload, the first of protocol `next`.
fn v6(source: &str, destination: &str, next: u8, chain: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x60, 0, 0, 0];
    datagram.extend((chain.len() as u16).to_be_bytes());
    datagram.extend([next, 9]);
    datagram.extend(source.parse::<Ipv6Addr>().unwrap().octets());
    datagram.extend(destination.parse::<Ipv6Addr>().unwrap().octets());
    datagram.extend(chain);
    datagram
}

fn ip(datagram: &[u8]) -> Class<'_> {
    classify(Link::Ip, datagram)
}

fn flow(source: &str, group: &str) -> Flow {
    Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap()
}

#[test]
fn a_packet_to_a_group_is_data_under_every_link() {
    let datagram = v4("10.0.0.1", "239.1.2.3");
    let data = Class::Data(Data { flow: flow("10.0.0.1", "239.1.2.3"), datagram: &datagram });
    let headers: [(u32, &[u8]); 8] = [
        (1, &[1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1, 8, 0]),
        (113, &[0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]),
        (276, &[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 2, 6, 2, 0, 0, 0, 0, 1, 0, 0]),
        (101, &[]),
        (228, &[]),
        (0, &[2, 0, 0, 0]),
        (0, &[0, 0, 0, 2]),
        (108, &[0, 0, 0, 2]),
    ];
    for (linktype, header) in headers {
        let frame = [header, &datagram].concat();
        assert_eq!(classify(Link::from_linktype(linktype), &frame), data, "link type {linktype}");
        for cut in 0..frame.len() {
            let cut = classify(Link::from_linktype(linktype), &frame[..cut]);
            assert!(matches!(cut, Class::Malformed(_)), "link type {linktype}: {cut:?}");
        }
    }
    assert_eq!(classify(Link::from_linktype(105), &datagram), Class::NotMulticast);
}

#[test]
fn padding_behind_the_datagram_is_dropped() {
    let datagram = v4("10.0.0.1", "239.1.2.3");
    let padded = [&datagram[..], &[0; 18]].concat();
    let Class::Data(data) = ip(&padded) else { panic!() };
    assert_eq!(data.datagram, datagram);
    let datagram = v6("2001:db8::1", "ff0e::1", 17, &[7; 8]);
    let padded = [&datagram[..], &[0; 4]].concat();
    assert_eq!(ip(&padded), Class::Data(Data { flow: flow("2001:db8::1", "ff0e::1"), datagram: &datagram }));
}

#[test]
fn unicast_is_not_multicast_even_if_malformed() {
    for destination in ["10.0.0.2", "255.255.255.255", "0.0.0.0"] {
        let mut datagram = v4("10.0.0.1", destination);
        datagram[10] ^= 0xff;
        assert_eq!(ip(&datagram[..20]), Class::NotMulticast, "{destination}");
    }
    assert_eq!(ip(&v6("::", "2001:db8::2", 17, &[])[..40]), Class::NotMulticast);
    let ethernet = |kind: [u8; 2]| [&[0xff; 12][..], &kind].concat();
    for kind in [[8, 6], [0x88, 0xcc], [0, 38]] {
        assert_eq!(classify(Link::Ethernet, &ethernet(kind)), Class::NotMulticast, "{kind:?}");
    }
    assert_eq!(classify(Link::Ethernet, &ethernet([0x81, 0])), Class::Malformed(Defect::LinkHeader));
    assert_eq!(classify_cut(Link::Ethernet, &ethernet([0x81, 0]), 9), Class::Truncated(None));
}

#[test]
fn invalid_ipv4_headers_are_malformed() {
    let good = || v4("10.0.0.1", "239.1.2.3");
    let changed: [(Defect, Vec<u8>); 9] = [
        (Defect::HeaderLength, with(good(), |d| d[0] = 0x44)),
        (Defect::HeaderLength, {
            let mut d = good();
            d[0] = 0x4f;
            d
        }),
        (Defect::Length, with(good(), |d| d[3] = 29)),
        (Defect::Length, with(good(), |d| d[3] = 19)),
        (Defect::HeaderChecksum, {
            let mut d = good();
            d[8] -= 1;
            d
        }),
        (Defect::Source, v4("239.1.1.1", "239.1.2.3")),
        (Defect::Source, v4("255.255.255.255", "239.1.2.3")),
        (Defect::Source, v4("127.0.0.1", "239.1.2.3")),
        (Defect::Source, v4("0.0.0.0", "239.1.2.3")),
    ];
    for (defect, datagram) in changed {
        assert_eq!(ip(&datagram), Class::Malformed(defect));
    }
    assert_eq!(ip(&[]), Class::Malformed(Defect::Header));
    assert_eq!(ip(&[0x55; 40]), Class::Malformed(Defect::Version));
    let announced_v6 = [&[0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd][..], &good()].concat();
    assert_eq!(classify(Link::Ethernet, &announced_v6), Class::Malformed(Defect::Version));
}

#[test]
fn igmp_is_control_for_any_group_and_ttl() {
    let igmp = |source, destination| with(v4(source, destination), |d| (d[8], d[9]) = (1, 2));
    for source in ["10.0.0.1", "0.0.0.0", "169.254.1.1"] {
        let datagram = igmp(source, "224.0.0.22");
        let (source, destination) = (source.parse().unwrap(), Ipv4Addr::new(224, 0, 0, 22));
        assert_eq!(
            ip(&datagram),
            Class::Control(Control::Igmp {
                source,
                destination,
                ttl: 1,
                router_alert: false,
                message: &[7; 8]
            })
        );
    }
    let with_router_alert = with(igmp("10.0.0.1", "239.1.2.3"), |d| {
        (d[0], d[3]) = (0x46, 32);
        d.splice(20..20, [0x94, 4, 0, 0]);
    });
    let source = Ipv4Addr::new(10, 0, 0, 1);
    let (ttl, router_alert) = (1, true);
    let control = Control::Igmp { source, destination: GROUP4, ttl, router_alert, message: &[7; 8] };
    assert_eq!(ip(&with_router_alert), Class::Control(control));
    assert_eq!(ip(&igmp("10.0.0.1", "10.0.0.2")), Class::NotMulticast);
    for fragment in [[0x20, 0], [0, 1]] {
        let datagram = with(igmp("10.0.0.1", "239.1.2.3"), |d| d[6..8].copy_from_slice(&fragment));
        assert_eq!(ip(&datagram), Class::Malformed(Defect::Fragment));
    }
}

#[test]
fn fragments_of_data_are_data() {
    for fragment in [[0x20, 0], [0, 1]] {
        let datagram = with(v4("10.0.0.1", "239.1.2.3"), |d| d[6..8].copy_from_slice(&fragment));
        assert!(matches!(ip(&datagram), Class::Data(_)));
    }
    for fragment in [[17, 0, 0, 1, 0, 0, 0, 1], [17, 0, 0, 8, 0, 0, 0, 1]] {
        assert!(matches!(ip(&v6("2001:db8::1", "ff0e::1", 44, &fragment)), Class::Data(_)));
    }
}

#[test]
fn link_local_groups_and_sources_stay_on_the_link() {
    let local = [
        v4("10.0.0.1", "224.0.0.251"),
        v4("169.254.7.7", "239.1.2.3"),
        v6("fe80::1", "ff0e::1", 17, &[]),
        v6("2001:db8::1", "ff00::1", 17, &[]),
        v6("2001:db8::1", "ff01::1", 17, &[]),
        v6("2001:db8::1", "ff12::1", 17, &[]),
        v6("::", "ff02::1:ff00:1", 58, &[135, 0, 0, 0]),
    ];
    for datagram in local {
        assert_eq!(ip(&datagram), Class::LinkLocal, "{datagram:x?}");
    }
    assert!(matches!(ip(&v4("10.0.0.1", "224.0.1.1")), Class::Data(_)));
    assert!(matches!(ip(&v6("2001:db8::1", "ff03::1", 17, &[])), Class::Data(_)));
}

#[test]
fn packets_without_hops_left_are_expired() {
    for hops in [0, 1] {
        assert_eq!(ip(&with(v4("10.0.0.1", "239.1.2.3"), |d| d[8] = hops)), Class::TtlExpired);
        assert_eq!(ip(&with(v6("2001:db8::1", "ff0e::1", 17, &[]), |d| d[7] = hops)), Class::TtlExpired);
        assert_eq!(ip(&with(v4("10.0.0.1", "224.0.0.5"), |d| d[8] = hops)), Class::LinkLocal);
    }
    assert!(matches!(ip(&with(v4("10.0.0.1", "239.1.2.3"), |d| d[8] = 2)), Class::Data(_)));
}

#[test]
fn mld_is_found_behind_extension_headers() {
    let report = [143, 0, 0, 0, 0, 0, 0, 0];
    let router_alert = [58, 0, 5, 2, 0, 0, 1, 0];
    let chain = [&router_alert[..], &report].concat();
    let control = Class::Control(Control::Mld {
        source: "fe80::1".parse().unwrap(),
        destination: "ff02::16".parse().unwrap(),
        hop_limit: 9,
        router_alert: true,
        message: &report,
    });
    assert_eq!(ip(&v6("fe80::1", "ff02::16", 0, &chain)), control);
    for kind in [130, 131, 132] {
        assert!(matches!(ip(&v6("::", "ff02::1", 58, &[kind, 0, 0, 0])), Class::Control(_)));
    }
    // Destination options, routing, authentication (its length counts words of four octets), a whole "fragment".
    let long = [
        &[43, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0, 44, 1][..],
        &[0; 10],
        &[58, 0, 0, 0, 0, 0, 0, 1],
        &report,
    ]
    .concat();
    assert!(matches!(ip(&v6("fe80::1", "ff02::16", 60, &long)), Class::Control(_)));
    let first_fragment = [&[58, 0, 0, 1, 0, 0, 0, 1][..], &report].concat();
    assert_eq!(ip(&v6("fe80::1", "ff02::16", 44, &first_fragment)), Class::Malformed(Defect::Fragment));
}

#[test]
fn an_echo_to_a_group_is_data_and_so_is_its_later_fragment() {
    assert!(matches!(ip(&v6("2001:db8::1", "ff0e::1", 58, &[128, 0, 0, 0])), Class::Data(_)));
    let later = [58, 0, 0, 8, 0, 0, 0, 1, 143, 0, 0, 0];
    assert!(matches!(ip(&v6("2001:db8::1", "ff0e::1", 44, &later)), Class::Data(_)));
}

#[test]
fn invalid_ipv6_headers_are_malformed() {
    let cut_chains: [&[u8]; 5] =
        [&[], &[17], &[17, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 0, 0, 0, 17], &[60, 0, 0, 0, 0, 0, 0, 0]];
    for chain in cut_chains {
        let datagram = v6("2001:db8::1", "ff0e::1", 0, chain);
        assert_eq!(ip(&datagram), Class::Malformed(Defect::ExtensionHeader), "{chain:?}");
    }
    let whole = v6("2001:db8::1", "ff0e::1", 17, &[7; 8]);
    assert_eq!(ip(&whole[..47]), Class::Malformed(Defect::Length));
    assert_eq!(ip(&v6("ff0e::9", "ff0e::1", 17, &[])), Class::Malformed(Defect::Source));
    assert_eq!(ip(&v6("::1", "ff0e::1", 17, &[])), Class::Malformed(Defect::Source));
    assert_eq!(ip(&v6("::", "ff0e::1", 17, &[])), Class::Malformed(Defect::Source));
    assert_eq!(ip(&v6("::", "ff0e::1", 58, &[128, 0, 0, 0])), Class::Malformed(Defect::Source));
    assert_eq!(ip(&v6("2001:db8::1", "ff0e::1", 58, &[])), Class::Malformed(Defect::Length));
}

/// A cut frame is what the whole one is, or truncated. Once its header is there, the flow and the length are the right ones.
#[test]
fn a_cut_frame_is_truncated_where_octets_are_missing() {
    let igmp = with(v4("10.0.0.1", "239.1.2.3"), |d| d[9] = 2);
    let mld = v6("fe80::1", "ff02::16", 0, &[58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0]);
    let (data4, data6) = (v4("10.0.0.1", "239.1.2.3"), v6("2001:db8::1", "ff0e::1", 17, &[7; 8]));
    for (datagram, header) in [(data4, 20), (data6, 40), (igmp, usize::MAX), (mld, usize::MAX)] {
        let whole = ip(&datagram);
        for captured in 0..datagram.len() {
            let found = classify_cut(Link::Ip, &datagram[..captured], datagram.len() - captured);
            match (whole, found) {
                (Class::Data(data), Class::Truncated(Some(cut))) => {
                    assert!(captured >= header);
                    assert_eq!((cut.flow, cut.length), (data.flow, datagram.len()));
                    assert_eq!(cut.captured, &datagram[..captured]);
                }
                (_, Class::Truncated(None)) => assert!(captured < header),
                other => panic!("{captured}: {other:?}"),
            }
            // A frame that was this short on the wire is malformed.
            assert!(matches!(ip(&datagram[..captured]), Class::Malformed(_)), "{captured}");
        }
    }
    let unicast = v4("10.0.0.1", "10.0.0.2");
    assert_eq!(classify_cut(Link::Ip, &unicast[..20], 8), Class::NotMulticast);
    let local = v4("10.0.0.1", "224.0.0.5");
    assert_eq!(classify_cut(Link::Ip, &local[..20], 8), Class::LinkLocal);
    let longer = with(v4("10.0.0.1", "239.1.2.3"), |d| d[3] = 99);
    assert_eq!(
        classify_cut(Link::Ip, &longer, 70),
        Class::Malformed(Defect::Length),
        "longer than its frame"
    );
}

#[test]
fn a_tag_without_vlan_is_skipped_and_others_belong_elsewhere() {
    let datagram = v4("10.0.0.1", "239.1.2.3");
    let frame = |tags: &[u8]| [&[1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1], tags, &[8, 0], &datagram].concat();
    let vlan = |vlans: &[u16]| Link::Ethernet.within(VlanTags::new(vlans.iter().copied()).unwrap());
    let (zero, five) = (frame(&[0x81, 0, 0xa0, 0]), frame(&[0x81, 0, 0xa0, 5]));
    let two = frame(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6]);
    assert!(matches!(classify(Link::Ethernet, &zero), Class::Data(_)));
    for (link, right) in [(vlan(&[5]), &five), (vlan(&[5, 6]), &two)] {
        assert!(matches!(classify(link, right), Class::Data(_)));
        for other in [&zero, &five, &two, &frame(&[])].into_iter().filter(|frame| *frame != right) {
            assert_eq!(classify(link, other), Class::NotMulticast);
        }
    }
    assert_eq!(classify(Link::Ethernet, &five), Class::NotMulticast);
}

#[test]
fn router_alert_is_found_among_other_options() {
    for (options, found) in [
        (&[0x94, 4, 0, 0][..], true),
        (&[1, 1, 7, 3, 0, 0x94, 4, 0, 0, 0, 0, 0], true),
        (&[0, 0x94, 4, 0], false),
        (&[0x94, 4], false),
        (&[7, 0, 0x94, 4, 0, 0], false),
        (&[], false),
    ] {
        assert_eq!(has_router_alert(options), found, "{options:?}");
    }
    let mld = |options: [u8; 6]| {
        let chain = [&[58, 0][..], &options, &[143, 0, 0, 0, 0, 0, 0, 0]].concat();
        let datagram = v6("fe80::1", "ff02::16", 0, &chain);
        let Class::Control(Control::Mld { router_alert, .. }) = ip(&datagram) else { panic!() };
        router_alert
    };
    assert!(mld([5, 2, 0, 0, 1, 0]) && mld([0, 0, 5, 2, 0, 0]) && mld([1, 0, 5, 2, 0, 0]));
    assert!(!mld([5, 2, 0, 1, 1, 0]) && !mld([1, 4, 5, 2, 0, 0]) && !mld([1, 0, 0, 0, 5, 2]));
}

proptest! {
    /// A datagram of class data lies within the frame, and has hops left.
    #[test]
    fn any_octets_are_classified(linktype in prop::sample::select(&[0_u32, 1, 101, 108, 113, 276][..]), mut frame in prop::collection::vec(any::<u8>(), 0..120), version in any::<bool>()) {
        if linktype == 101 && let Some(first) = frame.first_mut() {
            *first = if version { 0x45 } else { 0x60 };
        }
        if let Class::Data(data) = classify(Link::from_linktype(linktype), &frame) {
            prop_assert!(frame.as_ptr_range().contains(&data.datagram.as_ptr()));
            prop_assert!(crate::wire::decrement_ttl(&mut data.datagram.to_vec()).is_ok());
        }
    }
}

/// Generates a frame with common headers, some octets of them changed, the checksum corrected or not.
fn nearly_common() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        any::<u8>(),
        prop::sample::select(&[0, 1, 2, 6, 17, 58, 0x45, 0x46, 0x60, 127, 169, 224, 239, 254, 255][..])
    ];
    let changes = prop::collection::vec((0..54_usize, octet), 0..4);
    // Random changes of a few octets would hardly produce these.
    let source = prop_oneof![
        4 => any::<[u8; 3]>().prop_map(|[a, b, c]| [10, a, b, c]),
        1 => prop::sample::select(vec![
            [0, 0, 0, 0], [127, 1, 2, 3], [169, 254, 1, 2], [169, 253, 1, 2], [223, 255, 255, 255],
            [224, 0, 0, 0], [239, 1, 2, 3], [240, 0, 0, 0], [255, 255, 255, 255],
        ]),
    ];
    let group = prop_oneof![
        4 => any::<[u8; 3]>().prop_map(|[d, e, f]| [239, d, e, f]),
        1 => prop::sample::select(vec![
            [223, 255, 255, 255], [224, 0, 0, 0], [224, 0, 0, 255], [224, 0, 1, 0], [239, 255, 255, 255], [240, 0, 0, 0],
        ]),
    ];
    let v4 = (source, group, 2_u8.., 0..40_usize).prop_map(|([s, a, b, c], [g, d, e, f], ttl, payload)| {
        let length = 20 + payload as u8;
        let mut datagram = vec![0x45, 0, 0, length, 0, 0, 0, 0, ttl, 17, 0, 0, s, a, b, c, g, d, e, f];
        datagram.resize(length.into(), 7);
        [&[0; 12][..], &[8, 0], &summed(datagram)].concat()
    });
    let v6 = (any::<[u8; 14]>(), any::<[u8; 14]>(), 2_u8.., 0..40_usize).prop_map(
        |(source, group, hops, payload)| {
            let header = [0x60, 0, 0, 0, 0, payload as u8, 17, hops];
            let datagram =
                [&header[..], &[0x20, 1], &source, &[0xff, 0x0e], &group, &[7; 40][..payload]].concat();
            [&[0; 12][..], &[0x86, 0xdd], &datagram].concat()
        },
    );
    (prop_oneof![v4, v6], changes, any::<bool>(), 0..20_usize, 0..8_usize).prop_map(
        |(mut frame, changes, sum, padding, cut)| {
            for (at, octet) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = octet;
                }
            }
            if sum && frame[14] == 0x45 {
                let datagram = summed(frame.split_off(14));
                frame.extend(datagram);
            }
            frame.resize(frame.len() + padding, 0);
            // Most frames stay whole.
            frame.truncate(frame.len() - if cut == 7 { padding + 1 } else { 0 });
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_short_path_agrees_with_the_rules(frame in nearly_common()) {
        let all_rules = classify_any(Link::Ethernet, &frame, 0);
        prop_assert_eq!(classify(Link::Ethernet, &frame), all_rules);
        // The short path recognises every frame with common headers, and no other.
        let common = match frame.get(14) {
            // Addresses of 240.0.0.0/4 are reserved (RFC 1112 section 4).
            Some(0x45) => frame.get(26).is_none_or(|first| *first < 240),
            Some(0x60..=0x6f) => matches!(frame[20], 6 | 17),
            _ => false,
        };
        prop_assert_eq!(classify_fast(&frame).is_some(), common && matches!(all_rules, Class::Data(_)));
    }
}
