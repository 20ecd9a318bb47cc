//! RFC 3376 section 4 and RFC 3810 section 5: messages as octets, what is ignored, and from where messages are accepted.

use super::link::*;
use super::model::{Family, Kind, octets};
use crate::support::igmp_messages::*;
use Kind::{Allow, IsEx, IsIn, ToEx, ToIn};
use mgm::protocol::gmp::{Datagram, GmpConfig, Ignored, LinkChecks, Received};
use mgm::wire::gmp::Malformed;
use std::net::IpAddr;

/// Returns a report's octets with their checksum, from host 50.
fn sealed(link: &Link, octets: Vec<u8>) -> Vec<u8> {
    match (address(link.family, 50), routers(link.family)) {
        (IpAddr::V6(from), IpAddr::V6(to)) => seal6(octets, from, to),
        _ => seal(octets),
    }
}

/// Returns the destination of version 3 reports.
fn routers(family: Family) -> IpAddr {
    if family == Family::Igmp { ALL_ROUTERS } else { ALL_MLDV2_ROUTERS.into() }
}

/// Receives a report as host 50 sends it, but for what `change` does to the datagram.
fn report_with(link: &Link, change: impl FnOnce(&mut Datagram<'_>)) -> Received {
    let octets = sealed(link, link.report_octets(&[(IsEx, group(link.family), "")]));
    let mut datagram = Datagram {
        source: address(link.family, 50),
        destination: routers(link.family),
        hop_limit: 1,
        router_alert: true,
        payload: &octets,
    };
    change(&mut datagram);
    link.receive(&datagram)
}

/// Section 4.
#[test]
fn other_types_are_ignored() {
    for (family, kind) in [(Family::Igmp, 0x13), (Family::Igmp, 0x30), (Family::Mld, 128), (Family::Mld, 151)]
    {
        let link = Link::new(family, as_listener());
        let octets = [&[kind][..], &[0; 23]].concat();
        let received = link.message(address(family, 50), routers(family), octets);
        assert_eq!(received, Received::Ignored(Ignored::OtherType(kind)));
    }
}

/// Sections 4.1.2 and 4.2.2.
#[test]
fn a_message_with_a_wrong_checksum_is_ignored() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let mut octets = sealed(&link, link.report_octets(&[(IsEx, group(family), "")]));
        octets[3] ^= 1;
        let source = address(family, 50);
        let report = Datagram {
            source,
            destination: routers(family),
            hop_limit: 1,
            router_alert: true,
            payload: &octets,
        };
        assert_eq!(link.receive(&report), Received::Malformed(Malformed::Checksum));
        let query = general(family);
        let mut octets = octets::write(family, &query, source);
        octets[3] ^= 1;
        let query = Datagram { destination: octets::destination(family, &query), payload: &octets, ..report };
        assert_eq!(link.receive(&query), Received::Malformed(Malformed::Checksum));
        assert_eq!((link.state().as_str(), link.interface_state().querier), ("", None));
    }
}

/// Section 4.1.10: additional octets of a query are checksummed and ignored.
#[test]
fn octets_behind_a_query_are_ignored() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.record(IsIn, "ab");
        link.at(10.0);
        let (from, query) = (address(family, 1), specific(family, "a"));
        let mut octets = octets::write(family, &query, from);
        match group(family) {
            IpAddr::V4(_) => octets.extend([192, 0, 2, b'b']),
            IpAddr::V6(_) => octets.extend([0x55; 16]),
        }
        assert_eq!(link.message(from, octets::destination(family, &query), octets), Received::Query);
        assert_eq!(link.state(), "EXCLUDE=260 a=12 b=260");
    }
}

/// Section 4.2.11.
#[test]
fn octets_behind_a_report_are_ignored() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let mut octets = link.report_octets(&[(IsEx, group(family), "a")]);
        octets.extend([5, 0, 0, 1, 0xff, 0xff, 0xff]);
        assert_eq!(link.message(address(family, 50), routers(family), octets), Received::Report);
        assert_eq!(link.state(), "EXCLUDE=260 | a");
    }
}

/// Section 4.2.10.
#[test]
fn auxiliary_data_is_ignored() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let mut octets = link.report_octets(&[]);
        octets[7] = 2;
        let group = group(family).to_string();
        octets.extend(record_with_auxiliary(IS_EX, &group, &[], &[5; 8]));
        octets.extend(link.report_octets(&[(Allow, super::link::group(family), "a")]).split_off(8));
        assert_eq!(link.message(address(family, 50), routers(family), octets), Received::Report);
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
    }
}

