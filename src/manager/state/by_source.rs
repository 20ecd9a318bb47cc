//! [`BySource`] and [`Network`]: flows in the order of their sources, so that a change of one route finds its flows.

use crate::forwarding::Flow;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

/// A flow that is ordered by family, then source, then group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::manager) struct BySource(pub(in crate::manager) Flow);

impl Ord for BySource {
    fn cmp(&self, other: &BySource) -> Ordering {
        let key = |BySource(flow): &BySource| (flow.family(), flow.source_number(), *flow);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for BySource {
    fn partial_cmp(&self, other: &BySource) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The addresses with one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Network {
    first: IpAddr,
    last: IpAddr,
}

impl Network {
    /// Returns the network of an address. A prefix that is too long for the family stands for the address alone.
    pub(in crate::manager) fn new(address: IpAddr, prefix_length: u8) -> Network {
        let length = u32::from(prefix_length);
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(length).unwrap_or(0);
                let [first, last] = [address.to_bits() & !host, address.to_bits() | host];
                let [first, last] = [first, last].map(|bits| Ipv4Addr::from_bits(bits).into());
                Network { first, last }
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(length).unwrap_or(0);
                let [first, last] = [address.to_bits() & !host, address.to_bits() | host];
                let [first, last] = [first, last].map(|bits| Ipv6Addr::from_bits(bits).into());
                Network { first, last }
            }
        }
    }

    /// Returns the network that is one address.
    pub(in crate::manager) fn of_one(address: IpAddr) -> Network {
        Network { first: address, last: address }
    }

    /// Returns the range of the flows with a source in the network, or of those after a flow of the network.
    pub(in crate::manager) fn flows(self, after: Option<Flow>) -> (Bound<BySource>, Bound<BySource>) {
        let first = Bound::Included(BySource(Flow::lower_bound_of(self.first)));
        let from = after.map_or(first, |after| Bound::Excluded(BySource(after)));
        (from, Bound::Included(BySource(Flow::upper_bound_of(self.last))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The sources of all flows that are in a network.
    fn sources_in(network: &str, prefix_length: u8) -> Vec<String> {
        let flows = [
            "192.0.2.0 224.0.1.1",
            "192.0.2.1 239.255.255.255",
            "192.0.2.100 239.1.1.1",
            "192.0.2.200 239.1.1.1",
            "255.255.255.255 239.1.1.1",
            "::1 ff0e::1",
            "::192.0.2.1 ff0e::1",
            "2001:db8::1 ff00::",
            "2001:db8:0:1::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ];
        let flow = |text: &str| {
            let (source, group) = text.split_once(' ').unwrap();
            BySource(Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap())
        };
        let all: BTreeSet<BySource> = flows.into_iter().map(flow).collect();
        let network = Network::new(network.parse().unwrap(), prefix_length);
        // One at a time, as pages.
        let next = |after: &Option<Flow>| all.range(network.flows(*after)).next().map(|next| Some(next.0));
        let found = std::iter::successors(next(&None), next);
        found.flatten().map(|flow| flow.source().to_string()).collect()
    }

    #[test]
    fn a_network_has_the_flows_of_its_sources() {
        assert_eq!(sources_in("192.0.2.130", 25), ["192.0.2.200"]);
        assert_eq!(sources_in("192.0.2.1", 32), ["192.0.2.1"]);
        assert_eq!(sources_in("192.0.2.1", 200), ["192.0.2.1"]);
        assert_eq!(sources_in("10.0.0.0", 0).len(), 5);
        assert_eq!(sources_in("::", 0).len(), 4);
        assert_eq!(sources_in("2001:db8::", 64), ["2001:db8::1"]);
        assert_eq!(sources_in("2001:db8:0:1::1", 128), ["2001:db8:0:1::1"]);
        assert!(sources_in("192.0.2.2", 31).is_empty());
    }

    #[test]
    fn one_address_is_a_network_with_the_longest_prefix() {
        for (address, bits) in [("192.0.2.1", 32), ("2001:db8::1", 128)] {
            let address = address.parse().unwrap();
            assert_eq!(Network::of_one(address), Network::new(address, bits));
        }
    }
}
