//! A routing protocol that calls the manager from its callbacks.
//!
//! ```sh
//! cargo run --example protocol
//! ```
//!
//! The protocol is a proxy with an upstream interface and a recorder. When another protocol reports the first receiver of a
//! group, the proxy asks its upstream neighbour for the packets, and adds a membership for the recorder. When the last
//! receiver leaves, it undoes both. It records no packets of one source.

use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{
    Cause, Client, CreationAlert, GroupManager, Interface, JoinAlert, ManagerConfig, Membership, Protocol,
    PruneAlert, ReversePath, StateChange,
};
use mgm::protocol::static_joins::StaticJoins;
use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

const UPSTREAM: Interface = Interface::v4(1);
const LAN: Interface = Interface::v4(2);
const RECORDER: Interface = Interface::v4(3);

struct Proxy {
    /// Weak, because the manager keeps its clients.
    manager: Weak<GroupManager>,
    handle: OnceLock<Handle>,
    private_source: IpAddr,
}

impl Proxy {
    /// Adds or deletes the membership of the recorder. Called from callbacks: no lock of the manager is held there.
    fn record(&self, membership: Membership, wanted: bool) {
        let (Some(manager), Some(handle)) = (self.manager.upgrade(), self.handle.get()) else { return };
        let result = if wanted {
            manager.add_membership(*handle, RECORDER, membership, StateChange::Join)
        } else {
            manager.delete_membership(*handle, RECORDER, membership, StateChange::Join)
        };
        if let Err(error) = result {
            eprintln!("proxy: {membership} on the recorder: {error}");
        }
    }
}

impl Client for Proxy {
    /// Comes before every other callback.
    fn registered(&self, handle: Handle) {
        println!("proxy: registered as {handle}");
        let _ = self.handle.set(handle);
    }

    fn join_alert(&self, alert: &JoinAlert) {
        if alert.cause() == Cause::Entry {
            return;
        }
        println!("proxy: {} has receivers; joins upstream", alert.membership());
        self.record(alert.membership(), true);
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        // An entry without receivers is of no interest here: only memberships are passed on.
        if alert.cause() == Cause::Entry {
            return;
        }
        println!("proxy: {} has no receivers; leaves upstream", alert.membership());
        self.record(alert.membership(), false);
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        if alert.flow().source() != self.private_source {
            return;
        }
        println!("proxy: {} is private; keeps it off the recorder", alert.flow());
        for offered in alert.outgoing_mut() {
            offered.veto();
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let group: IpAddr = "239.1.2.3".parse()?;
    let [public, private]: [IpAddr; 2] = ["192.0.2.7".parse()?, "192.0.2.66".parse()?];

    // Every source is reached through the upstream interface.
    let routes = |_source| Some(ReversePath::through(UPSTREAM));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes))?);

    let proxy = Proxy { manager: Arc::downgrade(&manager), handle: OnceLock::new(), private_source: private };
    // 0x40000001: a multicast protocol without a vendor, number 1.
    let handle = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(proxy))?;
    manager.take(handle, UPSTREAM)?;
    manager.take(handle, RECORDER)?;

    // Another protocol owns the LAN, and reports a receiver there.
    let statics = StaticJoins::new(manager.clone())?;
    statics.take(LAN)?;
    statics.join(LAN, Membership::any_source(group)?)?;
    println!("{} memberships", manager.memberships().len());

    for source in [public, private] {
        manager.new_flow(Flow::new(source, group)?)?;
    }
    for entry in manager.entries() {
        let outgoing: Vec<_> = entry.outgoing.iter().map(|out| out.interface.to_string()).collect();
        println!("{} is copied to {}", entry.flow, outgoing.join(" and "));
    }

    statics.leave(LAN, Membership::any_source(group)?)?;
    println!("{} memberships", manager.memberships().len());

    manager.release(handle, UPSTREAM)?;
    manager.release(handle, RECORDER)?;
    manager.deregister(handle)?;
    Ok(())
}
