//! Compares SECURITY.md with the code: the limits, and the memory that one of each thing costs.
//!
//! A binary of its own: a global allocator counts the octets that live in the process.

use mgm::forwarding::{Family, Flow};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange};
use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership, HostLimits, Received, hosts::Hosts};
use mgm::wire::gmp::RecordKind;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the octets that are allocated and not freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches no allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PAGE: &str = include_str!("../SECURITY.md");

/// Returns the rows of the page's tables: the first two cells, without backticks.
fn rows() -> BTreeMap<String, String> {
    let cells = |line: &'static str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().replace('`', ""));
        Some((cells.next()?, cells.next()?))
    };
    PAGE.lines().filter_map(cells).collect()
}

fn number(rows: &BTreeMap<String, String>, row: &str) -> u64 {
    let text = rows.get(row).unwrap_or_else(|| panic!("SECURITY.md has no row of {row}"));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{row}: {text}"))
}

#[test]
fn the_page_names_every_limit_with_its_default() {
    // Every field by name, so that a new one fails to compile here until the page has it.
    let ManagerConfig {
        igmp_protocol: _,
        clients,
        interfaces,
        memberships,
        memberships_per_interface,
        entries,
        entries_per_interface,
        negative_entries,
        negative_entries_per_interface,
        remembered_flows,
        enumerations,
        notices,
        upcalls,
        upcalls_per_interface,
        wrong_interface_interval,
        entry_lifetime,
        ..
    } = ManagerConfig::default();
    let HostLimits { groups, hosts, sources, group_sources, total } = HostLimits::default();
    let mut limits = vec![
        ("clients", clients.into()),
        ("interfaces", interfaces.into()),
        ("memberships", memberships.into()),
        ("memberships_per_interface", memberships_per_interface.into()),
        ("entries", entries.into()),
        ("entries_per_interface", entries_per_interface.into()),
        ("negative_entries", negative_entries.into()),
        ("negative_entries_per_interface", negative_entries_per_interface.into()),
        ("remembered_flows", remembered_flows.into()),
        ("enumerations", enumerations.into()),
        ("notices", notices.into()),
        ("upcalls", upcalls.into()),
        ("upcalls_per_interface", upcalls_per_interface.into()),
        ("wrong_interface_interval", wrong_interface_interval.as_secs()),
        ("entry_lifetime", entry_lifetime.as_secs()),
        ("HostLimits::groups", groups as u64),
        ("HostLimits::hosts", hosts as u64),
        ("HostLimits::sources", sources as u64),
        ("HostLimits::group_sources", group_sources as u64),
        ("HostLimits::total", total as u64),
    ];
    #[cfg(feature = "capture")]
    limits.push(("LearnedRoutes::MAX_SOURCES", mgm::rpf::LearnedRoutes::MAX_SOURCES as u64));
    let named = limits.iter().map(|(name, _)| *name);
    assert_eq!(named.filter(|name| !name.contains("::")).count(), ManagerConfig::SETTINGS.len() - 1);
    let rows = rows();
    for (limit, default) in limits {
        assert_eq!(number(&rows, limit), default, "{limit}");
    }
}

/// Returns the octets that each of `count` things costs, growth of the structures included.
fn each(count: u32, make: impl FnOnce(u32)) -> u64 {
    let before = LIVE.load(Ordering::Relaxed);
    make(count);
    (LIVE.load(Ordering::Relaxed).saturating_sub(before) / count as usize) as u64
}

fn v6(low: u32, high: u16) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(high) << 112 | u128::from(low)).into()
}

/// Returns an IPv6 (s,g): the largest kind of flow.
fn flow(n: u32) -> Flow {
    Flow::new(v6(1 + n, 0x2001), v6(7, 0xff0e)).unwrap()
}

fn manager(config: ManagerConfig) -> (GroupManager, mgm::handle::Handle) {
    let routes = |source| Some(ReversePath::through(Interface::of(Family::of(source), 1)));
    let manager = GroupManager::new(config, Arc::new(routes)).unwrap();
    let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    for n in 1..12 {
        manager.take(client, Interface::v6(n)).unwrap();
    }
    (manager, client)
}

/// Reports this number of groups with IGMPv2, each by one host. The router stays.
fn report_groups(count: u32) {
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap());
    let limits = HostLimits { groups: usize::MAX, ..HostLimits::default() };
    let igmp = GroupMembership::new(manager, Family::V4, GmpConfig::default().with_limits(limits)).unwrap();
    igmp.take(Interface::v4(1)).unwrap();
    for n in 0..count {
        let [_, _, high, low] = n.to_be_bytes();
        let sum = 0x1600 + 0xefff + u32::from(high) * 256 + u32::from(low);
        let [checksum, rest] = (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes();
        let payload = [0x16, 0, checksum, rest, 239, 255, high, low];
        let source = IpAddr::from([10, 0, high, low]);
        let group = IpAddr::from([239, 255, high, low]);
        let report =
            Datagram { source, destination: group, hop_limit: 1, router_alert: true, payload: &payload };
        assert_eq!(igmp.receive(Interface::v4(1), &report, Duration::ZERO), Received::Report);
    }
    std::mem::forget(igmp);
}

fn measure() -> Vec<(&'static str, u64)> {
    let usual = ManagerConfig::default;
    let mut measured = Vec::new();

    let (joined, client) = manager(usual());
    measured.push((
        "a membership",
        each(40_000, |count| {
            for n in 0..count {
                let membership = Membership::OneSource(flow(n));
                joined.add_membership(client, Interface::v6(2), membership, StateChange::Join).unwrap();
            }
        }),
    ));
    drop(joined);

    let everything = Membership::everything(Family::V6);
    for (what, outgoing) in [("an entry with one outgoing interface", 1), ("an entry with ten", 10)] {
        let (router, client) = manager(usual());
        for n in 2..2 + outgoing {
            router.add_membership(client, Interface::v6(n), everything, StateChange::Join).unwrap();
        }
        let made = each(30_000, |count| (0..count).for_each(|n| _ = router.new_flow(flow(n)).unwrap()));
        measured.push((what, made));
    }
    let unwanted = usual().with_negative_entries(1 << 15).with_negative_entries_per_interface(1 << 15);
    let (router, _) = manager(unwanted);
    measured.push((
        "a negative entry",
        each(30_000, |count| (0..count).for_each(|n| _ = router.new_flow(flow(n)).unwrap())),
    ));
    let config = usual().with_upcalls(1 << 15).with_upcalls_per_interface(1 << 15);
    let (router, _) = manager(config);
    let bring = |n| _ = router.upcall(flow(n), Interface::v6(1), &[0; 1500]);
    measured.push(("a flow that waits", each(30_000, |count| (0..count).for_each(bring))));
    drop(router);

    // Groups with one host each, then sources of one host.
    let at = Duration::from_secs(1);
    let mut hosts = Hosts::new(at, HostLimits { groups: usize::MAX, ..HostLimits::default() });
    let report = |n| _ = hosts.report(v6(n, 0xff0e), v6(n, 0xfe80), at);
    measured.push(("a group with one host", each(30_000, |count| (0..count).for_each(report))));
    let mut hosts = Hosts::new(
        at,
        HostLimits { sources: usize::MAX, group_sources: usize::MAX, ..HostLimits::default() },
    );
    let sources = |count| (0..count).map(|n| v6(n, 0x2001));
    let group = v6(7, 0xff0e);
    let named = |count| _ = hosts.record(group, v6(1, 0xfe80), RecordKind::Allow, sources(count), at);
    measured.push(("a source of a host", each(30_000, named)));

    measured.push(("a group with one host, its timers and its membership", each(30_000, report_groups)));

    #[cfg(feature = "capture")]
    {
        let routes = mgm::rpf::LearnedRoutes::new();
        let learn = |n| _ = routes.learn(v6(n, 0x2001), Interface::v6(1));
        measured.push(("a source that was learned", each(30_000, |count| (0..count).for_each(learn))));
    }

    let (router, client) = manager(usual().with_interfaces(1 << 15));
    let take = |n| router.take(client, Interface::v4(n)).unwrap();
    measured.push(("an interface", each(30_000, |count| (0..count).for_each(take))));
    measured
}

/// Each measurement is at most the figure of the page and at least four fifths of it, because structures grow
/// by doubling.
#[test]
fn the_page_has_the_memory_cost_of_each_thing() {
    let rows = rows();
    let mut wrong = Vec::new();
    for (what, octets) in measure() {
        let documented = number(&rows, what);
        println!("{what}: {octets} octets, {documented} on the page");
        if octets > documented || octets * 5 < documented * 4 {
            wrong.push(format!("{what}: {octets} octets, SECURITY.md has {documented}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
