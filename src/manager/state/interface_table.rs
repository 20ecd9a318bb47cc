//! [`InterfaceTable`]: the interfaces that the manager knows, by number and by name. Look-ups never wait.
//!
//! Places lie in segments that double in size and never move ([`super::interface_record`]). The [`NameIndex`] finds them by the
//! name that they have. The holder of the [`InterfaceAllocator`] is the only writer.
//!
//! A place that is owned in no role, and mentioned by nothing, is given to another interface when there is no other room:
//! [`InterfaceTable::unowned`] finds such places, [`vacate`](InterfaceTable::vacate) ends the name, unless the interface is
//! taken meanwhile, and [`rename`](InterfaceTable::rename) gives the place the other one.

use super::Role;
use super::interface_record::{InterfaceRecord, Place};
use super::name_index::NameIndex;
use crate::faults;
use crate::forwarding::VifIndex;
use crate::handle::{NewResourceError, OwnerWord, OwnerWords, ResourceId};
use crate::manager::Interface;
use crate::manager::points;
use crate::memory::NoMemory;
use crate::segment::{Element, Pages};
use crate::segmented_array::DoublingArray;
use crate::sync::{Arc, OnceLock};
use std::hash::BuildHasher;

const FIRST_SEGMENT: u32 = 16;

/// A place, or where one will be.
struct Cell(OnceLock<Place>);

// SAFETY: `ZEROED` is false: cells are made one by one.
unsafe impl Element for Cell {
    const ZEROED: bool = false;

    fn empty() -> Self {
        Cell(OnceLock::new())
    }
}

/// The interfaces that the manager knows, by number and by name.
pub(in crate::manager) struct InterfaceTable {
    places: DoublingArray<Cell, FIRST_SEGMENT>,
    index: NameIndex,
    hasher: foldhash::fast::RandomState,
    /// The owner words of the places.
    owners: Arc<OwnerWords>,
    max: u32,
}

/// The right to name places.
pub(in crate::manager) struct InterfaceAllocator {
    /// The number of places made.
    made: u32,
    /// The number of places with generations that are used up.
    exhausted: u32,
    /// The place after the one that was last given to another interface.
    hand: u32,
}

impl InterfaceTable {
    /// Makes a table of at most `max` interfaces at a time, with owner words of `owners`.
    pub(in crate::manager) fn new(max: u32, owners: Arc<OwnerWords>) -> (InterfaceTable, InterfaceAllocator) {
        let table = InterfaceTable {
            places: DoublingArray::default(),
            index: NameIndex::default(),
            hasher: foldhash::fast::RandomState::default(),
            owners,
            max,
        };
        (table, InterfaceAllocator { made: 0, exhausted: 0, hand: 0 })
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(number)?.0.get()
    }

    fn hash(&self, interface: Interface) -> usize {
        self.hasher.hash_one(interface) as usize
    }

