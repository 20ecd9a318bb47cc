//! The operations that both tables have, written once: [`table_methods!`] implements them over their [`RawTable`].
//!
//! [`RawTable`]: super::raw_table::RawTable

/// Implements the operations that both tables have. `$default_limit` completes a sentence about the largest limit; `$insert` and
/// `$refused` tell what an insert promises and why it is refused.
macro_rules! table_methods {
    ($Table:ident, $Layout:ty, $default_limit:literal, $insert:literal, $refused:literal) => {
        impl<T> $Table<T> {
            #[doc = concat!("Makes a table of the default kind with the largest limit: ", $default_limit, ".")]
            ///
            /// Allocates no slots yet. See [`Builder::limit`] for tables of large values.
            #[must_use]
            pub fn new() -> Self {
                Self::builder().build_largest()
            }

            /// Returns a builder, to choose limit, kind and first generation.
            pub fn builder() -> Builder<Self> {
                Builder::new()
            }

            /// Makes a table of the default kind for at most `limit` objects.
            ///
            /// # Errors
            /// [`LimitError`], as [`Builder::build`].
            pub fn with_limit(limit: u32) -> Result<Self, LimitError> {
                Self::builder().limit(limit).build()
            }

            #[doc = concat!("Inserts an object and returns its handle. ", $insert)]
            ///
            /// Allocates a segment of slots now and then, and never moves one. When no slot is free it drops the values that no
            /// reader can see any more, and tries a bounded number of times to advance the epoch to get there, yielding the
            /// processor in between. So a table with removed objects and without pinned readers has room.
            ///
            /// # Errors
            #[doc = concat!("[`InsertError`] returns the value and the reason. ", $refused)]
            ///
            /// # Panics
            /// When destructors of removed values that it ran have panicked. The object is not inserted then.
            #[inline]
            pub fn insert(&self, value: T) -> Result<Handle, InsertError<T>> {
                self.raw.insert(value)
            }

            /// Inserts the object that `make` returns. `make` receives the handle, so that the object may hold it.
            ///
            /// The handle is stale while `make` runs. It becomes live in one step, the last one, when the object is complete.
            /// If `make` panics, nothing is inserted, and a later object may get the same handle. So do not give the handle
            /// away before this call returns. Inserts into a table with ownership take turns, and `make` runs in the turn: it must
            /// not wait for an insert of another thread.
            ///
            /// # Errors
            /// [`InsertError`] returns `make`, uncalled. As [`insert`](Self::insert).
            ///
            /// The error carries the closure and everything that the closure borrows. To return it as a `Box<dyn Error>` with
            /// `?`, make the closure `move` and let it own what it uses, or replace the error by `map_err`.
            ///
            /// ```
            /// use mgm::handle::{Handle, HandleTable};
            /// struct Session {
            ///     own: Handle,
            /// }
            /// let sessions = HandleTable::new();
            /// let handle = sessions.insert_with_key(|own| Session { own }).unwrap();
            /// assert_eq!(sessions.with(handle, |session| session.own), Some(handle));
            /// ```
            pub fn insert_with_key<F: FnOnce(Handle) -> T>(&self, make: F) -> Result<Handle, InsertError<F>> {
                self.raw.insert_with_key(make)
            }

            /// Returns whether the handle names a live object of this table. Wait-free: one load and one compare.
            #[inline]
            #[must_use]
            pub fn contains(&self, handle: Handle) -> bool {
                self.raw.contains(handle)
            }

            /// Returns the object, kept readable by a [`Ref`]. Pins the thread: wait-free, except that every 128th pin of a thread
            /// tries to advance the epoch and frees up to eight of its bags, which is lock-free. The first pin of a thread
            /// allocates.
            #[inline]
            #[must_use]
            pub fn get(&self, handle: Handle) -> Option<Ref<'_, T>> {
                self.raw.get(handle)
            }

            /// Calls `f` with the object, if the handle is live.
            ///
            /// The calling thread is pinned while `f` runs. Slots that `f` frees are not used again before it returns: an insert
            /// from `f` may find the table full.
            #[inline]
            pub fn with<R>(&self, handle: Handle, f: impl FnOnce(&T) -> R) -> Option<R> {
                self.get(handle).map(|value| f(&value))
            }

            /// Makes a Reader of this table for the calling thread. [`Reader::new`] makes one that owns its pointer.
            #[must_use]
            pub fn reader(&self) -> Reader<&Self> {
                Reader::new(self)
            }

            /// Returns an iterator over the handles of live objects: every one that is live throughout the walk, and perhaps
            /// some that are not.
            pub fn keys(&self) -> Keys<'_, Self> {
                Keys::new(self)
            }

            /// Returns an iterator over the live objects and their handles: every one that is live throughout the walk, and
            /// perhaps some that are not. Each [`Ref`] pins: drop it before the next step of a long walk. Slots that are freed
            /// meanwhile are not used again before it is dropped, so an insert may find the table full.
            pub fn iter(&self) -> Iter<'_, Self> {
                Iter::new(self)
            }

            /// Returns about how many objects are live: exact when no thread inserts or removes meanwhile. An object that is kept by
            /// a [`Retired`] is not live.
            #[must_use]
            pub fn len(&self) -> usize {
                self.raw.allocator.live()
            }

            /// Returns whether about no object is live.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns how many objects the table can hold.
            #[must_use]
            pub fn limit(&self) -> u32 {
                self.raw.parameters.limit
            }

            /// Returns the kind of the table's handles.
            #[must_use]
            pub fn kind(&self) -> Kind {
                self.raw.parameters.kind
            }

            /// Returns about how many removed objects wait for readers, or for a thread to drop them.
            #[must_use]
            pub fn pending(&self) -> usize {
                self.raw.allocator.pending()
            }

            /// Returns for how long reclamation has stood still and how many pinned readers hold it back, if removed objects
            /// wait for such readers. `None` if none waits or reclamation goes on.
            ///
            /// The time counts from the first insert, removal or call of this method that found an object waiting, since the
            /// last grace period ended. A reader of any table of the process holds back the objects of all.
            #[must_use]
            pub fn standstill(&self) -> Option<Standstill> {
                self.raw.allocator.standstill()
            }

            /// Drops every removed object that no reader can see any more, with a bounded number of attempts to advance the
            /// epoch. Returns how many still wait. For programs with destructors that should not wait for the next insert.
            ///
            /// ```
            /// use std::sync::Arc;
            /// let table = mgm::handle::HandleTable::new();
            /// let object = Arc::new(());
            /// let handle = table.insert(object.clone()).unwrap();
            /// table.remove(handle).unwrap();
            /// while table.reclaim() > 0 {}
            /// assert_eq!(Arc::strong_count(&object), 1);
            /// ```
            pub fn reclaim(&self) -> usize {
                self.raw.slots().reclaim()
            }

            /// Returns the object in a slot and its handle, without pinning; `None` if no object is live there. Wait-free. For
            /// structures that publish indices of this table and know when objects are removed.
            ///
            /// # Safety
            /// The slot of the object that lives in it, if one does, does not enter limbo while this is called or the reference
            /// is used. The caller holds back every thread that could remove the object by `remove`, and every thread that could
            /// drop the [`Retired`] of the object. The object may be retired meanwhile, as long as its `Retired` is kept.
            #[must_use]
            pub unsafe fn get_unpinned(&self, index: u32) -> Option<(Handle, &T)> {
                // SAFETY: passed on.
                unsafe { self.raw.find_unpinned(index) }
            }
        }

        impl<T> Default for $Table<T> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<'t, T> IntoIterator for &'t $Table<T> {
            type Item = (Handle, Ref<'t, T>);
            type IntoIter = Iter<'t, $Table<T>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<T> std::fmt::Debug for $Table<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Table))
                    .field("kind", &self.kind().get())
                    .field("limit", &self.limit())
                    .field("len", &self.len())
                    .field("pending", &self.pending())
                    .field("standstill", &self.standstill())
                    .finish_non_exhaustive()
            }
        }

        impl<T> sealed::Table for $Table<T> {
            type Object = T;
            type Layout = $Layout;

            fn from_raw(raw: RawTable<T, $Layout>) -> Self {
                $Table { raw }
            }

            #[inline(always)]
            fn raw(&self) -> &RawTable<T, $Layout> {
                &self.raw
            }
        }

        impl<T> Table for $Table<T> {
            type Value = T;
        }
    };
}
pub(super) use table_methods;

/// A table that a [`Reader`](super::Reader) can read: [`HandleTable`](super::HandleTable) or
/// [`OwnershipTable`](super::OwnershipTable). No other type can implement it.
pub trait Table: sealed::Table<Object = Self::Value> {
    /// The type of the objects.
    type Value;
}

pub(super) mod sealed {
    use super::super::layout::Layout;
    use super::super::raw_table::RawTable;

    /// The access to a table's parts. Not reachable from other crates.
    pub trait Table: Sized {
        type Object;
        type Layout: Layout;

        fn from_raw(raw: RawTable<Self::Object, Self::Layout>) -> Self;
        fn raw(&self) -> &RawTable<Self::Object, Self::Layout>;
    }
}
