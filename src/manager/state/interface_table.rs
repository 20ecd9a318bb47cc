//! [`InterfaceTable`]: the interfaces that the manager knows. Records are made once and stay; look-ups never wait.
//!
//! Records lie in segments that double in size and never move. The index is an open-addressed array of record numbers. When
//! it is half full, a larger one with all records replaces it. Outgrown arrays stay allocated, so that a reader inside one is
//! never disturbed; together they are no larger than the present one. The holder of the [`InterfaceAllocator`] is the only
//! writer.

use super::{Role, UpcallQuota};
use crate::faults;
use crate::forwarding::VifIndex;
use crate::handle::{NewResourceError, OwnerWord, OwnerWords, ResourceId};
use crate::manager::Interface;
use crate::manager::points;
use crate::memory::{self, NoMemory};
use crate::segment::{Element, Pages};
use crate::segmented_array::DoublingArray;
use crate::sync::{Arc, OnceLock};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// The permanent record of an interface.
pub(in crate::manager) struct InterfaceRecord {
    pub(in crate::manager) interface: Interface,
    pub(in crate::manager) vif: VifIndex,
    pub(in crate::manager) routing: ResourceId,
    pub(in crate::manager) igmp: ResourceId,
    /// Whether data under the membership lock may mention this interface. A thread sets it before it reads the owner words
    /// for such a mention; a thread that changed an owner word reads it afterwards. So either the mentioning thread sees
    /// the change, or the changing thread sees the mention and sweeps. All accesses are `SeqCst` and pair with each other,
    /// as the owner words' accesses do.
    in_use: AtomicBool,
    /// The upcall queues' room that packets which arrived here use.
    pub(in crate::manager) upcalls: UpcallQuota,
}

impl InterfaceRecord {
    /// Returns the id of a role's owner word.
    pub(in crate::manager) fn owner(&self, role: Role) -> ResourceId {
        match role {
            Role::Routing => self.routing,
            Role::Igmp => self.igmp,
        }
    }

    /// Returns whether a sweep is due. Must be called after an owner word of the interface was changed.
    pub(in crate::manager) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::SeqCst)
    }

    /// Notes whether the interface is mentioned. Must be called under the membership lock; with `true`, before the owner
    /// words are read for the mention.
    pub(in crate::manager) fn set_in_use(&self, in_use: bool) {
        self.in_use.store(in_use, Ordering::SeqCst);
    }
}

const FIRST_SEGMENT: u32 = 16;
const FIRST_INDEX: usize = 32;
const INDEXES: usize = 24;

/// The place of a record, which is empty until the record is made.
struct Place(OnceLock<InterfaceRecord>);

// SAFETY: `ZEROED` is false: places are made one by one.
unsafe impl Element for Place {
    const ZEROED: bool = false;

    fn empty() -> Self {
        Place(OnceLock::new())
    }
}

/// Record numbers plus one; 0 marks an empty place.
type Index = Box<[AtomicU32]>;

/// The interface records, by number and by name.
pub(in crate::manager) struct InterfaceTable {
    records: DoublingArray<Place, FIRST_SEGMENT>,
    indexes: [OnceLock<Index>; INDEXES],
    /// The position of the present index in `indexes`.
    present: AtomicUsize,
    hasher: foldhash::fast::RandomState,
    /// The owner words of the records.
    owners: Arc<OwnerWords>,
    max: u32,
}

/// The right to make records.
pub(in crate::manager) struct InterfaceAllocator {
    made: u32,
}

impl InterfaceTable {
    /// Makes a table of at most `max` records, with owner words of `owners`.
    pub(in crate::manager) fn new(max: u32, owners: Arc<OwnerWords>) -> (InterfaceTable, InterfaceAllocator) {
        let table = InterfaceTable {
            records: DoublingArray::default(),
            indexes: std::array::from_fn(|_| OnceLock::new()),
            present: AtomicUsize::new(0),
            hasher: foldhash::fast::RandomState::default(),
            owners,
            max,
        };
        (table, InterfaceAllocator { made: 0 })
    }

    /// Returns the record of a VIF index. Wait-free.
    pub(in crate::manager) fn get(&self, vif: VifIndex) -> Option<&InterfaceRecord> {
        self.records.get(vif.0)?.0.get()
    }

    /// Returns the record of an interface that was taken before. Wait-free, as [`find_record`](Self::find_record).
    ///
    /// The first take makes a record before it claims an owner word. If that claim fails, the record stays, but the
    /// interface is as unknown as before: a call that fails must not be noticed by others. The owner words decide, so an
    /// interface becomes known at the very instant when its first take takes effect.
    pub(in crate::manager) fn find(&self, interface: Interface) -> Option<&InterfaceRecord> {
        self.find_record(interface).filter(|record| self.was_taken(record))
    }

    /// Returns whether a role of the interface was ever claimed.
    pub(in crate::manager) fn was_taken(&self, record: &InterfaceRecord) -> bool {
        Role::BOTH.into_iter().any(|role| self.owners.word(record.owner(role)) != Some(OwnerWord::FIRST))
    }

    /// Returns the record of an interface, taken or not. Wait-free: at most as many steps as the index has places, few on
    /// average.
    pub(in crate::manager) fn find_record(&self, interface: Interface) -> Option<&InterfaceRecord> {
        // SeqCst, paired with the store in `make` that puts a larger index in place: the index is complete by then.
        let index = self.indexes[self.present.load(Ordering::SeqCst)].get()?;
        for at in self.probe(interface, index.len()) {
            // SeqCst, paired with the store in `insert`: the record is complete by then. SeqCst on both sides, because an
            // interface taken by one thread must be known to another thread that does not see the taking otherwise.
            match index[at].load(Ordering::SeqCst) {
                0 => return None,
                n => match self.get(VifIndex(n - 1)) {
                    Some(record) if record.interface == interface => return Some(record),
                    _ => {}
                },
            }
        }
        None
    }

