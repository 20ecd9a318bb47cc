//! [`Latecomers`]: clients that are still being told of the memberships that were there when they registered.
//!
//! They are told page by page, so that the membership lock is not held for long. A client has been told of the memberships
//! up to a cursor. A change of one of these is reported to it as to every other client. A change of a later membership is
//! not: the page that comes to it tells how it is by then. So joins and prunes of each membership alternate.

use crate::handle::Handle;
use crate::manager::Membership;
use std::collections::BTreeMap;

/// The clients that are being told, each with the last membership that it was told of. See the top of this file.
#[derive(Default)]
pub(in crate::manager) struct Latecomers(BTreeMap<Handle, Membership>);

impl Latecomers {
    /// Returns the last membership that a client was told of.
    pub(in crate::manager) fn cursor(&self, client: Handle) -> Option<Membership> {
        self.0.get(&client).copied()
    }

    /// Notes that a client was told of everything up to a membership, and that there may be more.
    pub(in crate::manager) fn set(&mut self, client: Handle, told: Membership) {
        self.0.insert(client, told);
    }

    /// Ends with a client that has been told everything, or has left.
    pub(in crate::manager) fn end(&mut self, client: Handle) {
        self.0.remove(&client);
    }

    /// Returns whether a client is told of changes of a membership.
    pub(in crate::manager) fn has_been_told(&self, client: Handle, membership: Membership) -> bool {
        self.0.get(&client).is_none_or(|cursor| membership <= *cursor)
    }
}
