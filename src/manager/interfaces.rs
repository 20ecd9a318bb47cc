//! The interfaces the manager knows: records that are made once and stay, and an index that is read without waiting.
//!
//! Records lie in segments that double in size and never move. The index is an open-addressed array of record numbers;
//! when it gets half full a larger one is made with everything in it and put in its place. Outgrown arrays stay where
//! they are, so that a reader in the middle of one is never disturbed: together they are no larger than the present
//! one. There is one writer at a time, whoever holds the [`Maker`].

use super::Interface;
use super::upcalls::Share;
use crate::faults;
use crate::forwarding::VifIndex;
use crate::handle::{OwnersError, ResourceId};
use crate::manager::points;
use crate::memory::{self, NoMemory};
use crate::sync::OnceLock;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// In which of its two capacities an interface is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Routing,
    Igmp,
}

/// What is known of an interface for as long as the manager lives.
pub(super) struct InterfaceRecord {
    pub(super) interface: Interface,
    pub(super) number: VifIndex,
    pub(super) routing: ResourceId,
    pub(super) igmp: ResourceId,
    /// Whether anything under the membership lock may mention this interface. Set before the owner words are read for
    /// that mention, and read after an owner word was changed: so either the one who mentions sees the change, or the
    /// one who changes sees the mention, and sweeps. All accesses are `SeqCst`, as the owner words' are.
    in_use: AtomicBool,
    /// What packets that arrived here have waiting.
    pub(super) waiting: Share,
}

impl InterfaceRecord {
    pub(super) fn owner(&self, role: Role) -> ResourceId {
        match role {
            Role::Routing => self.routing,
            Role::Igmp => self.igmp,
        }
    }

    /// To be called after an owner word of the interface was changed: whether a sweep is due.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::SeqCst)
    }

    /// To be called under the membership lock, with `true` before the owner words are read for what is to be kept.
    pub(super) fn set_in_use(&self, in_use: bool) {
        self.in_use.store(in_use, Ordering::SeqCst);
    }
}

const FIRST_SEGMENT: u32 = 16;
const SEGMENTS: usize = 24;
const FIRST_TABLE: usize = 32;
const TABLES: usize = 24;

type Segment = Box<[OnceLock<InterfaceRecord>]>;

/// The records, by number and by name.
pub(super) struct Interfaces {
    segments: [OnceLock<Segment>; SEGMENTS],
    /// Record numbers plus one; 0 is an empty place.
    tables: [OnceLock<Box<[AtomicU32]>>; TABLES],
    /// Which of `tables` is the present one.
    present: AtomicUsize,
    hasher: foldhash::fast::RandomState,
    most: u32,
}

/// The right to make records.
pub(super) struct Maker {
    made: u32,
}

impl Interfaces {
    pub(super) fn new(most: u32) -> (Interfaces, Maker) {
        let interfaces = Interfaces {
            segments: std::array::from_fn(|_| OnceLock::new()),
            tables: std::array::from_fn(|_| OnceLock::new()),
            present: AtomicUsize::new(0),
            hasher: foldhash::fast::RandomState::default(),
            most,
        };
        (interfaces, Maker { made: 0 })
    }

    /// Which segment a number lies in, and where there.
    fn place(number: u32) -> Option<(usize, usize)> {
        let n = number.checked_add(FIRST_SEGMENT)?;
        let segment = n.ilog2() - FIRST_SEGMENT.ilog2();
        Some((segment as usize, (n - (FIRST_SEGMENT << segment)) as usize))
    }

    /// The record of a number. Wait-free.
    pub(super) fn get(&self, number: VifIndex) -> Option<&InterfaceRecord> {
        let (segment, at) = Self::place(number.0)?;
        self.segments.get(segment)?.get()?.get(at)?.get()
    }

    /// The record of an interface. Wait-free: at most as many steps as the index has places, few on average.
    pub(super) fn find(&self, interface: Interface) -> Option<&InterfaceRecord> {
        // Pairs with the store in `make` that puts a larger table in place: it is complete by then.
        let table = self.tables[self.present.load(Ordering::SeqCst)].get()?;
        for at in self.probe(interface, table.len()) {
            // Pairs with the store in `make`: the record is complete by then. SeqCst on both, because an interface that
            // was taken by one thread must be known to another whose own take that thread does not see yet.
            match table[at].load(Ordering::SeqCst) {
                0 => return None,
                n => match self.get(VifIndex(n - 1)) {
                    Some(record) if record.interface == interface => return Some(record),
                    _ => {}
                },
            }
        }
        None
    }