    /// Returns the record that has a VIF index. Wait-free.
    pub(in crate::manager) fn get(&self, vif: VifIndex) -> Option<InterfaceRecord<'_>> {
        self.place(vif.place())?.record().filter(|record| record.vif == vif)
    }

    /// Returns the record of an interface that was taken before. Lock-free, as [`find_record`](Self::find_record).
    ///
    /// The first take makes a record before it claims an owner word. If that claim fails, the record stays, but the
    /// interface is as unknown as before: a call that fails must not be noticed by others. The owner words decide, so an
    /// interface becomes known at the very instant when its first take takes effect.
    pub(in crate::manager) fn find(&self, interface: Interface) -> Option<InterfaceRecord<'_>> {
        self.find_record(interface).filter(|record| self.was_taken(record))
    }

    /// Returns whether a role of the interface was ever claimed.
    pub(in crate::manager) fn was_taken(&self, record: &InterfaceRecord<'_>) -> bool {
        record.was_taken(&self.owners)
    }

    /// Returns the record of an interface, taken or not. Lock-free: starts over only when another interface has lost its
    /// place.
    pub(in crate::manager) fn find_record(&self, interface: Interface) -> Option<InterfaceRecord<'_>> {
        let matches = |number| self.place(number)?.record().filter(|record| record.interface == interface);
        self.index.find(self.hash(interface), matches)
    }

    /// Returns a number that grows when an interface loses its place, after it is not found any more. Wait-free.
    pub(in crate::manager) fn version(&self) -> u64 {
        self.index.version()
    }

    /// Returns every record, in the order of places.
    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = InterfaceRecord<'_>> {
        (0..VifIndex::PLACES).map_while(|number| self.place(number)).filter_map(Place::record)
    }

    /// Makes the record of an interface that has none, in a new place. `owners` allocates its two owner words.
    ///
    /// # Errors
    /// [`NewResourceError::Full`] when there are as many places as there may be.
    pub(in crate::manager) fn make(
        &self,
        allocator: &mut InterfaceAllocator,
        interface: Interface,
        owners: impl FnOnce() -> Result<[ResourceId; 2], NewResourceError>,
    ) -> Result<InterfaceRecord<'_>, NewResourceError> {
        let no_memory = |NoMemory| NewResourceError::NoMemory;
        let full = NewResourceError::Full { max: self.max };
        let number = allocator.made;
        let named = allocator.made - allocator.exhausted;
        if named >= self.max || number >= VifIndex::PLACES {
            return Err(full);
        }
        let cell = self.places.ensure(number, Pages::Small, || ()).map_err(no_memory)?;
        // Everything that can be refused comes before the record. The owner words, which stay, come last.
        let listed = self.iter().map(|record| (record.vif.place(), self.hash(record.interface)));
        let room = self.index.reserve(named as usize, listed).map_err(no_memory)?;
        let owners = owners()?;
        let place = cell.0.get_or_init(|| Place::new(number, interface, owners));
        allocator.made += 1;
        faults::point(points::INTERFACE_UNLISTED);
        room.list(number, self.hash(interface));
        place.record().ok_or(full)
    }

    /// Returns the owner words (routing, IGMP) of a record.
    pub(in crate::manager) fn words(&self, record: &InterfaceRecord<'_>) -> [OwnerWord; 2] {
        // Never the other word: the ids were issued.
        Role::BOTH.map(|role| self.owners.word(record.owner(role)).unwrap_or(OwnerWord::FIRST))
    }

    /// Returns every record once with its owner words, beginning after the place that was last given to another interface.
    pub(in crate::manager) fn beginning_at_hand(
        &self,
        allocator: &InterfaceAllocator,
    ) -> impl Iterator<Item = (InterfaceRecord<'_>, [OwnerWord; 2])> + use<'_> {
        let InterfaceAllocator { made, hand, .. } = *allocator;
        let records = (hand..made).chain(0..hand).filter_map(|number| self.place(number)?.record());
        records.map(|record| (record, self.words(&record)))
    }

    /// Ends the name of a place with owner words that read `free`, if they still do when its takes are held up, and if no
    /// upcall is charged to it. Returns whether it did. The caller then has to [`rename`](Self::rename) it, before it gives the
    /// allocator back.
    pub(in crate::manager) fn vacate(
        &self,
        _: &mut InterfaceAllocator,
        record: &InterfaceRecord<'_>,
        free: [OwnerWord; 2],
        touch: impl Fn(ResourceId, OwnerWord) -> bool,
    ) -> bool {
        record.place().mark_leaving();
        faults::point(points::INTERFACE_LEAVING);
        // The IGMP word first: a stamp of IGMP's ownership includes the routing word.
        let left = record.upcalls().is_unused()
            && touch(record.igmp, free[Role::Igmp as usize])
            && touch(record.routing, free[Role::Routing as usize]);
        if !left {
            record.place().stay();
        }
        left
    }

    /// Gives a vacated place to another interface. Returns its record; `None` if the place has had as many names as it can
    /// have: it is not used any more, and does not count.
    pub(in crate::manager) fn rename(
        &self,
        allocator: &mut InterfaceAllocator,
        record: &InterfaceRecord<'_>,
        interface: Interface,
    ) -> Option<InterfaceRecord<'_>> {
        let (number, generation) = (record.vif.place(), record.vif.generation() + 1);
        let hash = |number| {
            let record = self.place(number).and_then(Place::record);
            record.map_or(0, |record| self.hash(record.interface))
        };
        self.index.remove(number, hash);
        let place = self.place(number)?;
        place.unname();
        allocator.hand = number + 1;
        if VifIndex::new(number, generation).is_none() {
            allocator.exhausted += 1;
            return None;
        }
        place.name(interface, generation, self.words(record));
        // No memory is needed: the other name has just left.
        let named = (allocator.made - allocator.exhausted) as usize;
        let room = self.index.reserve(named.saturating_sub(1), std::iter::empty()).ok()?;
        room.list(number, self.hash(interface));
        place.record()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::{Handle, OwnershipTable};

    struct Scene {
        owners: OwnershipTable<()>,
        client: Handle,
        table: InterfaceTable,
        allocator: InterfaceAllocator,
    }

    impl Scene {
        fn new(max: u32) -> Scene {
            let owners = OwnershipTable::with_limit(1).unwrap();
            let client = owners.insert(()).unwrap();
            let (table, allocator) = InterfaceTable::new(max, owners.owners().clone());
            Scene { owners, client, table, allocator }
        }

        fn make(&mut self, interface: Interface) -> Result<VifIndex, NewResourceError> {
            let owners = || self.owners.new_resource_pair();
            self.table.make(&mut self.allocator, interface, owners).map(|record| record.vif)
        }

        /// Ends the name of an interface's place.
        fn vacate(&mut self, interface: Interface, free: [OwnerWord; 2]) -> bool {
            let record = self.table.find_record(interface).unwrap();
            let touch = |id, word| self.owners.touch(id, word);
            self.table.vacate(&mut self.allocator, &record, free, touch)
        }

        /// Gives the place of an interface to another one.
        fn reuse(&mut self, former: Interface, interface: Interface) -> Option<VifIndex> {
            let free = self.table.words(&self.table.find_record(former).unwrap());
            assert!(self.vacate(former, free));
            let record = self.table.find_record(former).unwrap();
            self.table.rename(&mut self.allocator, &record, interface).map(|record| record.vif)
        }
    }

    /// A record is no trace of a first take that failed.
    #[test]
    fn an_interface_is_unknown_until_a_claim_takes_effect() {
        let mut scene = Scene::new(1);
        let interface = Interface::v4(1);
        scene.make(interface).unwrap();
        for _ in 0..2 {
            let record = scene.table.find_record(interface).unwrap();
            let id = record.igmp;
            assert!(scene.table.find(interface).is_none());
            scene.owners.claim(scene.client, id).unwrap();
            assert!(scene.table.find(interface).is_some());
            scene.owners.release(scene.client, id).unwrap();
            assert!(scene.table.find(interface).is_some(), "known from then on");
            scene.reuse(interface, Interface::v6(1)).unwrap();
            scene.reuse(Interface::v6(1), interface).unwrap();
        }
    }

    #[test]
    fn every_interface_is_found_through_many_growths() {
        let mut scene = Scene::new(5000);
        for n in 0..5000 {
            let interface = Interface::v4(n * 7);
            assert!(scene.table.find_record(interface).is_none());
            assert_eq!(scene.make(interface).unwrap(), VifIndex(n));
        }
        let table = &scene.table;
        for n in 0..5000 {
            assert_eq!(table.find_record(Interface::v4(n * 7)).unwrap().vif, VifIndex(n));
            assert_eq!(table.get(VifIndex(n)).unwrap().interface, Interface::v4(n * 7));
            assert!(table.find_record(Interface::v6(n * 7)).is_none());
        }
        assert!(table.get(VifIndex(5000)).is_none());
        assert!(table.get(VifIndex::NONE).is_none());
        assert_eq!(table.iter().count(), 5000);
        let refused = scene.make(Interface::v4(1));
        assert_eq!(refused, Err(NewResourceError::Full { max: 5000 }));
    }

    #[test]
    fn the_number_of_a_former_name_names_nothing() {
        let mut scene = Scene::new(1);
        let [a, b] = [1, 2].map(Interface::v4);
        let former = scene.make(a).unwrap();
        let held = scene.table.find_record(a).unwrap().fresh();
        let later = scene.reuse(a, b).unwrap();
        assert_eq!((later.place(), later.generation()), (former.place(), 1));
        assert!(scene.table.get(former).is_none() && scene.table.find_record(a).is_none());
        assert_eq!(scene.table.find_record(b).unwrap().vif, later);
        assert_ne!(scene.table.words(&scene.table.get(later).unwrap()), held, "no word of before is current");
    }

    #[test]
    fn a_place_that_is_taken_or_charged_keeps_its_name() {
        let mut scene = Scene::new(1);
        let a = Interface::v4(1);
        let vif = scene.make(a).unwrap();
        let free = scene.table.words(&scene.table.get(vif).unwrap());
        let quota = scene.table.get(vif).unwrap().upcalls();
        assert!(quota.queued.reserve(1));
        assert!(!scene.vacate(a, free));
        scene.table.get(vif).unwrap().upcalls().queued.give_back();
        scene.table.get(vif).unwrap().upcalls().enter();
        assert!(!scene.vacate(a, free));
        scene.table.get(vif).unwrap().upcalls().leave();
        for role in Role::BOTH {
            let record = scene.table.get(vif).unwrap();
            let (id, free) = (record.owner(role), scene.table.words(&record));
            assert!(record.is_staying());
            scene.owners.claim(scene.client, id).unwrap();
            assert!(!scene.vacate(a, free));
            assert!(scene.table.get(vif).unwrap().is_staying());
            scene.owners.release(scene.client, id).unwrap();
        }
        scene.reuse(a, Interface::v4(2)).unwrap();
    }

    #[test]
    fn a_place_without_further_numbers_makes_room_for_another() {
        let mut scene = Scene::new(1);
        let mut now = Interface::v4(0);
        scene.make(now).unwrap();
        for n in 1..VifIndex::GENERATIONS {
            assert_eq!(scene.reuse(now, Interface::v4(n)).unwrap().generation(), n);
            now = Interface::v4(n);
        }
        assert_eq!(scene.reuse(now, Interface::v6(1)), None);
        assert!(scene.table.find_record(now).is_none());
        assert_eq!(scene.table.iter().count(), 0);
        assert_eq!(scene.make(Interface::v6(1)).unwrap(), VifIndex(1));
        assert!(scene.make(now).is_err());
    }
}