/// Sections 4.1.3, 4.1.4, 4.2.1 and 4.2.3: reserved fields.
#[test]
fn reserved_fields_are_ignored() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let mut octets = link.report_octets(&[(IsEx, group(family), "")]);
        (octets[1], octets[4], octets[5]) = (0xff, 0xff, 0xff);
        assert_eq!(link.message(address(family, 50), routers(family), octets), Received::Report);
        assert_eq!(link.state(), "EXCLUDE=260");
        let from = address(family, 1);
        let mut octets = octets::write(family, &general(family), from);
        if family == Family::Mld {
            (octets[1], octets[6], octets[7]) = (0xff, 0xff, 0xff);
        }
        let flags = if family == Family::Igmp { 8 } else { 24 };
        octets[flags] |= 0xf0;
        assert_eq!(
            link.message(from, octets::destination(family, &general(family)), octets),
            Received::Query
        );
        assert_eq!(link.interface_state().robustness, 2);
    }
}

/// Section 4.2.12, and RFC 3810 section 5.2.12.
#[test]
fn records_of_other_types_are_left_out() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let mut octets = link.report_octets(&[(IsEx, group(family), "a"), (IsIn, group(family), "b")]);
        octets[8] = 77;
        assert_eq!(link.message(address(family, 50), routers(family), octets), Received::Report);
        assert_eq!(link.state(), "INCLUDE b=260");
        assert_eq!(link.router.counters().unknown_records, 1);
    }
}

/// Section 4.2.13.
#[test]
fn a_report_from_no_address_is_accepted() {
    let link = Link::new(Family::Igmp, as_listener());
    assert_eq!(report_with(&link, |datagram| datagram.source = ip("0.0.0.0")), Received::Report);
    assert_eq!(link.state(), "EXCLUDE=260");
}

/// Sections 4.1.12 and 4.2.14: any address of the interface will do.
#[test]
fn any_destination_of_the_interface_is_accepted() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let (from, to) = (address(family, 1), address(family, OWN));
        let octets = match (from, to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                seal6(octets::write(family, &general(family), from.into()), from, to)
            }
            _ => octets::write(family, &general(family), from),
        };
        let datagram =
            Datagram { source: from, destination: to, hop_limit: 1, router_alert: true, payload: &octets };
        assert_eq!(link.receive(&datagram), Received::Query);
        assert!(link.interface_state().querier.is_some());
        let (kind, group) = (if family == Family::Igmp { 0x16 } else { 131 }, group(family));
        let octets = match group {
            IpAddr::V4(v4) => [&[kind, 0, 0, 0][..], &v4.octets()].concat(),
            IpAddr::V6(v6) => [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &v6.octets()].concat(),
        };
        assert_eq!(link.message(address(family, 50), to, octets), Received::Report);
        assert_eq!(link.state(), "EXCLUDE=260");
    }
}

/// Section 4: the TTL is 1.
#[test]
fn igmp_from_beyond_the_link_is_ignored() {
    let link = Link::new(Family::Igmp, as_listener());
    for ttl in [0, 2, 64, 255] {
        let received = report_with(&link, |datagram| datagram.hop_limit = ttl);
        assert_eq!(received, Received::Ignored(Ignored::Ttl(ttl)));
    }
    assert_eq!(link.router.counters().ttl, 4);
    let received = report_with(&link, |datagram| datagram.source = ip("10.0.1.50"));
    assert_eq!(received, Received::Ignored(Ignored::NotFromLink(ip("10.0.1.50"))));
    assert_eq!((link.router.counters().not_from_link, link.state().as_str()), (1, ""));
}

#[test]
fn router_alert_of_igmp_is_required_if_configured() {
    let link = Link::new(Family::Igmp, as_listener());
    assert_eq!(report_with(&link, |datagram| datagram.router_alert = false), Received::Report);
    let mut checks = LinkChecks::default();
    checks.router_alert = true;
    let link = Link::new(Family::Igmp, as_listener().with_checks(checks));
    let received = report_with(&link, |datagram| datagram.router_alert = false);
    assert_eq!(received, Received::Ignored(Ignored::NoRouterAlert));
    assert_eq!(report_with(&link, |_| {}), Received::Report);
}

