//! IGMP and MLD on the router's interface towards the host.

use super::Router;
use mgm::forwarding::Family;
use mgm::protocol::gmp::{GmpConfig, GroupMembership, Role};
use mgm_linux::gmp::GmpService;
use mgm_linux::links::Links;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Returns the settings of a querier with short times, so that a test does not wait for minutes.
pub(crate) fn fast_querier() -> GmpConfig {
    GmpConfig::default()
        .with_role(Role::Querier)
        .with_query_interval(Duration::from_secs(2))
        .with_query_response_interval(Duration::from_millis(500))
        .with_last_member_query_interval(Duration::from_millis(100))
}

impl Router {
    /// Starts the service on the interface towards the host, with the addresses that the links tell.
    pub(crate) fn start_gmp(&self, config: GmpConfig) -> GmpService {
        let family = self.lan.family();
        let membership = GroupMembership::new(self.manager.clone(), family, config).expect("registered");
        self.router.enter(|| {
            let links = Links::start(|_| ()).expect("links");
            let link = links.by_name("lan").expect("the interface");
            let of_family = |address: &IpAddr| Family::of(*address) == family;
            let addresses = link.addresses.into_iter().filter(|(address, _)| of_family(address)).collect();
            let service = GmpService::start(Arc::new(membership)).expect("a service");
            service.add_interface(self.lan, link.index, addresses).expect("added");
            service
        })
    }
}
