//! `--churn`: threads of other protocols that do their worst while packets are forwarded.
//!
//! Each goes round and round: it registers a routing protocol and a client in the IGMP role, takes interfaces of its own,
//! tries everything that has to be refused, publishes, replaces and withdraws flows of its own, releases, deregisters, and
//! tries its stale handles. Whatever is not answered as it has to be ends the thread, and is reported as what it is: a
//! broken promise.

mod counts;

pub(crate) use counts::Counts;

use counts::Operation;
use mgm::forwarding::{
    Entry, Family, Flow, FlowCounterId, ForwardingReader, ForwardingTable, NewEntry, PublishError,
};
use mgm::handle::Handle;
use mgm::manager::{
    DeregisterError, GroupManager, Interface, NoOwner, Protocol, RegisterError, ReleaseError, TakeError,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// The capture's interfaces, by the role in which they are taken for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) routing: Vec<Interface>,
    pub(crate) igmp: Vec<Interface>,
}

impl Live {
    /// How many interfaces each thread has of its own.
    pub(crate) const OWN: u32 = 8;
}

/// Where the threads' own interfaces begin: no capture has that many.
pub(crate) const OWN_INTERFACES: u32 = 0x4000_0000;
/// So many flows has each thread of its own.
const FLOWS: u16 = 8;
/// A protocol of type PROTO_TYPE_MCAST that no list has.
const ROUTING: u32 = 0x4000_F00D;
/// Component numbers in the IGMP role that are nobody's.
const IGMP_COMPONENTS: u32 = 1000;

/// Something was not answered as it has to be.
#[derive(Debug, thiserror::Error)]
#[error("broken promise: {what} answered {answer}")]
pub(crate) struct BrokenPromise {
    what: String,
    answer: String,
}

/// The threads at work.
pub(crate) struct Churn {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<Counts, BrokenPromise>>>,
}

impl Churn {
    pub(crate) fn start(manager: &Arc<GroupManager>, live: &Live, threads: u16) -> Churn {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..threads)
            .map(|number| {
                let (manager, live, stop, done) = (manager.clone(), live.clone(), stop.clone(), done.clone());
                thread::spawn(move || {
                    let mut pest = Pest::new(&manager, live, number)?;
                    loop {
                        let before = pest.counts.total();
                        pest.cycle()?;
                        // Relaxed: a count.
                        done.fetch_add(pest.counts.total() - before, Ordering::Relaxed);
                        // Relaxed: it says nothing but "enough".
                        if stop.load(Ordering::Relaxed) {
                            return Ok(pest.counts);
                        }
                    }
                })
            })
            .collect();
        Churn { stop, done, threads }
    }

    /// How many operations the threads have done so far.
    pub(crate) fn operations(&self) -> u64 {
        // Relaxed: a count.
        self.done.load(Ordering::Relaxed)
    }

    /// Whether a thread has ended before it was told to: [`stop`](Churn::stop) tells why.
    pub(crate) fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Lets every thread end its round; what they did.
    pub(crate) fn stop(self) -> Result<Counts, BrokenPromise> {
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = Counts::default();
        for thread in self.threads {
            let done = thread.join().map_err(|_| broken("a thread", "with a panic"))?;
            counts.add(&done?);
        }
        Ok(counts)
    }
}

pub(crate) fn broken(what: impl Into<String>, answer: impl Into<String>) -> BrokenPromise {
    BrokenPromise { what: what.into(), answer: answer.into() }
}

/// Counts an answer if it is the right one.
fn expect<T: std::fmt::Debug>(
    counts: &mut Counts,
    operation: Operation,
    answer: T,
    right: impl FnOnce(&T) -> bool,
    what: impl FnOnce() -> String,
) -> Result<(), BrokenPromise> {
    if !right(&answer) {
        return Err(broken(what(), format!("{answer:?}")));
    }
    counts.count(operation);
    Ok(())
}

/// What is found, by a reader that holds nothing back afterwards.
fn looked_up(reader: &mut ForwardingReader<'_>, flow: &Flow) -> Option<Flow> {
    let found = reader.lookup(flow).map(Entry::flow);
    reader.park();
    found
}

/// One thread.
struct Pest<'m> {
    manager: &'m GroupManager,
    table: &'m ForwardingTable,
    live: Live,
    routing: Protocol,
    igmp: Protocol,
    own: Vec<Interface>,
    flows: Vec<(Flow, FlowCounterId)>,
    counts: Counts,
}

