//! The account of each flow of a recording: which packets it had, when, and what became of them.
//!
//! The reading thread numbers the flows. Each worker counts its packets at the number of their flow, in a vector of its own, so
//! that counting needs no look-up and no other thread.

use crate::forwarding::{Flow, Verdict};
use crate::plane::DropCounters;
use foldhash::quality::RandomState;
use std::collections::HashMap;
use std::time::Duration;

/// What became of the packets of one flow. All passes count; each has the times of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAccount {
    /// The flow.
    pub flow: Flow,
    /// The port on which its first packet arrived.
    pub port: usize,
    /// The time of its first packet, since 1970-01-01 UTC.
    pub first: Duration,
    /// The time of its last packet.
    pub last: Duration,
    /// Packets forwarded on at least one interface.
    pub forwarded_packets: u64,
    /// Octets of the forwarded datagrams, from the IP header on.
    pub forwarded_octets: u64,
    /// Packets that were not forwarded, by reason. Reasons without a flow stay zero.
    pub not_forwarded: DropCounters,
}

impl FlowAccount {
    /// The maximum number of flows with an account. A sender chooses the flows, and each takes up to 250 octets, and 80 more for
    /// each worker. Packets of further flows count in [`Totals::packets_of_other_flows`](super::Totals::packets_of_other_flows).
    pub const MAX: usize = 1 << 17;

    /// Returns the number of packets.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.forwarded_packets + self.not_forwarded.total()
    }
}

/// The number of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowNumber(u32);

impl FlowNumber {
    /// Stands for all flows without an account.
    pub(super) const OTHER: FlowNumber = FlowNumber(u32::MAX);
}

/// The flows with an account, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct NumberedFlows {
    numbers: HashMap<Flow, FlowNumber, RandomState>,
    /// Each with the port of its first packet.
    flows: Vec<(Flow, u32)>,
}

impl NumberedFlows {
    /// Returns the number of a flow with a packet on this port.
    pub(super) fn number(&mut self, flow: Flow, port: u32) -> FlowNumber {
        if let Some(number) = self.numbers.get(&flow) {
            return *number;
        }
        if self.flows.len() == FlowAccount::MAX {
            return FlowNumber::OTHER;
        }
        let number = FlowNumber(self.flows.len() as u32);
        self.flows.push((flow, port));
        self.numbers.insert(flow, number);
        number
    }

    /// Returns the account of each flow, by time.
    pub(super) fn accounts(&self, tallies: &Tallies) -> Vec<FlowAccount> {
        let accounts = self.flows.iter().enumerate().map(|(number, &(flow, port))| {
            let tally = tallies.tallies.get(number).copied().unwrap_or_default();
            FlowAccount {
                flow,
                port: port as usize,
                first: Duration::from_nanos(tally.first),
                last: Duration::from_nanos(tally.last),
                forwarded_packets: tally.forwarded,
                forwarded_octets: tally.octets,
                not_forwarded: DropCounters {
                    wrong_interface: tally.wrong_interface,
                    no_receivers: tally.no_receivers,
                    queue_full: tally.queue_full,
                    link_local: tally.link_local,
                    ttl_expired: tally.ttl_expired,
                    truncated: tally.truncated,
                    ..DropCounters::default()
                },
            }
        });
        let mut accounts: Vec<_> = accounts.collect();
        accounts.sort_by_key(|account| account.first);
        accounts
    }
}

/// The counts of one flow, of one thread.
#[derive(Clone, Copy, Debug)]
struct Tally {
    /// Nanoseconds since 1970.
    first: u64,
    last: u64,
    forwarded: u64,
    octets: u64,
    no_receivers: u64,
    wrong_interface: u64,
    queue_full: u64,
    link_local: u64,
    ttl_expired: u64,
    truncated: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            first: u64::MAX,
            last: 0,
            forwarded: 0,
            octets: 0,
            no_receivers: 0,
            wrong_interface: 0,
            queue_full: 0,
            link_local: 0,
            ttl_expired: 0,
            truncated: 0,
        }
    }
}

/// The outcome of a packet that has a flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// Forwarded, a datagram of so many octets.
    Forwarded(u32),
    NoReceivers,
    WrongInterface,
    QueueFull,
    LinkLocal,
    TtlExpired,
    Truncated,
}

impl Outcome {
    /// Returns the outcome of a verdict: a packet that is accepted may have no copy. `None` for a stale entry.
    #[inline]
    pub(super) fn of(verdict: Verdict, copied: bool, octets: u32) -> Option<Outcome> {
        Some(match verdict {
            Verdict::Accept if copied => Outcome::Forwarded(octets),
            Verdict::Accept | Verdict::NoReceivers => Outcome::NoReceivers,
            Verdict::WrongInterface => Outcome::WrongInterface,
            Verdict::Stale => return None,
        })
    }
}

