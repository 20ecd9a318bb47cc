//! Explicit tracking of hosts: the state tables row by row, expiry, limits, and a comparison with a plain
//! model.

use crate::support::igmp_messages::ip;
use mgm::protocol::gmp::{HostLimits, Wanted, hosts::Hosts};
use mgm::wire::gmp::RecordKind::{self, *};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(260);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hosts() -> Hosts {
    Hosts::new(INTERVAL, HostLimits::default())
}

fn group() -> IpAddr {
    ip("239.1.1.1")
}

fn host(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

/// Returns one source for each letter.
fn sources(letters: &str) -> BTreeSet<IpAddr> {
    letters.bytes().map(|letter| IpAddr::from([192, 0, 2, letter])).collect()
}

/// Builds the merged state of all hosts: whether (*, g) is wanted, the (s, g), and the blocked sources.
fn wanted(any_source: bool, included: &str, blocked: &str) -> Wanted {
    Wanted { any_source, sources: sources(included), blocked: sources(blocked) }
}

/// RFC 3376 sections 6.4.1 and 6.4.2, each row with a single host. `None` is INCLUDE {}: no state.
#[test]
fn each_record_changes_each_state_as_the_rfc_says() {
    type State = Option<(char, &'static str)>;
    let include = |list| Some(('I', list));
    let exclude = |list| Some(('E', list));
    let rows: &[(State, RecordKind, &str, State)] = &[
        (None, IsInclude, "ab", include("ab")),
        (None, IsInclude, "", None),
        (None, ToInclude, "ab", include("ab")),
        (None, ToInclude, "", None),
        (None, IsExclude, "", exclude("")),
        (None, IsExclude, "ab", exclude("ab")),
        (None, ToExclude, "ab", exclude("ab")),
        (None, Allow, "ab", include("ab")),
        (None, Block, "ab", None),
        (include("ab"), IsInclude, "bc", include("abc")),
        (include("ab"), IsInclude, "", include("ab")),
        (include("ab"), ToInclude, "bc", include("bc")),
        (include("ab"), ToInclude, "", None),
        (include("ab"), IsExclude, "bc", exclude("bc")),
        (include("ab"), ToExclude, "", exclude("")),
        (include("ab"), Allow, "bc", include("abc")),
        (include("ab"), Block, "bc", include("a")),
        (include("ab"), Block, "abc", None),
        (exclude("ab"), IsInclude, "bc", include("bc")),
        (exclude("ab"), IsInclude, "", None),
        (exclude("ab"), ToInclude, "bc", include("bc")),
        (exclude("ab"), ToInclude, "", None),
        (exclude("ab"), IsExclude, "bc", exclude("bc")),
        (exclude("ab"), ToExclude, "", exclude("")),
        (exclude("ab"), Allow, "bc", exclude("a")),
        (exclude("ab"), Block, "bc", exclude("abc")),
    ];
    for &(before, record, list, after) in rows {
        let mut hosts = hosts();
        if let Some((mode, list)) = before {
            let record = if mode == 'I' { ToInclude } else { ToExclude };
            hosts.record(group(), host(1), record, sources(list), at(0));
        }
        let changed = hosts.record(group(), host(1), record, sources(list), at(0));
        let row = format!("{before:?} {record:?} {list}");
        let expected = match after {
            None => wanted(false, "", ""),
            Some(('I', list)) => wanted(false, list, ""),
            Some((_, list)) => wanted(true, "", list),
        };
        assert_eq!(hosts.wanted(group()), expected, "{row}");
        assert_eq!(changed, before != after, "{row}");
        assert_eq!(hosts.is_empty(), after.is_none(), "{row}");
        assert_eq!(hosts.hosts(group()).count(), usize::from(after.is_some()), "{row}");
    }
}

#[test]
fn older_reports_exclude_nothing_and_a_leave_ends_any_state() {
    let mut hosts = hosts();
    assert!(hosts.record(group(), host(1), ToExclude, sources("ab"), at(0)));
    assert!(hosts.report(group(), host(1), at(1)));
    assert_eq!(hosts.wanted(group()), wanted(true, "", ""));
    assert!(!hosts.report(group(), host(1), at(2)), "only its time changed");
    assert!(hosts.leave(group(), host(1)));
    assert!(hosts.is_empty());
    assert!(!hosts.leave(group(), host(1)), "it had left");

    hosts.record(group(), host(1), ToInclude, sources("ab"), at(0));
    assert!(hosts.leave(group(), host(1)));
    assert_eq!((hosts.is_empty(), hosts.next_deadline()), (true, None));
}

#[test]
fn a_group_ends_with_its_last_host() {
    let mut hosts = hosts();
    hosts.report(group(), host(1), at(0));
    hosts.report(group(), host(2), at(0));
    hosts.leave(group(), host(1));
    assert_eq!(hosts.wanted(group()), wanted(true, "", ""));
    hosts.leave(group(), host(3));
    assert_eq!(hosts.wanted(group()), wanted(true, "", ""), "a host that never reported changes nothing");
    hosts.leave(group(), host(2));
    assert_eq!(hosts.wanted(group()), wanted(false, "", ""));
}

/// A source is blocked if every excluding host excludes it and no host includes it.
#[test]
fn a_source_is_blocked_only_if_no_host_wants_it() {
    let mut hosts = hosts();
    hosts.record(group(), host(1), ToExclude, sources("ab"), at(0));
    assert_eq!(hosts.wanted(group()), wanted(true, "", "ab"));
    hosts.record(group(), host(2), ToExclude, sources("bc"), at(0));
    assert_eq!(hosts.wanted(group()), wanted(true, "", "b"), "each host wants what the other excludes");
    hosts.record(group(), host(3), ToInclude, sources("bd"), at(0));
    assert_eq!(hosts.wanted(group()), wanted(true, "bd", ""), "the third includes b");
    assert!(!hosts.blocks(ip("192.0.2.98"), group()));
    hosts.leave(group(), host(3));
    assert!(hosts.blocks(ip("192.0.2.98"), group()));
    hosts.report(group(), host(4), at(0));
    assert_eq!(hosts.wanted(group()), wanted(true, "", ""), "a host of IGMPv2 wants everything");
    hosts.leave(group(), host(4));
    hosts.leave(group(), host(2));
    assert_eq!(hosts.wanted(group()), wanted(true, "", "ab"));
    hosts.leave(group(), host(1));
    assert_eq!(hosts.wanted(group()), wanted(false, "", ""));
}

#[test]
fn states_expire_when_they_are_not_renewed() {
    let mut hosts = hosts();
    hosts.record(group(), host(1), Allow, sources("a"), at(0));
    hosts.record(group(), host(1), Allow, sources("b"), at(100));
    hosts.record(group(), host(2), ToExclude, sources("c"), at(50));
    assert_eq!(hosts.next_deadline(), Some(at(260)));
    hosts.advance(at(260) - Duration::from_nanos(1), |_, _| panic!("nothing is due"));
    let mut expired = Vec::new();
    hosts.advance(at(260), |group, _| expired.push(group));
    assert_eq!(expired, [group()]);
    assert_eq!(hosts.wanted(group()), wanted(true, "b", "c"));

    // Neither of these renews an EXCLUDE state (RFC 3376 section 6.4.2); IS_EX does.
    assert_eq!(hosts.next_deadline(), Some(at(310)));
    hosts.record(group(), host(2), Block, sources("d"), at(300));
    hosts.record(group(), host(2), Allow, sources("d"), at(300));
    assert_eq!(hosts.next_deadline(), Some(at(310)));
    hosts.record(group(), host(2), IsExclude, sources("c"), at(309));
    assert_eq!(hosts.next_deadline(), Some(at(360)));
    hosts.record(group(), host(1), IsInclude, sources("b"), at(350));
    assert_eq!(hosts.next_deadline(), Some(at(569)));
    hosts.advance(at(10_000), |_, _| {});
    assert_eq!((hosts.is_empty(), hosts.next_deadline()), (true, None));
}

#[test]
fn refused_reports_are_counted_and_change_nothing() {
    let limits = HostLimits { groups: 2, hosts: 2, sources: 3, total: 100, ..HostLimits::default() };
    let mut hosts = Hosts::new(INTERVAL, limits);
    let groups = ["239.0.0.1", "239.0.0.2", "239.0.0.3"].map(ip);
    assert!(hosts.report(groups[0], host(1), at(0)));
    assert!(hosts.report(groups[1], host(1), at(0)));
    assert!(!hosts.report(groups[2], host(1), at(0)));
    assert!(!hosts.record(groups[2], host(1), ToInclude, [], at(0)), "a leave of a group without state");
    assert!(!hosts.record(groups[2], host(1), Block, sources("a"), at(0)));
    assert_eq!((hosts.refused().groups, hosts.groups().collect::<Vec<_>>()), (1, groups[..2].to_vec()));

    assert!(hosts.report(groups[0], host(2), at(0)));
    assert!(!hosts.report(groups[0], host(3), at(0)));
    assert_eq!(hosts.refused().hosts, 1);
    assert!(hosts.leave(groups[0], host(2)));
    assert!(hosts.report(groups[0], host(3), at(0)), "there is room again");

    let list = ["d", "c", "b", "a"].map(|letter| *sources(letter).first().unwrap());
    assert!(hosts.record(groups[0], host(1), ToInclude, list, at(0)));
    assert_eq!(hosts.wanted(groups[0]).sources, sources("bcd"), "the first three");
    assert!(!hosts.record(groups[0], host(1), Allow, list, at(1)), "known ones are renewed");
    assert!(hosts.record(groups[0], host(1), ToExclude, list, at(1)));
    assert!(!hosts.record(groups[0], host(1), Block, list, at(1)));
    assert_eq!(hosts.refused().sources, 4);
    hosts.clear();
    assert_eq!((hosts.is_empty(), hosts.next_deadline(), hosts.refused().sources), (true, None, 4));
}

#[test]
fn the_sources_of_a_group_are_limited_over_all_hosts() {
    let mut hosts = Hosts::new(INTERVAL, HostLimits { group_sources: 3, ..HostLimits::default() });
    let other = ip("239.9.9.9");
    assert!(hosts.record(group(), host(1), Allow, sources("ab"), at(0)));
    assert!(
        hosts.record(group(), host(2), IsExclude, sources("bcd"), at(0)),
        "b is known, and there is room for c"
    );
    assert!(!hosts.record(group(), host(3), Allow, sources("e"), at(0)));
    assert_eq!(hosts.wanted(group()), wanted(true, "ab", "c"));
    assert_eq!((hosts.refused().sources, hosts.refused().hosts), (2, 0));
    assert!(hosts.record(other, host(3), Allow, sources("efg"), at(0)), "another group has room of its own");
    assert!(
        hosts.record(group(), host(3), Allow, sources("abc"), at(0)),
        "a source that another host names needs no room"
    );
    assert!(hosts.leave(group(), host(1)));
    assert!(hosts.leave(group(), host(3)));
    assert!(hosts.record(group(), host(3), Allow, sources("e"), at(0)), "a made room");
    assert!(!hosts.record(group(), host(4), Allow, sources("d"), at(0)));
}

#[test]
fn the_total_limits_hosts_and_sources_together() {
    let mut hosts = Hosts::new(INTERVAL, HostLimits { total: 5, ..HostLimits::default() });
    assert!(hosts.record(group(), host(1), Allow, sources("ab"), at(0)));
    assert!(hosts.record(group(), host(2), Allow, sources("cd"), at(0)), "one of the two");
    assert!(!hosts.report(group(), host(3), at(0)));
    assert!(!hosts.record(group(), host(3), Allow, sources("e"), at(0)));
    assert_eq!(hosts.wanted(group()), wanted(false, "abc", ""));
    assert_eq!((hosts.refused().hosts, hosts.refused().sources), (1, 2));
    assert!(
        hosts.record(group(), host(1), ToInclude, sources("x"), at(0)),
        "the sources that it drops make room"
    );
    assert!(hosts.record(group(), host(2), Allow, sources("d"), at(0)));
    assert!(hosts.leave(group(), host(1)));
    assert!(hosts.report(group(), host(3), at(0)));
}

/// A plain model without counts, deadlines or limits: the filter of every host, merged on demand.
#[derive(Default)]
struct Model {
    hosts: BTreeMap<(IpAddr, IpAddr), Filter>,
}

#[derive(Clone)]
struct Filter {
    exclude: Option<Duration>,
    list: BTreeMap<IpAddr, Duration>,
}

impl Model {
    fn record(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        list: &BTreeSet<IpAddr>,
        now: Duration,
    ) {
        let until = now + INTERVAL;
        let of_list: BTreeMap<_, _> = list.iter().map(|&source| (source, until)).collect();
        let filter =
            self.hosts.entry((group, host)).or_insert(Filter { exclude: None, list: BTreeMap::new() });
        let excludes = filter.exclude.is_some();
        match kind {
            IsExclude | ToExclude => *filter = Filter { exclude: Some(until), list: of_list },
            ToInclude => *filter = Filter { exclude: None, list: of_list },
            IsInclude if excludes => *filter = Filter { exclude: None, list: of_list },
            IsInclude => filter.list.extend(of_list),
            Allow if excludes => filter.list.retain(|source, _| !list.contains(source)),
            Allow => filter.list.extend(of_list),
            Block if excludes => filter.list.extend(of_list),
            Block => filter.list.retain(|source, _| !list.contains(source)),
        }
    }

    fn expire(&mut self, now: Duration) {
        for filter in self.hosts.values_mut() {
            match filter.exclude {
                Some(until) if until <= now => *filter = Filter { exclude: None, list: BTreeMap::new() },
                Some(_) => {}
                None => filter.list.retain(|_, until| *until > now),
            }
        }
        self.hosts.retain(|_, filter| filter.exclude.is_some() || !filter.list.is_empty());
    }

    fn wanted(&self, group: IpAddr) -> Wanted {
        let of_group =
            || self.hosts.iter().filter(move |((of, _), _)| *of == group).map(|(_, filter)| filter);
        let mut wanted = Wanted::default();
        for source in of_group().flat_map(|filter| filter.list.keys()) {
            let including = of_group().any(|f| f.exclude.is_none() && f.list.contains_key(source));
            let passing = of_group().any(|f| f.exclude.is_some() && !f.list.contains_key(source));
            if including {
                wanted.sources.insert(*source);
            } else if !passing {
                wanted.blocked.insert(*source);
            }
        }
        wanted.any_source = of_group().any(|filter| filter.exclude.is_some());
        wanted
    }

    fn next_deadline(&self) -> Option<Duration> {
        let of = |filter: &Filter| filter.exclude.or(filter.list.values().min().copied());
        self.hosts.values().filter_map(of).min()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Record { group: u8, host: u8, kind: RecordKind, list: BTreeSet<IpAddr> },
    Report { group: u8, host: u8 },
    Leave { group: u8, host: u8 },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![IsInclude, IsExclude, ToInclude, ToExclude, Allow, Block]);
    let list = prop::collection::btree_set((0u8..5).prop_map(|n| IpAddr::from([192, 0, 2, n])), 0..4);
    prop_oneof![
        8 => (0..2u8, 0..4u8, kind, list).prop_map(|(group, host, kind, list)| Step::Record { group, host, kind, list }),
        1 => (0..2u8, 0..4u8).prop_map(|(group, host)| Step::Report { group, host }),
        2 => (0..2u8, 0..4u8).prop_map(|(group, host)| Step::Leave { group, host }),
        4 => (0..200u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn the_tracking_matches_a_plain_model(steps in prop::collection::vec(step(), 1..80)) {
        let groups = [ip("239.1.1.1"), ip("239.1.1.2")];
        let (mut hosts, mut model, mut now) = (hosts(), Model::default(), at(0));
        for step in steps {
            let before = groups.map(|group| model.wanted(group));
            let mut reported = BTreeSet::new();
            match &step {
                Step::Record { group, host: n, kind, list } => {
                    let group = groups[usize::from(*group)];
                    if hosts.record(group, host(*n), *kind, list.iter().copied(), now) { reported.insert(group); }
                    model.record(group, host(*n), *kind, list, now);
                }
                Step::Report { group, host: n } => {
                    let group = groups[usize::from(*group)];
                    if hosts.report(group, host(*n), now) { reported.insert(group); }
                    model.record(group, host(*n), IsExclude, &BTreeSet::new(), now);
                }
                Step::Leave { group, host: n } => {
                    let group = groups[usize::from(*group)];
                    if hosts.leave(group, host(*n)) { reported.insert(group); }
                    model.hosts.remove(&(group, host(*n)));
                }
                Step::Pass(seconds) => {
                    now += at(*seconds);
                    hosts.advance(now, |group, _| _ = reported.insert(group));
                }
            }
            model.expire(now);
            for (group, before) in groups.into_iter().zip(before) {
                let wanted = model.wanted(group);
                prop_assert_eq!(hosts.wanted(group), wanted.clone(), "{:?}", &step);
                prop_assert!(before == wanted || reported.contains(&group), "{:?} changed without a report", &step);
                for n in 0..5 {
                    let source = IpAddr::from([192, 0, 2, n]);
                    prop_assert_eq!(hosts.blocks(source, group), wanted.blocked.contains(&source));
                }
                let of_model = model.hosts.keys().filter(|(of, _)| *of == group).map(|(_, host)| *host);
                prop_assert!(hosts.hosts(group).eq(of_model));
            }
            prop_assert_eq!(hosts.next_deadline(), model.next_deadline());
        }
    }
}
