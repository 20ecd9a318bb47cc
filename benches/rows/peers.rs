//! The handle table and its peers behind one trait, so that each row's work is written once.
//!
//! Their promises differ. `slotmap` is not concurrent and is used behind a lock. `papaya`, `scc` and `dashmap` are
//! maps, and take the value as the key. `sharded-slab`, `idr-ebr` and `concurrent-slotmap` tag generations too, but
//! with fewer bits, and start again when these are exhausted.

use mgm::handle::{Handle, HandleTable, OwnershipTable, Reader};
use parking_lot::{Mutex, RwLock};
use slotmap::{DefaultKey, SlotMap};

/// A concurrent table of numbers.
pub(crate) trait Table: Sync + Sized {
    const NAME: &'static str;
    type Key: Copy + Send + Sync;
    /// The reader of a thread.
    type Reader<'t>
    where
        Self: 't;

    fn new() -> Self;
    fn insert(&self, value: u64) -> Self::Key;
    fn remove(&self, key: Self::Key) -> bool;
    fn reader(&self) -> Self::Reader<'_>;
    /// Returns the value of a key in a look-up of its own.
    fn get(reader: &mut Self::Reader<'_>, key: Self::Key) -> Option<u64>;
    /// Returns the sum of the values, under one pin where the table has pins.
    fn sum(reader: &mut Self::Reader<'_>, keys: &[Self::Key]) -> u64 {
        keys.iter().map(|key| Self::get(reader, *key).unwrap_or(0)).fold(0, u64::wrapping_add)
    }

    /// Makes a table with the values 0 to `n` - 1, and returns it with their keys.
    fn filled(n: usize) -> (Self, Vec<Self::Key>) {
        let table = Self::new();
        let keys = (0..n as u64).map(|value| table.insert(value)).collect();
        (table, keys)
    }
}

pub(crate) const MGM: &str = "mgm";
pub(crate) const SHARDED_SLAB: &str = "sharded-slab";
pub(crate) const SLOTMAP: &str = "slotmap in a Mutex";

impl Table for HandleTable<u64> {
    const NAME: &'static str = MGM;
    type Key = Handle;
    type Reader<'t> = Reader<&'t HandleTable<u64>>;