/// RFC 3810 sections 5.1.14, 5.2.13, 7.4 and 7.6.
#[test]
fn mld_that_is_not_of_the_link_is_ignored() {
    let link = Link::new(Family::Mld, as_listener());
    let received = report_with(&link, |datagram| datagram.hop_limit = 2);
    assert_eq!(received, Received::Ignored(Ignored::HopLimit(2)));
    let received = report_with(&link, |datagram| datagram.router_alert = false);
    assert_eq!(received, Received::Ignored(Ignored::NoRouterAlert));
    for source in ["::", "2001:db8::50"] {
        let source = ip(source);
        let octets = link.report_octets(&[(IsEx, group(Family::Mld), "")]);
        let received = link.message(source, routers(Family::Mld), octets);
        assert_eq!(received, Received::Ignored(Ignored::NotLinkLocal(source)));
        let query = general(Family::Mld);
        let to = octets::destination(Family::Mld, &query);
        let received = link.message(source, to, octets::write(Family::Mld, &query, source));
        assert_eq!(received, Received::Ignored(Ignored::NotLinkLocal(source)));
    }
    assert_eq!((link.state().as_str(), link.interface_state().querier), ("", None));
    let counters = link.router.counters();
    assert_eq!((counters.hop_limit, counters.no_router_alert, counters.not_link_local), (1, 1, 4));
}

#[test]
fn each_check_can_be_switched_off() {
    let with = |family| Link::new(family, as_listener().with_checks(LinkChecks::none()));
    let igmp = with(Family::Igmp);
    let received = report_with(&igmp, |datagram| (datagram.hop_limit, datagram.source) = (9, ip("10.9.9.9")));
    assert_eq!(received, Received::Report);
    let mld = with(Family::Mld);
    let received = report_with(&mld, |datagram| (datagram.hop_limit, datagram.router_alert) = (9, false));
    assert_eq!(received, Received::Report);
    let octets = mld.report_octets(&[(IsEx, group(Family::Mld), "")]);
    assert_eq!(mld.message(ip("2001:db8::50"), routers(Family::Mld), octets), Received::Report);
}

/// Section 4.1.12: where the queries are sent to, and section 4.1.11: what they contain.
#[test]
fn queries_are_sent_to_all_systems_or_to_the_group() {
    for family in BOTH {
        let mut link = Link::new(family, GmpConfig::default().with_role(mgm::protocol::gmp::Role::Querier));
        link.record(ToEx, "");
        link.record(Allow, "a");
        link.at(10.0);
        link.record(ToIn, "");
        let mut destinations = Vec::new();
        while let Some(transmission) = link.router.poll_transmit() {
            assert_eq!(transmission.source, address(family, OWN));
            destinations.push(transmission.destination());
        }
        let all = if family == Family::Igmp { "224.0.0.1" } else { "ff02::1" };
        assert_eq!(destinations, [ip(all), group(family), group(family)]);
    }
}

/// RFC 4604 section 2.2.1, and RFC 9776 and RFC 9777: what a source-specific range does not take.
#[test]
fn source_specific_groups_take_only_records_with_sources() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let group = specific_group(family);
        let refused = Received::Ignored(Ignored::SourceSpecificRange(group));
        assert_eq!(link.older(50, 0x16, 131, group), refused);
        assert_eq!(link.older(50, 0x17, 132, group), refused);
        link.reports(50, &[(IsEx, group, ""), (ToEx, group, "a")]);
        assert_eq!(link.state_of(group), "");
        assert_eq!(link.router.counters().source_specific_range, 4);
        link.reports(50, &[(Allow, group, "a")]);
        assert_eq!(link.state_of(group), "INCLUDE a=260");
    }
}

/// RFC 3810 section 7.6: a query of a host that is no router's address is one of another router.
#[test]
fn a_query_from_no_address_never_wins_the_election() {
    let query = general(Family::Igmp);
    let link = Link::new(Family::Igmp, as_querier().with_checks(LinkChecks::none()));
    let octets = octets::write(Family::Igmp, &query, ip("0.0.0.0"));
    let datagram = Datagram {
        source: ip("0.0.0.0"),
        destination: octets::destination(Family::Igmp, &query),
        hop_limit: 1,
        router_alert: true,
        payload: &octets,
    };
    assert_eq!(link.receive(&datagram), Received::Query);
    assert!(matches!(link.interface_state().querier, Some(mgm::protocol::gmp::Querier::This { .. })));
}

/// Section 4.1.8: a query of sources lists them, and other queries have none.
#[test]
fn a_query_that_lists_more_than_it_has_is_malformed() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let (from, query) = (address(family, 1), specific(family, "a"));
        let mut octets = octets::write(family, &query, from);
        let count = if family == Family::Igmp { 11 } else { 27 };
        octets[count] = 2;
        let received = link.message(from, octets::destination(family, &query), octets);
        assert_eq!(received, Received::Malformed(Malformed::QuerySources));
        assert_eq!(link.interface_state().querier, None);
    }
}
