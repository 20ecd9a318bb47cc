//! Enumerations of groups: what was joined on the whole router at the instant when one was started.

use super::cursor::Cursor;
use super::walks::try_steady;
use super::{EnumerationError, GroupManager, Membership};
use crate::handle::{Full, Handle, HandleTable, Kind, Plain, Shape};
use crate::memory::{self, NoMemory};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Which groups are enumerated (`MGM_ENUM_TYPES` of the Windows SDK).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumerationKind {
    /// Each group that somebody has joined, once, from whichever sources: (\*,g). Where somebody has joined everything,
    /// (\*,\*) too.
    AnySource,
    /// Each of (s,g), (\*,g) and (\*,\*) that somebody has joined, once.
    AllSources,
}

/// A part of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPage {
    /// What somebody has joined.
    pub groups: Vec<Membership>,
    /// Whether there is more that nobody was given yet.
    pub more: bool,
}

/// A snapshot. Nobody's memberships keep it up to date; each record is given out once.
struct Enumeration {
    owner: Handle,
    groups: Vec<Membership>,
    /// How many were given out.
    given: Cursor,
}

/// The enumerations that are open.
pub(super) struct Enumerations {
    table: HandleTable<Enumeration, Plain>,
    /// How many are open or about to be; never more than `most`.
    open: AtomicU32,
    most: u32,
}

/// Handles of enumerations are of a kind of their own: a client's handle is stale among them, and the other way round.
const KIND: Kind = Kind::new(2).expect("not 0");

/// So many slots beside those in use, for enumerations that have ended and that a reader holds for the moment.
const SPARE_SLOTS: u32 = 64;

/// How often a start lets others run while it waits for such a reader, before it rests in between.
const TURNS: u32 = 100;
/// How often it rests, and for how long each time, before it gives up: some seconds in all. A reader that has lost its
/// processor to others needs some time to get it back.
const RESTS: u32 = 3_000;
const REST: Duration = Duration::from_millis(1);

impl Enumerations {
    /// At least one and at most 2^20 at once.
    pub(super) fn new(most: u32) -> Enumerations {
        let shape = Shape { kind: KIND, capacity: most + SPARE_SLOTS };
        let table = HandleTable::with_shape(shape).expect("fewer than 2^24 slots");
        Enumerations { table, open: AtomicU32::new(0), most }
    }