/// The counts of flows, by their numbers, of one thread.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    tallies: Vec<Tally>,
    /// Packets of flows without an account.
    others: u64,
}

impl Tallies {
    /// Counts a packet at a time in nanoseconds.
    #[inline]
    pub(super) fn count(&mut self, flow: FlowNumber, time: u64, outcome: Outcome) {
        let Some(tally) = self.tallies.get_mut(flow.0 as usize) else {
            return self.count_new(flow, time, outcome);
        };
        tally.first = tally.first.min(time);
        tally.last = tally.last.max(time);
        let counter = match outcome {
            Outcome::Forwarded(octets) => {
                tally.octets += u64::from(octets);
                &mut tally.forwarded
            }
            Outcome::NoReceivers => &mut tally.no_receivers,
            Outcome::WrongInterface => &mut tally.wrong_interface,
            Outcome::QueueFull => &mut tally.queue_full,
            Outcome::LinkLocal => &mut tally.link_local,
            Outcome::TtlExpired => &mut tally.ttl_expired,
            Outcome::Truncated => &mut tally.truncated,
        };
        *counter += 1;
    }

    #[cold]
    fn count_new(&mut self, flow: FlowNumber, time: u64, outcome: Outcome) {
        if flow == FlowNumber::OTHER {
            self.others += 1;
            return;
        }
        self.tallies.resize(flow.0 as usize + 1, Tally::default());
        self.count(flow, time, outcome);
    }

    /// Returns the number of packets of flows without an account.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    /// Adds the counts of another thread.
    pub(super) fn add(&mut self, other: &Tallies) {
        self.others += other.others;
        self.tallies.resize(self.tallies.len().max(other.tallies.len()), Tally::default());
        for (to, from) in self.tallies.iter_mut().zip(&other.tallies) {
            to.first = to.first.min(from.first);
            to.last = to.last.max(from.last);
            to.forwarded += from.forwarded;
            to.octets += from.octets;
            to.no_receivers += from.no_receivers;
            to.wrong_interface += from.wrong_interface;
            to.queue_full += from.queue_full;
            to.link_local += from.link_local;
            to.ttl_expired += from.ttl_expired;
            to.truncated += from.truncated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn flow(source: u32) -> Flow {
        Flow::new(Ipv4Addr::from_bits(source).into(), Ipv4Addr::new(239, 1, 2, 3).into()).unwrap()
    }

    #[test]
    fn the_accounts_of_all_threads_add_up() {
        let mut flows = NumberedFlows::default();
        let [a, b] = [flow(1), flow(2)].map(|flow| flows.number(flow, 7));
        assert_eq!((flows.number(flow(1), 9), flows.number(flow(2), 9)), (a, b));
        let (mut one, mut two) = (Tallies::default(), Tallies::default());
        one.count(b, 50, Outcome::Forwarded(100));
        two.count(b, 40, Outcome::WrongInterface);
        two.count(a, 60, Outcome::TtlExpired);
        two.count(a, 90, Outcome::Forwarded(11));
        one.add(&two);
        let [first, second] = flows.accounts(&one).try_into().unwrap();
        assert_eq!((first.flow, first.port, first.packets()), (flow(2), 7, 2), "ordered by time");
        assert_eq!((first.first, first.last), (Duration::from_nanos(40), Duration::from_nanos(50)));
        assert_eq!((first.forwarded_octets, first.not_forwarded.wrong_interface), (100, 1));
        assert_eq!((second.forwarded_packets, second.not_forwarded.ttl_expired), (1, 1));
    }

    #[test]
    fn flows_beyond_the_limit_count_together() {
        let mut flows = NumberedFlows::default();
        for source in 1..=FlowAccount::MAX as u32 {
            assert_ne!(flows.number(flow(source), 0), FlowNumber::OTHER);
        }
        let other = flows.number(flow(u32::MAX >> 8), 0);
        assert_eq!((other, flows.accounts(&Tallies::default()).len()), (FlowNumber::OTHER, FlowAccount::MAX));
        assert_eq!(flows.number(flow(1), 0), FlowNumber(0));
        let mut tallies = Tallies::default();
        tallies.count(other, 1, Outcome::NoReceivers);
        tallies.count(other, 2, Outcome::Forwarded(1));
        assert_eq!((tallies.others(), tallies.tallies.len()), (2, 0));
    }
}