    /// The places an interface may be at in a table of `len` places, a power of two.
    fn probe(&self, interface: Interface, len: usize) -> impl Iterator<Item = usize> + use<> {
        let start = self.hasher.hash_one(interface) as usize;
        (0..len).map(move |step| start.wrapping_add(step) & (len - 1))
    }

    /// Every record made so far, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &InterfaceRecord> {
        (0..self.most).map_while(|n| self.get(VifIndex(n)))
    }

    /// Makes the record of an interface that has none; `owners` makes its owner pair.
    pub(super) fn make(
        &self,
        maker: &mut Maker,
        interface: Interface,
        owners: impl FnOnce() -> Result<[ResourceId; 2], OwnersError>,
    ) -> Result<&InterfaceRecord, OwnersError> {
        let full = OwnersError::Full { most: self.most };
        let number = maker.made;
        if number >= self.most {
            return Err(full);
        }
        let (segment, at) = Self::place(number).ok_or(full)?;
        let segment_made = || {
            let len = (FIRST_SEGMENT as usize) << segment;
            memory::slice(len, std::iter::repeat_with(OnceLock::new))
        };
        let records = made(self.segments.get(segment).ok_or(full)?, segment_made)?;
        // All that can be refused comes before the record; the owner words, which stay, come last.
        let (present, table) = self.table_for(number as usize + 1)?;
        let [routing, igmp] = owners()?;
        let number = VifIndex(number);
        let record = records[at].get_or_init(|| InterfaceRecord {
            interface,
            number,
            routing,
            igmp,
            // Entries may be waiting for this interface: whoever takes it first sweeps.
            in_use: AtomicBool::new(true),
            waiting: Share::default(),
        });
        maker.made += 1;
        faults::point(points::INTERFACE_UNLISTED);
        self.put(table, record);
        self.present.store(present, Ordering::SeqCst);
        Ok(record)
    }

    /// The index to enter the `count`th record into, with every other in it, and which it is.
    fn table_for(&self, count: usize) -> Result<(usize, &[AtomicU32]), OwnersError> {
        let mut present = self.present.load(Ordering::SeqCst);
        let len = FIRST_TABLE << present;
        if self.tables[present].get().is_some() && count * 2 > len {
            present += 1;
        }
        let table = made(&self.tables[present], || {
            let places = memory::slice(FIRST_TABLE << present, std::iter::repeat_with(|| AtomicU32::new(0)))?;
            self.iter().for_each(|record| self.put(&places, record));
            Ok(places)
        })?;
        Ok((present, table))
    }

    fn put(&self, table: &[AtomicU32], record: &InterfaceRecord) {
        let free = |at: &usize| table[*at].load(Ordering::SeqCst) == 0;
        if let Some(at) = self.probe(record.interface, table.len()).find(free) {
            table[at].store(record.number.0 + 1, Ordering::SeqCst);
        }
    }
}

/// What is there, or is made now: by one thread at a time, whoever holds the [`Maker`].
fn made<T>(place: &OnceLock<T>, make: impl FnOnce() -> Result<T, NoMemory>) -> Result<&T, OwnersError> {
    if let Some(there) = place.get() {
        return Ok(there);
    }
    let new = make().map_err(|NoMemory| OwnersError::NoMemory)?;
    Ok(place.get_or_init(|| new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::HandleTable;

    #[test]
    fn every_interface_is_found_under_its_number_through_many_growths() {
        let owners = HandleTable::<(), crate::handle::Claims>::with_claims(1).unwrap();
        let (interfaces, mut maker) = Interfaces::new(5000);
        for n in 0..5000 {
            let interface = Interface::v4(n * 7);
            assert!(interfaces.find(interface).is_none());
            let made = interfaces.make(&mut maker, interface, || owners.new_resource_pair()).unwrap();
            assert_eq!(made.number, VifIndex(n));
        }
        for n in 0..5000 {
            assert_eq!(interfaces.find(Interface::v4(n * 7)).unwrap().number, VifIndex(n));
            assert_eq!(interfaces.get(VifIndex(n)).unwrap().interface, Interface::v4(n * 7));
            assert!(interfaces.find(Interface::v6(n * 7)).is_none());
        }
        let refused = interfaces.make(&mut maker, Interface::v4(1), || owners.new_resource_pair());
        assert!(matches!(refused, Err(OwnersError::Full { most: 5000 })));
        assert!(interfaces.get(VifIndex(5000)).is_none());
        assert!(interfaces.get(VifIndex(u32::MAX)).is_none());
        assert_eq!(interfaces.iter().count(), 5000);
    }
}