    /// Counts one more. Relaxed, here and below: only the number itself has to be right.
    fn reserve(&self) -> bool {
        let more = |open: u32| (open < self.most).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Enters one that room is reserved for. Those that have ended keep their slots while a reader that was there before
    /// has not moved on, which may take turns of the scheduler: that is waited for, though not for ever.
    fn enter(&self, mut enumeration: Enumeration) -> Option<Handle> {
        for turn in 0..TURNS + RESTS {
            match self.table.insert(enumeration) {
                Ok(handle) => return Some(handle),
                Err(Full(back)) => enumeration = back,
            }
            if turn < TURNS { std::thread::yield_now() } else { std::thread::sleep(REST) }
        }
        None
    }

    /// Ends one; whether it was open.
    fn end(&self, handle: Handle) -> bool {
        let ended = self.table.remove(handle).is_ok();
        if ended {
            self.open.fetch_sub(1, Ordering::Relaxed);
            // A snapshot may be large: it is not kept until somebody happens to start another.
            self.table.reclaim();
        }
        ended
    }

    /// Ends those whose owner has left.
    pub(super) fn end_dead(&self, is_live: impl Fn(Handle) -> bool) {
        // Relaxed: one that is started meanwhile looks whether its owner is there after it is in the table.
        if self.open.load(Ordering::Relaxed) == 0 {
            return;
        }
        let all = self.table.iter().map(|(handle, enumeration)| (handle, enumeration.owner));
        let dead: Vec<_> = all.filter(|(_, owner)| !is_live(*owner)).map(|(handle, _)| handle).collect();
        for handle in dead {
            self.end(handle);
        }
    }
}

impl GroupManager {
    /// Starts to enumerate what is joined on the router, by whichever client on whichever interface, as it is at this
    /// instant (`MgmGroupEnumerationStart`): what a protocol needs that starts on a router where others run already.
    ///
    /// The enumeration lasts until [`end_enumeration`](Self::end_enumeration), but no longer than the client's registration.
    /// May wait for the membership lock, and up to some seconds for readers that are in the middle of another enumeration.
    ///
    /// # Errors
    /// [`EnumerationError`].
    ///
    /// ```
    /// # use mgm::manager::{StateChange, EnumerationError, EnumerationKind, GroupManager, Membership};
    /// # use mgm::handle::Handle;
    /// fn joined(manager: &GroupManager, client: Handle) -> Result<Vec<Membership>, EnumerationError> {
    ///     let enumeration = manager.enumerate_groups(client, EnumerationKind::AllSources)?;
    ///     let mut joined = Vec::new();
    ///     loop {
    ///         let page = manager.next_groups(enumeration, 100)?;
    ///         joined.extend(page.groups);
    ///         if !page.more {
    ///             break;
    ///         }
    ///     }
    ///     manager.end_enumeration(enumeration)?;
    ///     Ok(joined)
    /// }
    /// ```
    pub fn enumerate_groups(
        &self,
        client: Handle,
        kind: EnumerationKind,
    ) -> Result<Handle, EnumerationError> {
        let is_live = |client| self.clients.table.validate(client);
        if !is_live(client) {
            return Err(EnumerationError::Stale);
        }
        let enumerations = &self.enumerations;
        if !enumerations.reserve() {
            enumerations.end_dead(is_live);
            if !enumerations.reserve() {
                return Err(EnumerationError::TooMany(enumerations.most));
            }
        }
        let Ok(groups) = self.joined(kind) else {
            enumerations.open.fetch_sub(1, Ordering::Relaxed);
            return Err(EnumerationError::NoMemory);
        };
        let enumeration = Enumeration { owner: client, groups, given: Cursor::default() };
        let Some(handle) = enumerations.enter(enumeration) else {
            enumerations.open.fetch_sub(1, Ordering::Relaxed);
            return Err(EnumerationError::TooMany(enumerations.most));
        };
        // Whoever deregisters looks for enumerations afterwards: if it did so before this one was in the table, the client
        // is seen to be gone here.
        if !is_live(client) {
            enumerations.end(handle);
            return Err(EnumerationError::Stale);
        }
        Ok(handle)
    }

    /// At most `most` further records of an enumeration, in no particular order (`MgmGroupEnumerationGetNext`). Each record
    /// is given out once, whichever threads ask. At the end, and behind it, the page is empty. Lock-free.
    ///
    /// # Errors
    /// [`EnumerationError::Stale`], [`EnumerationError::NoMemory`].
    pub fn next_groups(&self, enumeration: Handle, most: usize) -> Result<GroupPage, EnumerationError> {
        let page = self.enumerations.table.with(enumeration, |enumeration| {
            if !self.clients.table.validate(enumeration.owner) {
                return Err(EnumerationError::Stale);
            }
            let all = enumeration.groups.len();
            // Before anything is given out: what is given out once is not given out again.
            let mut groups = memory::vec(enumeration.given.left(all).min(most))?;
            let part = enumeration.given.take(most, all);
            let more = part.end < all;
            groups.extend_from_slice(&enumeration.groups[part]);
            Ok(GroupPage { groups, more })
        });
        page.unwrap_or(Err(EnumerationError::Stale))
    }

    /// Ends an enumeration (`MgmGroupEnumerationEnd`): its handle is stale from now on. Lock-free.
    ///
    /// # Errors
    /// [`EnumerationError::Stale`], for the second of two who end it as well.
    pub fn end_enumeration(&self, enumeration: Handle) -> Result<(), EnumerationError> {
        let owned = self.enumerations.table.with(enumeration, |enumeration| enumeration.owner);
        let live = owned.is_some_and(|owner| self.clients.table.validate(owner));
        if self.enumerations.end(enumeration) && live { Ok(()) } else { Err(EnumerationError::Stale) }
    }

    /// What is joined at one instant, each once.
    fn joined(&self, kind: EnumerationKind) -> Result<Vec<Membership>, NoMemory> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        try_steady(|| {
            let live = state.records.iter().filter(|(_, _, contribution)| contribution.stamp.holds(owners));
            let mut joined = memory::vec(state.records.len())?;
            joined.extend(live.map(|(_, membership, _)| match kind {
                EnumerationKind::AllSources => membership,
                EnumerationKind::AnySource => membership.of_any_source(),
            }));
            joined.sort_unstable();
            joined.dedup();
            Ok(joined)
        })
    }
}
