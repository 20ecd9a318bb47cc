//! [`CaptureRouter`]: forwards a recording in the time of the capture.
//!
//! One thread reads the frames in their order and classifies them. It assigns data packets to workers by flow. An event that
//! changes entries (a message of IGMP or MLD, a lapsing report, the end of an entry's lifetime) takes effect after all packets
//! before it and before all packets behind it. So the counts are the same with any number of workers, and no packet is lost:
//! this plane can wait.
//!
//! The reading thread also makes the entry of a flow, when it meets the flow's first packet, at the time of that packet. So the
//! lifetime of the entry does not depend on when a worker gets to the packet.

use super::forwarder::Context;
use super::recording::Recording;
use super::run::RunState;
use super::worker_pool::WorkerPool;
use super::{Frame, Totals};
use crate::forwarding::Family;
use crate::manager::{GroupManager, Interface};
use crate::plane::{MacAddress, Port, PortMap};
use crate::protocol::gmp::GroupMembership;
use crate::rpf::LearnedRoutes;
use std::fmt;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A multicast router for the packets of a recording.
pub struct CaptureRouter {
    pub(super) manager: Arc<GroupManager>,
    pub(super) igmp: GroupMembership,
    pub(super) mld: GroupMembership,
    pub(super) ports: Vec<Port>,
    pub(super) learned: Option<Arc<LearnedRoutes>>,
    pub(super) own_addresses: Vec<MacAddress>,
    /// The port indices of interfaces that take no part.
    pub(super) inactive: Vec<usize>,
}

impl fmt::Debug for CaptureRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureRouter").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// The settings of a run.
pub struct Run<'a> {
    /// The number of passes over the recording. Each begins without memberships and entries, and keeps the learned routes.
    pub passes: NonZeroU64,
    /// The number of workers. The counts do not depend on it.
    pub threads: NonZeroUsize,
    /// Receives each copy, in the order of packets: port index, time and packet. Called in the first pass only, since further
    /// passes repeat it. With it, packets that the capture cut off are not forwarded, in any pass.
    pub transmit: Option<&'a mut Transmit<'a>>,
    /// Receives the number of frames read so far, over all passes, from time to time.
    pub progress: &'a mut dyn FnMut(u64),
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("passes", &self.passes)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// The type of [`Run::transmit`]. An error ends the run.
pub type Transmit<'a> = dyn FnMut(usize, Duration, &[u8]) -> io::Result<()> + 'a;

impl CaptureRouter {
    /// Makes a router with these ports, which [`Recording::ports`] makes of a recording.
    ///
    /// Protocols have taken their interfaces ([`Port::interface`]) before. `igmp` and `mld` get the messages that arrive. With
    /// `learned`, the routes of the manager, the router teaches it each source at its first packet.
    #[must_use]
    pub fn new(
        manager: Arc<GroupManager>,
        [igmp, mld]: [GroupMembership; 2],
        ports: Vec<Port>,
        learned: Option<Arc<LearnedRoutes>>,
    ) -> CaptureRouter {
        CaptureRouter { manager, igmp, mld, ports, learned, own_addresses: Vec::new(), inactive: Vec::new() }
    }

    /// Names link-layer addresses of the router, besides those that a recording names for its interfaces.
    ///
    /// A frame from one of them is the router's own: it counts as [`DropCounters::own`](crate::plane::DropCounters::own) and
    /// nothing else. So is a frame that the capture marks as outgoing.
    #[must_use]
    pub fn with_own_addresses(mut self, addresses: impl IntoIterator<Item = MacAddress>) -> CaptureRouter {
        self.own_addresses.extend(addresses);
        self
    }

    /// Names ports that take no part, besides those with a link that cannot be read.
    ///
    /// Their frames count as [`DropCounters::inactive_interface`](crate::plane::DropCounters::inactive_interface) and nothing
    /// else.
    #[must_use]
    pub fn with_inactive_ports(mut self, ports: impl IntoIterator<Item = usize>) -> CaptureRouter {
        self.inactive.extend(ports);
        self
    }

    /// Returns the ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Returns the port of an interface; `None` if it is not an interface of this router.
    #[must_use]
    pub fn port_of(&self, interface: Interface) -> Option<&Port> {
        self.ports.iter().find(|port| port.interface(interface.family()) == interface)
    }

    /// Returns the manager.
    #[must_use]
    pub fn manager(&self) -> &Arc<GroupManager> {
        &self.manager
    }

    /// Returns the clients that get the messages of IGMP and of MLD.
    #[must_use]
    pub fn listeners(&self) -> [&GroupMembership; 2] {
        [&self.igmp, &self.mld]
    }

    /// Returns the routes that the router teaches sources to, if there are any.
    #[must_use]
    pub fn learned(&self) -> Option<&LearnedRoutes> {
        self.learned.as_deref()
    }

    /// Forwards a recording. Afterwards, memberships and entries are those at the end of the last pass.
    ///
    /// # Errors
    /// An error of [`Run::transmit`], or of starting [`Run::threads`] threads.
    pub fn run(&self, recording: &Recording, run: Run<'_>) -> io::Result<Totals> {
        self.run_while(recording, run, &mut |_| true)
    }

    /// Forwards a recording, and asks `go_on` before each further pass whether to run it.
    ///
    /// `go_on` receives the time of the manager's clock, which ends after 584 years. [`Run::passes`] is the maximum number of
    /// passes.
    ///
    /// # Errors
    /// An error of [`Run::transmit`], or of starting [`Run::threads`] threads.
    pub fn run_while(
        &self,
        recording: &Recording,
        run: Run<'_>,
        go_on: &mut dyn FnMut(Duration) -> bool,
    ) -> io::Result<Totals> {
        let map = PortMap::new(&self.manager, &self.ports);
        let context = Context { manager: &self.manager, ports: &self.ports, map: &map };
        thread::scope(|scope| {
            let workers = WorkerPool::start(scope, context, run.threads.get())?;
            let mut state = RunState::new(self, &map, workers, recording);
            state.run_passes(recording, run, go_on)?;
            Ok(state.finish())
        })
    }

    /// Returns the interface on which a frame arrived.
    pub(super) fn arrival(&self, frame: &Frame<'_>, family: Family) -> Interface {
        let port = self.ports.get(frame.interface as usize);
        Interface::of(family, port.map_or(u32::MAX, |port| port.index))
    }

    /// Returns the client that gets the messages of a family.
    pub(super) fn listener(&self, family: Family) -> &GroupMembership {
        match family {
            Family::V4 => &self.igmp,
            Family::V6 => &self.mld,
        }
    }
}
