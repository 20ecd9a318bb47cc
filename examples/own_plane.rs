//! A forwarding plane of one's own: look-up, verdict, copies, counters, upcalls, and first packets that are kept.
//!
//! ```sh
//! cargo run --example own_plane
//! ```
//!
//! The packets come from a `Vec`, and a copy is one more count of its interface. A plane for network cards has queues of a
//! driver in both places, and finds the flow of a frame by [`mgm::plane::classify`]. The loop stays the same.

use mgm::forwarding::{
    Flow, FlowCounter, OifCounter, OwnedForwardingReader, Verdict, VifIndex, WorkerCounters,
};
use mgm::manager::{
    GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange, Upcall,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const UPSTREAM: Interface = Interface::v4(1);
const LANS: [Interface; 2] = [Interface::v4(2), Interface::v4(3)];
/// The maximum number of packets that are forwarded together.
const BURST: usize = 4;
/// The maximum number of packets that wait for their flow's entry.
const KEPT: usize = 64;

struct Packet {
    arrival: Interface,
    flow: Flow,
    datagram: Vec<u8>,
}

struct Plane {
    manager: Arc<GroupManager>,
    /// Belongs to this thread, as it is not `Send`. Each thread of a plane makes its own.
    reader: OwnedForwardingReader,
    counters: WorkerCounters,
    /// First packets: their flows have no entry yet.
    kept: Vec<Packet>,
    sent: BTreeMap<Interface, u64>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Plane {
    fn new(manager: Arc<GroupManager>) -> Plane {
        let view = manager.forwarding();
        let (reader, counters) = (view.owned_reader(), view.counters().worker());
        Plane { reader, counters, manager, kept: Vec::new(), sent: BTreeMap::new(), dropped: BTreeMap::new() }
    }

    /// Applies the entry of the packet's flow. Returns the packet if there is none that it may use.
    fn forward(&mut self, packet: Packet) -> Option<Packet> {
        let Packet { arrival, flow, datagram } = &packet;
        let Some(entry) = self.reader.lookup(flow) else { return Some(packet) };
        // An interface that no protocol has taken yet has no number: then use one that no entry contains.
        let vif = self.manager.vif_index(*arrival).unwrap_or(VifIndex(u32::MAX));
        match entry.check(vif) {
            // The incoming interface has changed its owner: as good as no entry.
            Verdict::Stale => return Some(packet),
            Verdict::NoReceivers => {
                self.counters.add(entry.counter(), FlowCounter::NoReceivers, 1);
                *self.dropped.entry("no receivers").or_default() += 1;
            }
            Verdict::WrongInterface => {
                self.counters.add(entry.counter(), FlowCounter::WrongInterface, 1);
                *self.dropped.entry("wrong interface").or_default() += 1;
                // Alerts the owner of that interface, if it wants to know. Counts nothing.
                self.manager.wrong_interface(*flow, *arrival, datagram);
            }
            Verdict::Accept => {
                let mut copies = 0;
                // A real plane decrements the TTL before the first copy.
                for outgoing in entry.live_outgoing() {
                    let Some(interface) = self.manager.interface(outgoing.interface) else { continue };
                    *self.sent.entry(interface).or_default() += 1;
                    self.counters.add_oif(outgoing.counter, OifCounter::Packets, 1);
                    copies += 1;
                }
                if copies > 0 {
                    self.counters.forwarded(entry.counter(), datagram.len() as u64, copies);
                } else {
                    // The owner of each outgoing interface has changed.
                    self.counters.add(entry.counter(), FlowCounter::NoReceivers, 1);
                    *self.dropped.entry("no receivers").or_default() += 1;
                }
            }
        }
        None
    }

    /// Asks the manager for an entry, without waiting, and keeps the packet meanwhile.
    fn miss(&mut self, packet: Packet) {
        let reason = match self.manager.upcall(packet.flow, packet.arrival, &packet.datagram) {
            Upcall::Queued | Upcall::Waiting if self.kept.len() < KEPT => return self.kept.push(packet),
            Upcall::Queued | Upcall::Waiting => "too many kept",
            Upcall::Refused => "upcall refused",
            Upcall::NotForwarded => "link-local group",
        };
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Forwards packets, burst by burst, until there are no more.
    fn run(&mut self, packets: Vec<Packet>) {
        let started = Instant::now();
        let mut packets = packets.into_iter().peekable();
        while packets.peek().is_some() {
            for packet in packets.by_ref().take(BURST) {
                if let Some(packet) = self.forward(packet) {
                    self.miss(packet);
                }
            }
            // Makes the entries. Runs callbacks of clients, so a plane in a hurry leaves it to another thread.
            while self.manager.process_upcalls(BURST) == BURST {}
            for packet in std::mem::take(&mut self.kept) {
                // One attempt only: if the table is full, another upcall would fail as this one did, again and again.
                if self.forward(packet).is_some() {
                    *self.dropped.entry("still no entry").or_default() += 1;
                }
            }
            // Ends the entries that have reached the end of their lifetime.
            self.manager.advance(started.elapsed());
        }
        // Before the thread idles, so that removed entries can be freed meanwhile.
        self.reader.park();
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Every source is behind the upstream interface. The table has room for two entries only, to show what happens then.
    let routes = Arc::new(|_| Some(ReversePath::through(UPSTREAM)));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default().with_entries(2), routes)?);
    let client = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(()))?;
    manager.take(client, UPSTREAM)?;
    for lan in LANS {
        manager.take(client, lan)?;
        manager.add_membership(
            client,
            lan,
            Membership::any_source("239.1.2.3".parse()?)?,
            StateChange::Join,
        )?;
    }

    let mut packets = Vec::new();
    for (count, arrival, group) in [
        (6, UPSTREAM, "239.1.2.3"), // Forwarded to both LANs, from the first packet on.
        (1, LANS[0], "239.1.2.3"),  // On the wrong interface.
        (2, UPSTREAM, "239.4.4.4"), // Without receivers: gets a negative entry.
        (2, UPSTREAM, "239.5.5.5"), // Finds the table full.
        (1, UPSTREAM, "224.0.0.5"), // Never leaves its link.
    ] {
        let flow = Flow::new("192.0.2.7".parse()?, group.parse()?)?;
        packets.extend((0..count).map(|_| Packet { arrival, flow, datagram: vec![0; 100] }));
    }

    let mut plane = Plane::new(manager.clone());
    plane.run(packets);
    for (interface, copies) in &plane.sent {
        println!("sent {copies} copies to {interface}");
    }
    for (reason, packets) in &plane.dropped {
        println!("dropped {packets}: {reason}");
    }
    for entry in manager.entries() {
        let totals = entry.totals;
        println!(
            "entry {}: {} packets, {} octets, {} copies, {} without receivers, {} on the wrong interface",
            entry.flow,
            totals.packets,
            totals.octets,
            totals.copies,
            totals.no_receivers,
            totals.wrong_interface
        );
    }
    println!("entries refused: {}", manager.limit_counters().entries_refused);
    Ok(())
}
