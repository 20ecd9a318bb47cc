//! [`Worker`]: takes frames from receive rings, and puts copies into transmit rings.

use super::frames::{FrameReceiver, FrameSender, Shared, SourceWord, Top};
use super::{PortTotals, RingTotals, Unsent};
use crate::forwarding::{Family, Flow, ForwardingReader, Verdict, VifIndex};
use crate::manager::{GroupManager, Upcall};
use crate::plane::ledger::{Copied, DropCounters, Exits, Ledger, QuickExits};
use crate::plane::packet::{Class, Control, Link, classify, plain_v4};
use crate::plane::port::{Numbering, Port};
use crate::plane::{CannotForward, Data};
use crate::prefetch::prefetch;
use std::net::Ipv4Addr;

/// So many frames are looked at together.
pub const BURST: usize = 32;

/// A thread's hands: forwards what arrives at ports, and has a transmit ring of its own for each port.
pub struct Worker<'m> {
    manager: &'m GroupManager,
    reader: ForwardingReader<'m>,
    ledger: Ledger,
    doors: Doors<'m>,
    /// The flows of a burst's packets; behind them, anything.
    flows: [Flow; BURST],
    packets: u64,
    octets: u64,
    no_entry: u64,
}

/// The ports, and which interfaces they are.
struct Doors<'m> {
    manager: &'m GroupManager,
    numbering: Numbering,
    doors: Vec<Door>,
}

/// A port as a place to leave through.
struct Door {
    ring: FrameSender,
    source: SourceWord,
    link: Link,
    /// What was in the ring before, or had been.
    written_before: u64,
    dropped: u64,
}

impl<'m> Worker<'m> {
    /// A worker on this thread that forwards by a manager's entries, with a transmit ring for each port. Protocols name the
    /// ports by their places ([`Port::interface`]), and may take them at any time.
    ///
    /// May block, and allocates; nothing of that later.
    #[must_use]
    pub fn new(
        manager: &'m GroupManager,
        ports: impl IntoIterator<Item = (Port, FrameSender)>,
    ) -> Worker<'m> {
        let door = |(port, ring): (Port, FrameSender)| Door {
            written_before: ring.written(),
            ring,
            source: SourceWord::new(port.mac),
            link: port.link,
            dropped: 0,
        };
        let doors: Vec<_> = ports.into_iter().map(door).collect();
        let numbering = Numbering::new(manager, doors.iter().map(|door| door.link));
        Worker {
            manager,
            reader: manager.forwarding().reader(),
            ledger: Ledger::new(manager.forwarding()),
            doors: Doors { manager, numbering, doors },
            flows: [Flow::first_of(Ipv4Addr::new(232, 0, 0, 0).into()); BURST],
            packets: 0,
            octets: 0,
            no_entry: 0,
        }
    }

    /// Forwards what waits in the receive ring of a port, at most a burst. How many frames that was.
    ///
    /// Messages of IGMP and MLD are given to `control`.
    pub fn receive(
        &mut self,
        port: usize,
        ring: &mut FrameReceiver,
        mut control: impl FnMut(Control<'_>),
    ) -> usize {
        ring.receive_all(BURST, |frames| {
            self.first_burst(port, frames, &mut control);
        })
    }

    /// Forwards frames that arrived at a port, burst by burst. Those of a port that there is not are
    /// [none of its business](crate::plane::Class::NotMulticast).
    ///
    /// Messages of IGMP and MLD are given to `control`.
    pub fn forward<'f>(
        &mut self,
        port: usize,
        frames: impl IntoIterator<Item = &'f [u8]>,
        mut control: impl FnMut(Control<'_>),
    ) {
        let mut frames = frames.into_iter();
        while self.first_burst(port, &mut frames, &mut control) == BURST {}
    }

    /// Forwards the first frames. How many: fewer than a burst when there are no more.
    #[inline]
    fn first_burst<'f>(
        &mut self,
        port: usize,
        frames: &mut impl Iterator<Item = &'f [u8]>,
        control: &mut dyn FnMut(Control<'_>),
    ) -> usize {
        let mut burst: [&[u8]; BURST] = [&[]; BURST];
        let mut count = 0;
        // The burst's places come first: no frame is taken for which there is none.
        for (place, frame) in burst.iter_mut().zip(frames) {
            if let Some(octet) = frame.first() {
                prefetch(octet);
            }
            *place = frame;
            count += 1;
        }
        self.burst(port, &burst[..count], control);
        count
    }

    /// Forwards a burst.
    fn burst<'f>(&mut self, port: usize, burst: &[&'f [u8]], control: &mut dyn FnMut(Control<'_>)) {
        let link = self.doors.link(port);
        let is_ethernet = link == Link::Ethernet;
        self.packets += burst.len() as u64;
        let mut datagrams: [&[u8]; BURST] = [&[]; BURST];
        let mut places = self.flows.iter_mut().zip(&mut datagrams);
        let mut count = 0;
        let mut take = |data: Data<'f>| {
            // There is a place for each.
            if let Some((flow, datagram)) = places.next() {
                (*flow, *datagram) = (data.flow, data.datagram);
                count += 1;
            }
        };
        for frame in burst {
            self.octets += frame.len() as u64;
            if is_ethernet && let Some(data) = plain_v4(frame) {
                take(data);
                continue;
            }
            match classify(link, frame) {
                Class::Data(data) => take(data),
                other => aside(&mut self.ledger.not_forwarded, other, control),
            }
        }
        self.act(port, &datagrams[..count]);
    }

    /// Does with packets what the entries of their flows say. What that takes is asked for step by step, each for the whole
    /// burst, so that one packet's wait for memory is all the others' as well.
    fn act(&mut self, port: usize, datagrams: &[&[u8]]) {
        let arrivals = self.doors.arrivals(port);
        let flows = &self.flows[..datagrams.len()];
        let mut entries = [None; BURST];
        let mut places = entries.iter_mut();
        let ledger = &self.ledger;
        self.reader.lookup_burst(flows).for_each(|entry| {
            if let Some(entry) = entry {
                ledger.prefetch(entry);
            }
            if let Some(place) = places.next() {
                *place = entry;
            }
        });
        for entry in entries.iter().take(flows.len()).flatten() {
            self.ledger.prefetch_copies(entry);
        }
        for ((entry, flow), &datagram) in entries.iter().zip(flows).zip(datagrams) {
            let arrival = arrivals[usize::from(flow.family() == Family::V6)];
            let mut copies = Copies { doors: &mut self.doors, flow, datagram };
            let verdict = match entry {
                Some(entry) => self.ledger.act(entry, arrival, datagram.len(), &mut copies),
                None => Verdict::Miss,
            };
            match verdict {
                Verdict::Miss => {
                    miss(
                        self.manager,
                        port,
                        *flow,
                        datagram,
                        &mut self.no_entry,
                        &mut self.ledger.not_forwarded,
                    );
                }
                Verdict::WrongInterface => {
                    self.manager.wrong_interface(*flow, Port::interface(port, flow.family()), datagram);
                }
                Verdict::Accept | Verdict::NoReceivers => {}
            }
        }
        self.doors.doors.iter_mut().for_each(|door| door.ring.publish());
    }

    /// Nothing to do for a while: holds nothing back.
    pub fn park(&mut self) {
        self.reader.park();
    }

    /// What was counted so far. Allocates.
    #[must_use]
    pub fn totals(&self) -> RingTotals {
        RingTotals {
            packets: self.packets,
            octets: self.octets,
            forwarded_packets: self.ledger.forwarded_packets,
            copies: self.ledger.copies,
            not_forwarded: self.ledger.not_forwarded,
            no_entry: self.no_entry,
            no_room: self.ledger.no_room,
            ports: self.doors.doors.iter().map(Door::totals).collect(),
        }
    }
}

