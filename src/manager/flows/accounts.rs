//! [`Accounts`]: on account of which interface entries are kept.
//!
//! Packets make entries, and whoever can send packets into an interface can make as many as he likes names for. What one
//! interface's packets have made is counted to it, so that it fills its own share and not the others'. The account is
//! that of the interface where the packet arrived, when whoever brought the packet said so: a sender can write any source
//! into a packet, but not choose where it arrives. Otherwise it is that of the interface towards the source.

use crate::forwarding::{Flow, VifIndex};
use std::collections::BTreeMap;

/// Whose an entry is; `None`: of no interface that was ever taken.
pub(in crate::manager) type Account = Option<VifIndex>;

#[derive(Default)]
struct StillOwns {
    entries: usize,
    /// When each became negative.
    negative: BTreeMap<u64, Flow>,
}

/// How many entries each account has. An account without entries is not kept.
#[derive(Default)]
pub(super) struct Accounts {
    held: BTreeMap<Account, StillOwns>,
}

impl Accounts {
    pub(super) fn entries(&self, account: Account) -> usize {
        self.held.get(&account).map_or(0, |held| held.entries)
    }

    /// An entry was made.
    pub(super) fn open(&mut self, account: Account) {
        self.held.entry(account).or_default().entries += 1;
    }

    /// An entry of the account's ended, which had become negative at `negative`.
    pub(super) fn close(&mut self, account: Account, negative: Option<u64>) {
        let Some(held) = self.held.get_mut(&account) else { return };
        if let Some(event) = negative {
            held.negative.remove(&event);
        }
        held.entries -= 1;
        if held.entries == 0 {
            self.held.remove(&account);
        }
    }

    /// An entry of the account's became negative. If the account has more than `most` then, its oldest.
    pub(super) fn turned_negative(
        &mut self,
        account: Account,
        event: u64,
        flow: Flow,
        most: usize,
    ) -> Option<Flow> {
        let negative = &mut self.held.get_mut(&account)?.negative;
        negative.insert(event, flow);
        if negative.len() > most { negative.first_key_value().map(|(_, oldest)| *oldest) } else { None }
    }

    /// An entry of the account's is negative no more.
    pub(super) fn turned_active(&mut self, account: Account, event: u64) {
        if let Some(held) = self.held.get_mut(&account) {
            held.negative.remove(&event);
        }
    }
}
