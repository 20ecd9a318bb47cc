//! The interfaces of the machine, followed through netlink (rtnetlink(7)).
//!
//! [`Links`] reads them when it starts, and its thread follows the kernel's events. When the kernel has lost events, the
//! thread reads all anew and reports the differences, so that no change is missed in the end.

mod table;

pub use table::{Link, LinkEvent};

use crate::netlink::{NetlinkError, NetlinkSocket, groups};
use crate::sys::{Wake, wait_readable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use parking_lot::RwLock;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use table::LinkTable;

/// The pause before the state is read again when that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The interfaces of a network namespace. Dropping it ends the following, and waits for its thread.
pub struct Links {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    table: RwLock<LinkTable>,
    wake: Wake,
    stop: AtomicBool,
}

impl Links {
    /// Reads the interfaces of the calling thread's network namespace, and follows them.
    ///
    /// Calls `on_event` for each interface that is there, on this thread, before it returns. Later events come on a thread of
    /// its own, one at a time and in order. `on_event` may read the links.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn start(on_event: impl Fn(&LinkEvent) + Send + 'static) -> Result<Links, NetlinkError> {
        // Before the dump, so that no change falls between the two.
        let mut events =
            NetlinkSocket::open_events(&[groups::LINK, groups::IPV4_ADDRESS, groups::IPV6_ADDRESS])?;
        let mut requests = NetlinkSocket::open()?;
        let wake = Wake::new().map_err(NetlinkError::at("eventfd"))?;
        let shared = Arc::new(Shared { table: RwLock::default(), wake, stop: AtomicBool::new(false) });
        let first = read(&mut requests)?;
        shared.replace(first, &on_event);
        let following = shared.clone();
        let run = move || following.run(&mut events, &mut requests, &on_event);
        let thread = thread::Builder::new().name("mgm-links".to_owned()).spawn(run);
        let thread = thread.map_err(NetlinkError::at("spawn"))?;
        Ok(Links { shared, thread: Some(thread) })
    }

    /// Returns the interfaces by index.
    #[must_use]
    pub fn current(&self) -> Vec<Link> {
        self.shared.table.read().iter().cloned().collect()
    }

    /// Returns the interface with a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Link> {
        self.shared.table.read().iter().find(|link| link.name == name).cloned()
    }

    /// Returns the interface with an index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<Link> {
        self.shared.table.read().get(index).cloned()
    }
}

/// Reads every interface and its addresses.
fn read(requests: &mut NetlinkSocket) -> Result<LinkTable, NetlinkError> {
    let mut table = LinkTable::default();
    for request in [
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
    ] {
        requests.dump(&request)?.iter().for_each(|message| _ = table.apply(message));
    }
    Ok(table)
}

impl Shared {
    fn run(&self, events: &mut NetlinkSocket, requests: &mut NetlinkSocket, on_event: &dyn Fn(&LinkEvent)) {
        // Acquire: pairs with the store of `stop`.
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = wait_readable([events.as_fd(), self.wake.as_fd()], None) {
                tracing::error!(%error, "poll");
                thread::sleep(PAUSE);
            }
            match events.events() {
                Ok(messages) => messages.iter().for_each(|message| self.apply(message, on_event)),
                Err(error) => {
                    tracing::debug!(%error, "the interfaces are read anew");
                    self.resynchronize(requests, on_event);
                }
            }
        }
    }

    fn apply(&self, message: &RouteNetlinkMessage, on_event: &dyn Fn(&LinkEvent)) {
        let event = self.table.write().apply(message);
        if let Some(event) = event {
            on_event(&event);
        }
    }

    /// Reads every interface anew, until that succeeds.
    fn resynchronize(&self, requests: &mut NetlinkSocket, on_event: &dyn Fn(&LinkEvent)) {
        // Acquire: see above.
        while !self.stop.load(Ordering::Acquire) {
            match read(requests) {
                Ok(table) => return self.replace(table, on_event),
                Err(error) => {
                    tracing::warn!(%error, "the interfaces cannot be read");
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Replaces the table, and reports the differences.
    fn replace(&self, table: LinkTable, on_event: &dyn Fn(&LinkEvent)) {
        let events = {
            let mut current = self.table.write();
            let events = current.differences(&table);
            *current = table;
            events
        };
        events.iter().for_each(on_event);
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // Release: pairs with the loads of the thread.
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.wake();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that follows interfaces had panicked");
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current()).finish()
    }
}