    /// Returns the places where an interface may be in an index of `len` places, a power of two.
    fn probe(&self, interface: Interface, len: usize) -> impl Iterator<Item = usize> + use<> {
        let start = self.hasher.hash_one(interface) as usize;
        (0..len).map(move |step| start.wrapping_add(step) & (len - 1))
    }

    /// Returns every record made so far, by number.
    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = &InterfaceRecord> {
        (0..self.max).map_while(|n| self.get(VifIndex(n)))
    }

    /// Makes the record of an interface that has none. `owners` allocates its two owner words.
    pub(in crate::manager) fn make(
        &self,
        allocator: &mut InterfaceAllocator,
        interface: Interface,
        owners: impl FnOnce() -> Result<[ResourceId; 2], NewResourceError>,
    ) -> Result<&InterfaceRecord, NewResourceError> {
        let full = NewResourceError::Full { max: self.max };
        let number = allocator.made;
        if number >= self.max {
            return Err(full);
        }
        let place = self
            .records
            .ensure(number, Pages::Small, || ())
            .map_err(|NoMemory| NewResourceError::NoMemory)?;
        // Everything that can be refused comes before the record. The owner words, which stay, come last.
        let (present, index) = self.index_for(number as usize + 1)?;
        let [routing, igmp] = owners()?;
        let record = place.0.get_or_init(|| InterfaceRecord {
            interface,
            vif: VifIndex(number),
            routing,
            igmp,
            // Entries may be waiting for this interface: the thread that takes it first sweeps.
            in_use: AtomicBool::new(true),
            upcalls: UpcallQuota::default(),
        });
        allocator.made += 1;
        faults::point(points::INTERFACE_UNLISTED);
        self.insert(index, record);
        self.present.store(present, Ordering::SeqCst);
        Ok(record)
    }

    /// Returns the index for the `count`th record, with every other record in it, and its position.
    fn index_for(&self, count: usize) -> Result<(usize, &[AtomicU32]), NewResourceError> {
        let mut present = self.present.load(Ordering::SeqCst);
        let len = FIRST_INDEX << present;
        if self.indexes[present].get().is_some() && count * 2 > len {
            present += 1;
        }
        let index = get_or_make(&self.indexes[present], || {
            let places = memory::slice(FIRST_INDEX << present, std::iter::repeat_with(|| AtomicU32::new(0)))?;
            self.iter().for_each(|record| self.insert(&places, record));
            Ok(places)
        })?;
        Ok((present, index))
    }

    fn insert(&self, index: &[AtomicU32], record: &InterfaceRecord) {
        let free = |at: &usize| index[*at].load(Ordering::SeqCst) == 0;
        if let Some(at) = self.probe(record.interface, index.len()).find(free) {
            index[at].store(record.vif.0 + 1, Ordering::SeqCst);
        }
    }
}

/// Returns the value of a cell, making it if there is none. Only the holder of the [`InterfaceAllocator`] calls it.
fn get_or_make<T>(
    cell: &OnceLock<T>,
    make: impl FnOnce() -> Result<T, NoMemory>,
) -> Result<&T, NewResourceError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let new = make().map_err(|NoMemory| NewResourceError::NoMemory)?;
    Ok(cell.get_or_init(|| new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::OwnershipTable;

    /// A record whose first take failed is no trace of that take.
    #[test]
    fn an_interface_is_unknown_until_a_claim_takes_effect() {
        let owners = OwnershipTable::with_limit(1).unwrap();
        let client = owners.insert(()).unwrap();
        let (table, mut allocator) = InterfaceTable::new(1, owners.owners().clone());
        let interface = Interface::v4(1);
        let record = table.make(&mut allocator, interface, || owners.new_resource_pair()).unwrap();
        assert!(table.find(interface).is_none() && table.find_record(interface).is_some());
        owners.claim(client, record.igmp).unwrap();
        assert!(table.find(interface).is_some());
        owners.release(client, record.igmp).unwrap();
        assert!(table.find(interface).is_some(), "known from then on");
    }

    #[test]
    fn every_interface_is_found_through_many_growths() {
        let owners = OwnershipTable::<()>::with_limit(1).unwrap();
        let (table, mut allocator) = InterfaceTable::new(5000, owners.owners().clone());
        for n in 0..5000 {
            let interface = Interface::v4(n * 7);
            assert!(table.find_record(interface).is_none());
            let made = table.make(&mut allocator, interface, || owners.new_resource_pair()).unwrap();
            assert_eq!(made.vif, VifIndex(n));
        }
        for n in 0..5000 {
            assert_eq!(table.find_record(Interface::v4(n * 7)).unwrap().vif, VifIndex(n));
            assert_eq!(table.get(VifIndex(n)).unwrap().interface, Interface::v4(n * 7));
            assert!(table.find_record(Interface::v6(n * 7)).is_none());
        }
        let refused = table.make(&mut allocator, Interface::v4(1), || owners.new_resource_pair());
        assert!(matches!(refused, Err(NewResourceError::Full { max: 5000 })));
        assert!(table.get(VifIndex(5000)).is_none());
        assert!(table.get(VifIndex(u32::MAX)).is_none());
        assert_eq!(table.iter().count(), 5000);
    }
}