impl<'m> Pest<'m> {
    fn new(manager: &'m GroupManager, live: Live, number: u16) -> Result<Pest<'m>, BrokenPromise> {
        let own = OWN_INTERFACES + u32::from(number) * Live::OWN;
        let own = (own..own + Live::OWN)
            .map(|index| Interface::of(if index % 2 == 0 { Family::V4 } else { Family::V6 }, index));
        let table = manager.forwarding_table();
        let flows = (0..FLOWS).map(|at| {
            // Sources that no packet is from (RFC 1112 section 4, RFC 6666), groups of documentation (RFC 6676).
            let (source, group): (IpAddr, IpAddr) = if at % 2 == 0 {
                let [high, low] = number.to_be_bytes();
                (Ipv4Addr::new(240, high, low, at as u8).into(), Ipv4Addr::new(233, 252, 0, 1).into())
            } else {
                (
                    Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, number, at).into(),
                    Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0xdb8, 0, 1).into(),
                )
            };
            let flow = Flow::new(source, group).map_err(|e| broken("naming a flow", e.to_string()))?;
            let number = table.alloc_counter().map_err(|e| broken("opening a number", e.to_string()))?;
            Ok((flow, number))
        });
        Ok(Pest {
            manager,
            table,
            live,
            routing: Protocol::new(ROUTING, number.into()),
            igmp: Protocol::new(Protocol::IGMP, IGMP_COMPONENTS + u32::from(number)),
            own: own.collect(),
            flows: flows.collect::<Result<_, _>>()?,
            counts: Counts::default(),
        })
    }

    fn cycle(&mut self) -> Result<(), BrokenPromise> {
        let (routing, igmp) = (self.register(self.routing)?, self.register(self.igmp)?);
        self.take_own(routing, igmp)?;
        self.refusals(routing, igmp)?;
        // One a round: a reader takes part in the epoch, and two kilobytes of memory that wait for a grace period when it goes.
        let mut reader = self.table.reader();
        for at in 0..self.flows.len() {
            let (flow, number) = self.flows[at];
            self.publish(flow, number, &mut reader)?;
        }
        self.leave(routing, igmp)
    }

    fn register(&mut self, protocol: Protocol) -> Result<Handle, BrokenPromise> {
        let Pest { manager, counts, .. } = self;
        let handle = loop {
            match manager.register(protocol, Arc::new(())) {
                Ok(handle) => break handle,
                // Slots that were given back wait for the readers that may still look at them.
                Err(RegisterError::Full(_) | RegisterError::NoMemory) => {
                    counts.count(Operation::RegisterFull)
                }
                Err(error) => return Err(broken(format!("registering {protocol}"), error.to_string())),
            }
            thread::yield_now();
        };
        counts.count(Operation::Register);
        counts.handle(handle.generation());
        if handle.generation() > 1 {
            counts.count(Operation::RegisterReusedSlot);
        }
        let again = manager.register(protocol, Arc::new(()));
        let refused = Err(RegisterError::AlreadyRegistered(protocol));
        expect(
            counts,
            Operation::RegisterRefused,
            again,
            |a| *a == refused,
            || format!("registering {protocol} twice"),
        )?;
        Ok(handle)
    }

    fn take_own(&mut self, routing: Handle, igmp: Handle) -> Result<(), BrokenPromise> {
        let Pest { manager, own, counts, routing: protocol, .. } = self;
        for &mine in own.iter() {
            let nobody = manager.owner_of(mine);
            expect(
                counts,
                Operation::OwnerOf,
                nobody,
                |a| *a == Err(NoOwner(mine)),
                || format!("owner_of {mine}"),
            )?;
            for client in [routing, igmp] {
                let taken = manager.take(client, mine);
                expect(counts, Operation::Take, taken, Result::is_ok, || format!("taking {mine}"))?;
            }
            let owner = manager.owner_of(mine);
            expect(
                counts,
                Operation::OwnerOf,
                owner,
                |a| *a == Ok(*protocol),
                || format!("owner_of {mine}"),
            )?;
        }
        Ok(())
    }

    /// Nothing of this may succeed.
    fn refusals(&mut self, routing: Handle, igmp: Handle) -> Result<(), BrokenPromise> {
        let Pest { manager, own, live, counts, .. } = self;
        let owned = [(routing, &*own), (igmp, &*own), (routing, &live.routing), (igmp, &live.igmp)];
        for (client, interfaces) in owned {
            for &interface in interfaces {
                let taken = manager.take(client, interface);
                let refused = Err(TakeError::Owned(interface));
                expect(
                    counts,
                    Operation::TakeRefused,
                    taken,
                    |a| *a == refused,
                    || format!("taking {interface}, which has an owner"),
                )?;
            }
        }
        for (client, interfaces) in [(routing, &live.routing), (igmp, &live.igmp)] {
            for &interface in interfaces {
                let released = manager.release(client, interface);
                let refused = Err(ReleaseError::NotOwner(interface));
                expect(
                    counts,
                    Operation::ReleaseRefused,
                    released,
                    |a| *a == refused,
                    || format!("releasing {interface}, which is somebody else's"),
                )?;
            }
        }
        for client in [routing, igmp] {
            let gone = manager.deregister(client);
            let refused = Err(DeregisterError::StillOwns(Live::OWN));
            expect(
                counts,
                Operation::DeregisterRefused,
                gone,
                |a| *a == refused,
                || format!("deregistering with {} interfaces", Live::OWN),
            )?;
        }
        Ok(())
    }

    fn publish(
        &mut self,
        flow: Flow,
        number: FlowCounterId,
        reader: &mut ForwardingReader<'_>,
    ) -> Result<(), BrokenPromise> {
        let Pest { table, counts, .. } = self;
        let entry = || NewEntry::new(flow, number, None, &[]);
        match table.publish(entry()) {
            Ok(()) => counts.count(Operation::Publish),
            // Entries that were withdrawn wait for the readers that may still see them.
            Err(PublishError::Full(_)) => {
                thread::yield_now();
                return Ok(());
            }
            Err(error) => return Err(broken(format!("publishing {flow}"), error.to_string())),
        }
        let again = table.publish(entry());
        let refused = Err(PublishError::Exists(flow));
        expect(
            counts,
            Operation::PublishRefused,
            again,
            |a| *a == refused,
            || format!("publishing {flow} twice"),
        )?;
        match table.replace(entry()) {
            Ok(()) => counts.count(Operation::Replace),
            Err(PublishError::Full(_)) => thread::yield_now(),
            Err(error) => return Err(broken(format!("replacing {flow}"), error.to_string())),
        }
        let found = looked_up(reader, &flow);
        expect(counts, Operation::Lookup, found, |a| *a == Some(flow), || format!("looking {flow} up"))?;
        let withdrawn = table.withdraw(&flow);
        expect(counts, Operation::Withdraw, withdrawn, |a| *a, || format!("withdrawing {flow}"))?;
        let found = looked_up(reader, &flow);
        expect(counts, Operation::Lookup, found, Option::is_none, || {
            format!("looking {flow} up, withdrawn")
        })?;
        Ok(())
    }

    fn leave(&mut self, routing: Handle, igmp: Handle) -> Result<(), BrokenPromise> {
        let Pest { manager, own, live, counts, .. } = self;
        for client in [routing, igmp] {
            for &mine in own.iter() {
                let released = manager.release(client, mine);
                expect(counts, Operation::Release, released, Result::is_ok, || format!("releasing {mine}"))?;
                let again = manager.release(client, mine);
                let refused = Err(ReleaseError::NotOwner(mine));
                expect(
                    counts,
                    Operation::ReleaseRefused,
                    again,
                    |a| *a == refused,
                    || format!("releasing {mine} twice"),
                )?;
            }
            let gone = manager.deregister(client);
            expect(counts, Operation::Deregister, gone, Result::is_ok, || "deregistering".to_owned())?;
            let interface = live.routing.first().or(live.igmp.first()).unwrap_or(&own[0]);
            let stale = manager.take(client, *interface);
            expect(
                counts,
                Operation::StaleRefused,
                stale,
                |a| *a == Err(TakeError::Stale),
                || "taking with a stale handle".to_owned(),
            )?;
            let stale = manager.deregister(client);
            expect(
                counts,
                Operation::StaleRefused,
                stale,
                |a| *a == Err(DeregisterError::Stale),
                || "deregistering twice".to_owned(),
            )?;
        }
        Ok(())
    }
}

impl Drop for Pest<'_> {
    fn drop(&mut self) {
        for (_, number) in &self.flows {
            self.table.free_counter(*number);
        }
    }
}
