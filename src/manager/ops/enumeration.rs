//! Enumerations of groups: the groups joined on the whole router at the instant when the enumeration started.

use crate::handle::Handle;
use crate::manager::state::Enumeration;
use crate::manager::state::cursor::Cursor;
use crate::manager::{EnumerationError, EnumerationKind, GroupManager, GroupPage, Membership};
use crate::memory::{self, NoMemory};

impl GroupManager {
    /// Starts an enumeration of the groups that any client has joined on any interface, as they are at this instant
    /// (`MgmGroupEnumerationStart`). A protocol needs it that starts on a router where others run already.
    ///
    /// The enumeration lasts until [`end_enumeration`](Self::end_enumeration), but no longer than the client's registration.
    /// May wait for the membership lock, and up to some seconds for threads that are reading another enumeration.
    ///
    /// # Errors
    /// [`EnumerationError`].
    ///
    /// ```
    /// # use mgm::manager::{EnumerationError, EnumerationKind, GroupManager, Handle, Membership};
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
        let is_live = |client| self.clients.validate(client);
        if !is_live(client) {
            return Err(EnumerationError::Stale);
        }
        let enumerations = &self.enumerations;
        let Ok(groups) = self.joined(kind) else { return Err(EnumerationError::NoMemory) };
        // Until it is decided whether this enumeration is open, no other one is refused because of it.
        let _opening = enumerations.opening.lock();
        if !enumerations.reserve() {
            enumerations.end_dead(is_live);
            if !enumerations.reserve_soon() {
                return Err(EnumerationError::TooMany(enumerations.max));
            }
        }
        let enumeration = Enumeration { owner: client, groups, cursor: Cursor::default() };
        let Some(handle) = enumerations.insert(enumeration) else {
            enumerations.give_back();
            return Err(EnumerationError::TooMany(enumerations.max));
        };
        // A deregistration looks for enumerations after its effect. If it looked before this one was in the table, its effect
        // is visible here.
        if !is_live(client) {
            enumerations.end(handle);
            return Err(EnumerationError::Stale);
        }
        Ok(handle)
    }

    /// Returns at most `max` further records of an enumeration, in no particular order (`MgmGroupEnumerationGetNext`). Each
    /// record is returned once, whichever threads ask. At the end and after it the page is empty. Lock-free.
    ///
    /// # Errors
    /// [`EnumerationError::Stale`], [`EnumerationError::NoMemory`].
    pub fn next_groups(&self, enumeration: Handle, max: usize) -> Result<GroupPage, EnumerationError> {
        let page = self.enumerations.table.with(enumeration, |enumeration| {
            if !self.clients.validate(enumeration.owner) {
                return Err(EnumerationError::Stale);
            }
            let len = enumeration.groups.len();
            // Allocates before the cursor moves: records behind the cursor are never returned again.
            let mut groups = memory::vec(enumeration.cursor.left(len).min(max))?;
            let part = enumeration.cursor.take(max, len);
            let more = part.end < len;
            groups.extend_from_slice(&enumeration.groups[part]);
            Ok(GroupPage { groups, more })
        });
        page.unwrap_or(Err(EnumerationError::Stale))
    }

    /// Ends an enumeration (`MgmGroupEnumerationEnd`): its handle is stale from now on. Lock-free.
    ///
    /// # Errors
    /// [`EnumerationError::Stale`], also for the second of two calls that end it.
    pub fn end_enumeration(&self, enumeration: Handle) -> Result<(), EnumerationError> {
        let owner = self.enumerations.table.with(enumeration, |enumeration| enumeration.owner);
        let live = owner.is_some_and(|owner| self.clients.validate(owner));
        if self.enumerations.end(enumeration) && live { Ok(()) } else { Err(EnumerationError::Stale) }
    }

    /// Returns the number of open enumerations. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn open_enumerations(&self) -> u32 {
        self.enumerations.open()
    }

    /// Returns the joined memberships at one instant, each once.
    fn joined(&self, kind: EnumerationKind) -> Result<Vec<Membership>, NoMemory> {
        let state = self.state.lock();
        let mut joined = memory::vec(state.members.len())?;
        let snapshot = self.snapshot(state.members.interfaces());
        let live =
            state.members.iter().filter(|(key, _, member)| snapshot.is_current(key.vif, &member.stamp));
        joined.extend(live.map(|(_, membership, _)| match kind {
            EnumerationKind::AllSources => membership,
            EnumerationKind::AnySource => membership.widened(),
        }));
        joined.sort_unstable();
        joined.dedup();
        Ok(joined)
    }
}