    fn new() -> Self {
        HandleTable::new()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> Handle {
        HandleTable::insert(self, value).expect("room")
    }
    #[inline(always)]
    fn remove(&self, key: Handle) -> bool {
        HandleTable::remove(self, key).is_ok()
    }
    fn reader(&self) -> Reader<&'_ HandleTable<u64>> {
        HandleTable::reader(self)
    }
    #[inline(always)]
    fn get(reader: &mut Reader<&'_ HandleTable<u64>>, key: Handle) -> Option<u64> {
        reader.get(key).copied()
    }
    #[inline(always)]
    fn sum(reader: &mut Reader<&'_ HandleTable<u64>>, keys: &[Handle]) -> u64 {
        let burst = reader.pin();
        keys.iter().map(|key| burst.get(*key).copied().unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

/// The table of objects that can own resources.
pub(crate) struct WithClaims(OwnershipTable<u64>);

impl Table for WithClaims {
    const NAME: &'static str = MGM;
    type Key = Handle;
    type Reader<'t> = Reader<&'t OwnershipTable<u64>>;

    fn new() -> Self {
        WithClaims(OwnershipTable::with_limit((1 << 20) - 2).expect("a capacity"))
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> Handle {
        self.0.insert(value).expect("room")
    }
    #[inline(always)]
    fn remove(&self, key: Handle) -> bool {
        self.0.check_and_retire(key).is_ok()
    }
    fn reader(&self) -> Self::Reader<'_> {
        self.0.reader()
    }
    #[inline(always)]
    fn get(reader: &mut Self::Reader<'_>, key: Handle) -> Option<u64> {
        reader.get(key).copied()
    }
}

/// The handle table with a guard for each look-up, for callers without a Reader.
pub(crate) struct Guarded(HandleTable<u64>);

impl Table for Guarded {
    const NAME: &'static str = "mgm, a guard each";
    type Key = Handle;
    type Reader<'t> = &'t Guarded;

    fn new() -> Self {
        Guarded(HandleTable::new())
    }
    fn insert(&self, value: u64) -> Handle {
        Table::insert(&self.0, value)
    }
    fn remove(&self, key: Handle) -> bool {
        Table::remove(&self.0, key)
    }
    fn reader(&self) -> &Guarded {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Guarded, key: Handle) -> Option<u64> {
        reader.0.get(key).as_deref().copied()
    }
}

impl Table for sharded_slab::Slab<u64> {
    const NAME: &'static str = SHARDED_SLAB;
    type Key = usize;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        sharded_slab::Slab::new()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> usize {
        self.insert(value).expect("room")
    }
    #[inline(always)]
    fn remove(&self, key: usize) -> bool {
        self.remove(key)
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: usize) -> Option<u64> {
        sharded_slab::Slab::get(reader, key).as_deref().copied()
    }
}

/// slotmap behind a lock that readers share, for the rows that read.
pub(crate) struct SharedSlotMap(RwLock<SlotMap<DefaultKey, u64>>);

impl Table for SharedSlotMap {
    const NAME: &'static str = "slotmap in a RwLock";
    type Key = DefaultKey;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        SharedSlotMap(RwLock::default())
    }
    fn insert(&self, value: u64) -> DefaultKey {
        self.0.write().insert(value)
    }
    fn remove(&self, key: DefaultKey) -> bool {
        self.0.write().remove(key).is_some()
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: DefaultKey) -> Option<u64> {
        reader.0.read().get(key).copied()
    }
    #[inline(always)]
    fn sum(reader: &mut &Self, keys: &[DefaultKey]) -> u64 {
        let map = reader.0.read();
        keys.iter().map(|key| map.get(*key).copied().unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

/// slotmap behind a mutex, for the rows that write.
pub(crate) struct LockedSlotMap(Mutex<SlotMap<DefaultKey, u64>>);

impl Table for LockedSlotMap {
    const NAME: &'static str = SLOTMAP;
    type Key = DefaultKey;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        LockedSlotMap(Mutex::default())
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> DefaultKey {
        self.0.lock().insert(value)
    }
    #[inline(always)]
    fn remove(&self, key: DefaultKey) -> bool {
        self.0.lock().remove(key).is_some()
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: DefaultKey) -> Option<u64> {
        reader.0.lock().get(key).copied()
    }
}

impl Table for idr_ebr::Idr<u64> {
    const NAME: &'static str = "idr-ebr";
    type Key = idr_ebr::Key;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        idr_ebr::Idr::default()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> idr_ebr::Key {
        self.insert(value).expect("room")
    }
    #[inline(always)]
    fn remove(&self, key: idr_ebr::Key) -> bool {
        self.remove(key)
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: idr_ebr::Key) -> Option<u64> {
        let guard = idr_ebr::EbrGuard::new();
        idr_ebr::Idr::get(reader, key, &guard).as_deref().copied()
    }
    #[inline(always)]
    fn sum(reader: &mut &Self, keys: &[idr_ebr::Key]) -> u64 {
        let guard = idr_ebr::EbrGuard::new();
        let value = |key: &idr_ebr::Key| idr_ebr::Idr::get(reader, *key, &guard).as_deref().copied();
        keys.iter().map(|key| value(key).unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

type Slots = concurrent_slotmap::SlotMap<concurrent_slotmap::SlotId, u64>;

impl Table for Slots {
    const NAME: &'static str = "concurrent-slotmap";
    type Key = concurrent_slotmap::SlotId;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        concurrent_slotmap::SlotMap::new(1 << 21)
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> concurrent_slotmap::SlotId {
        self.insert(value, &self.pin())
    }
    #[inline(always)]
    fn remove(&self, key: concurrent_slotmap::SlotId) -> bool {
        self.remove(key, &self.pin()).is_some()
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: concurrent_slotmap::SlotId) -> Option<u64> {
        Slots::get(reader, key, &reader.pin()).copied()
    }
    #[inline(always)]
    fn sum(reader: &mut &Self, keys: &[concurrent_slotmap::SlotId]) -> u64 {
        let guard = reader.pin();
        let value = |key: &concurrent_slotmap::SlotId| Slots::get(reader, *key, &guard).copied();
        keys.iter().map(|key| value(key).unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

impl Table for papaya::HashMap<u64, u64> {
    const NAME: &'static str = "papaya";
    type Key = u64;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        papaya::HashMap::new()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> u64 {
        self.pin().insert(value, value);
        value
    }
    #[inline(always)]
    fn remove(&self, key: u64) -> bool {
        self.pin().remove(&key).is_some()
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: u64) -> Option<u64> {
        reader.pin().get(&key).copied()
    }
    #[inline(always)]
    fn sum(reader: &mut &Self, keys: &[u64]) -> u64 {
        let map = reader.pin();
        keys.iter().map(|key| map.get(key).copied().unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

impl Table for scc::HashIndex<u64, u64> {
    const NAME: &'static str = "scc::HashIndex";
    type Key = u64;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        scc::HashIndex::new()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> u64 {
        self.insert_sync(value, value).expect("a new key");
        value
    }
    #[inline(always)]
    fn remove(&self, key: u64) -> bool {
        self.remove_sync(&key)
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: u64) -> Option<u64> {
        reader.peek_with(&key, |_, value| *value)
    }
    #[inline(always)]
    fn sum(reader: &mut &Self, keys: &[u64]) -> u64 {
        let guard = scc::Guard::new();
        let value = |key: &u64| reader.peek(key, &guard).copied();
        keys.iter().map(|key| value(key).unwrap_or(0)).fold(0, u64::wrapping_add)
    }
}

impl Table for dashmap::DashMap<u64, u64> {
    const NAME: &'static str = "dashmap";
    type Key = u64;
    type Reader<'t> = &'t Self;

    fn new() -> Self {
        dashmap::DashMap::new()
    }
    #[inline(always)]
    fn insert(&self, value: u64) -> u64 {
        self.insert(value, value);
        value
    }
    #[inline(always)]
    fn remove(&self, key: u64) -> bool {
        self.remove(&key).is_some()
    }
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn get(reader: &mut &Self, key: u64) -> Option<u64> {
        dashmap::DashMap::get(reader, &key).as_deref().copied()
    }
}