/// Counts a frame that is not to be forwarded.
#[cold]
fn aside(why: &mut DropCounters, class: Class<'_>, control: &mut dyn FnMut(Control<'_>)) {
    match class {
        Class::NotMulticast => why.not_multicast += 1,
        Class::Malformed(_) => why.malformed += 1,
        Class::LinkLocal => why.link_local += 1,
        Class::TtlExpired => why.ttl_expired += 1,
        Class::Control(message) => {
            why.control += 1;
            control(message);
        }
        Class::Data(_) => {}
    }
}

/// Tells the manager of a flow without an entry.
#[cold]
fn miss(
    manager: &GroupManager,
    port: usize,
    flow: Flow,
    datagram: &[u8],
    no_entry: &mut u64,
    why: &mut DropCounters,
) {
    match manager.upcall(flow, Port::interface(port, flow.family()), datagram) {
        Upcall::Queued | Upcall::Waiting => *no_entry += 1,
        Upcall::Refused => why.queue_full += 1,
        Upcall::DropCounters => why.link_local += 1,
    }
}

impl Door {
    fn totals(&self) -> PortTotals {
        PortTotals { sent: self.ring.written() - self.written_before, dropped: self.dropped }
    }
}

impl Doors<'_> {
    fn link(&self, port: usize) -> Link {
        self.doors.get(port).map_or(Link::Unknown(u32::MAX), |door| door.link)
    }

    /// The numbers of a port's IPv4 interface and of its IPv6 interface.
    fn arrivals(&mut self, port: usize) -> [VifIndex; 2] {
        self.numbering.arrivals_now(self.manager, port)
    }
}

/// A packet, and where its copies go.
struct Copies<'a, 'm, 'f> {
    doors: &'a mut Doors<'m>,
    flow: &'a Flow,
    datagram: &'f [u8],
}

impl<'f> Exits for Copies<'_, '_, 'f> {
    type Older = Shared<'f>;
    type Quick<'q>
        = Quick<'q>
    where
        Self: 'q;

    #[inline]
    fn load(&mut self) -> Result<Shared<'f>, CannotForward> {
        Shared::new(self.flow, self.datagram)
    }

    #[inline(always)]
    fn quick<'q>(&'q mut self, older: &'q Shared<'f>) -> Option<Quick<'q>> {
        let Doors { numbering, doors, .. } = &mut *self.doors;
        Some(Quick { top: older.top()?, places: numbering.ethernet(), doors })
    }

    #[inline(never)]
    fn copy(&mut self, older: &Shared<'f>, interface: VifIndex) -> Copied {
        let Doors { manager, numbering, doors } = &mut *self.doors;
        let place = numbering.place(interface).or_else(|| numbering.place_now(manager, interface));
        let Some(door) = place.and_then(|place| doors.get_mut(place)) else { return Copied::Elsewhere };
        let sent = if door.link.has_ethernet_header() {
            door.ring.write_copy(older, door.source)
        } else {
            door.ring.write_parts(older.datagram())
        };
        match sent {
            Ok(()) => Copied::Made,
            Err(Unsent::Full | Unsent::TooLong) => {
                door.dropped += 1;
                Copied::NoRoom
            }
        }
    }
}

/// A packet that is short enough to be copied in one piece.
struct Quick<'q> {
    top: &'q Top,
    places: &'q [u32],
    doors: &'q mut [Door],
}

impl QuickExits for Quick<'_> {
    #[inline(always)]
    fn copy(&mut self, interface: VifIndex) -> bool {
        if let Some(place) = self.places.get(interface.0 as usize)
            && let Some(door) = self.doors.get_mut(*place as usize)
        {
            return door.ring.write_top(self.top, door.source);
        }
        false
    }
}
