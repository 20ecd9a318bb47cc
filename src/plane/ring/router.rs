//! [`RingRouter`]: the loop of a router on rings.

use super::{BURST, FrameReceiver, FrameSender, RingTotals, RingWorker};
use crate::forwarding::Family;
use crate::manager::{GroupManager, Interface};
use crate::plane::{Control, Port};
use crate::protocol::gmp::GroupMembership;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The number of upcalls that a turn of the loop processes at most. More wait for the next turn.
const UPCALLS: usize = 1024;
/// The pause after a turn that received no frame.
const IDLE: Duration = Duration::from_micros(100);

/// A port with the rings that its frames arrive in and leave by.
#[derive(Debug)]
pub struct RingPort {
    /// The port.
    pub port: Port,
    /// The ring of frames that arrive.
    pub receive: FrameReceiver,
    /// The ring of frames that leave.
    pub transmit: FrameSender,
}

/// A multicast router on rings: runs the loop of a plane on one thread.
///
/// A turn of the loop ([`poll`](Self::poll)) advances the time, receives a burst from each port, passes messages of IGMP and
/// MLD to the listeners, processes upcalls, and then forwards the packets that waited for their flow's entry. So the first
/// packets of a flow are forwarded too.
///
/// `examples/ring_plane.rs` shows a whole router.
pub struct RingRouter {
    manager: Arc<GroupManager>,
    worker: RingWorker,
    ports: Vec<(FrameReceiver, Port)>,
    listeners: Vec<Arc<GroupMembership>>,
    started: Instant,
}

impl fmt::Debug for RingRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingRouter").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl RingRouter {
    /// Makes a router of these ports for the calling thread. The listeners get the messages of IGMP and MLD that arrive.
    ///
    /// May block, and allocates.
    #[must_use]
    pub fn new(
        manager: Arc<GroupManager>,
        ports: impl IntoIterator<Item = RingPort>,
        listeners: impl IntoIterator<Item = Arc<GroupMembership>>,
    ) -> RingRouter {
        let (ports, rings): (Vec<_>, Vec<_>) = ports
            .into_iter()
            .map(|RingPort { port, receive, transmit }| ((receive, port.clone()), (port, transmit)))
            .unzip();
        // A turn receives at most a burst from each port.
        let limit = BURST * ports.len();
        RingRouter {
            worker: RingWorker::new(manager.clone(), rings).with_pending_limit(limit),
            manager,
            ports,
            listeners: listeners.into_iter().collect(),
            started: Instant::now(),
        }
    }

    /// Runs one turn of the loop at time `now` of the manager's clock. Returns the number of frames received.
    ///
    /// Runs callbacks of clients, and may wait for the membership lock.
    pub fn poll(&mut self, now: Duration) -> usize {
        let RingRouter { manager, worker, ports, listeners, .. } = self;
        for listener in &*listeners {
            listener.advance(now);
        }
        manager.advance(now);
        let mut frames = 0;
        for (at, (ring, port)) in ports.iter_mut().enumerate() {
            frames += worker.receive(at, ring, |control| {
                deliver(listeners, port.interface(control.family()), control, now);
            });
        }
        manager.process_upcalls(UPCALLS);
        worker.forward_pending();
        frames
    }

    /// Runs the loop until `stop` returns `true`. The time is the one since this router was made.
    pub fn run_until(&mut self, stop: impl Fn() -> bool) {
        while !stop() {
            if self.poll(self.started.elapsed()) == 0 {
                self.worker.park();
                thread::sleep(IDLE);
            }
        }
        self.worker.park();
    }

    /// Returns the manager.
    #[must_use]
    pub fn manager(&self) -> &Arc<GroupManager> {
        &self.manager
    }

    /// Returns the counters. Allocates.
    #[must_use]
    pub fn totals(&self) -> RingTotals {
        self.worker.totals()
    }
}

/// Passes a message to the listener of its family, if there is one.
fn deliver(listeners: &[Arc<GroupMembership>], interface: Interface, control: Control<'_>, now: Duration) {
    let family: Family = control.family();
    if let Some(listener) = listeners.iter().find(|listener| listener.family() == family) {
        // The listener counts what became of the message.
        let _ = listener.receive(interface, &control.into(), now);
    }
}
