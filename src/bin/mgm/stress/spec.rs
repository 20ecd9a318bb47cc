//! The sequential specification: what every call answers when calls come one after the other, and what it changes.
//!
//! Clients are known by their handles, interfaces, groups and sources by small numbers. Interface 0 is the one towards every
//! source. The state is what has been agreed on and nothing else: who is registered, who owns what in which role, who wants
//! what where. Entries are not part of it, because they follow from it.

use super::calls::{Answer, Call, Interface, Name, Wish};
use mgm::handle::Handle;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// In which of its two capacities an interface is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Role {
    Routing,
    Igmp,
}

/// What has been agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(crate) struct State {
    /// Who is registered: by name, with the bits of the handle.
    clients: BTreeMap<Name, u64>,
    owners: BTreeMap<(Interface, Role), Name>,
    memberships: BTreeSet<(Interface, Role, Wish)>,
}

/// A state as it is kept in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    clients: Vec<(Name, u64)>,
    owners: Vec<(Interface, Role, Name)>,
    memberships: Vec<(Interface, Role, Wish)>,
}

impl From<State> for Written {
    fn from(state: State) -> Written {
        Written {
            clients: state.clients.into_iter().collect(),
            owners: state
                .owners
                .into_iter()
                .map(|((interface, role), name)| (interface, role, name))
                .collect(),
            memberships: state.memberships.into_iter().collect(),
        }
    }
}

impl From<Written> for State {
    fn from(written: Written) -> State {
        State {
            clients: written.clients.into_iter().collect(),
            owners: written
                .owners
                .into_iter()
                .map(|(interface, role, name)| ((interface, role), name))
                .collect(),
            memberships: written.memberships.into_iter().collect(),
        }
    }
}

impl State {
    /// The state after a call, if that answer is right now; `None` if it is wrong.
    pub(crate) fn after(&self, call: &Call, answer: &Answer) -> Option<State> {
        let mut next = self.clone();
        next.take_in(call, answer).then_some(next)
    }

    /// Takes a call in; whether the answer is right. What is refused changes nothing.
    fn take_in(&mut self, call: &Call, answer: &Answer) -> bool {
        match *call {
            Call::Register(name) => match (self.clients.contains_key(&name), answer) {
                // That no handle is issued twice is checked over the whole run.
                (false, Answer::Handle(bits)) => {
                    self.clients.insert(name, *bits);
                    true
                }
                (true, Answer::AlreadyRegistered) => true,
                // Slots of clients that left may still wait for readers.
                (false, Answer::Full) => true,
                _ => false,
            },
            Call::Deregister(bits) => {
                let Some(name) = self.who(bits) else { return *answer == Answer::Stale };
                match self.owners.values().filter(|owner| **owner == name).count() {
                    0 => {
                        self.clients.remove(&name);
                        *answer == Answer::Done
                    }
                    n => *answer == Answer::StillOwns(n as u32),
                }
            }
            Call::Take(bits, interface) => {
                let Some(name) = self.who(bits) else { return *answer == Answer::Stale };
                if self.owners.contains_key(&(interface, name.role())) {
                    return *answer == Answer::Owned;
                }
                self.owners.insert((interface, name.role()), name);
                self.changed_hands(interface, name.role());
                *answer == Answer::Done
            }
            Call::Release(bits, interface) => {
                let Some(name) = self.who(bits) else { return *answer == Answer::Stale };
                if self.owners.get(&(interface, name.role())) != Some(&name) {
                    return *answer == Answer::NotOwner;
                }
                self.owners.remove(&(interface, name.role()));
                self.changed_hands(interface, name.role());
                *answer == Answer::Done
            }
            Call::OwnerOf(interface) => {
                let owner = |role| self.owners.get(&(interface, role)).copied();
                *answer == Answer::Name(owner(Role::Routing).or(owner(Role::Igmp)))
            }
            Call::Resolve(bits) => *answer == Answer::Name(self.who(bits)),
            Call::Add(bits, interface, wish) => {
                self.membership(bits, interface, answer, |memberships, role| {
                    memberships.insert((interface, role, wish));
                })
            }
            Call::Delete(bits, interface, wish) => {
                self.membership(bits, interface, answer, |memberships, role| {
                    memberships.remove(&(interface, role, wish));
                })
            }
            Call::NewFlow(flow) => {
                let arrives =
                    [Role::Routing, Role::Igmp].iter().any(|role| self.owners.contains_key(&(0, *role)));
                let leaves =
                    self.memberships.iter().any(|(interface, _, wish)| *interface != 0 && wish.covers(flow));
                *answer == if arrives && leaves { Answer::Active } else { Answer::Negative }
            }
            Call::Walk => {
                let expected = self.memberships.iter().filter_map(|(interface, role, wish)| {
                    Some((*interface, *self.owners.get(&(*interface, *role))?, *wish))
                });
                *answer == Answer::Memberships(expected.collect())
            }
        }
    }

    fn who(&self, bits: u64) -> Option<Name> {
        self.clients.iter().find(|(_, handle)| **handle == bits).map(|(name, _)| *name)
    }

    fn membership(
        &mut self,
        bits: u64,
        interface: Interface,
        answer: &Answer,
        change: impl FnOnce(&mut BTreeSet<(Interface, Role, Wish)>, Role),
    ) -> bool {
        let Some(name) = self.who(bits) else { return *answer == Answer::Stale };
        let role = name.role();
        match self.owners.get(&(interface, role)) {
            None => *answer == Answer::NotTaken,
            Some(owner) if *owner != name => *answer == Answer::NotOwner,
            Some(_) => {
                change(&mut self.memberships, role);
                *answer == Answer::Done
            }
        }
    }

    /// What hung on an ownership ends with it. IGMP's memberships hang on the routing protocol's, too.
    fn changed_hands(&mut self, interface: Interface, role: Role) {
        self.memberships.retain(|(i, r, _)| *i != interface || (*r != role && role != Role::Routing));
    }
}

/// The handle of these bits.
pub(crate) fn handle(bits: u64) -> Handle {
    Handle::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_after_the_other_is_answered_as_the_specification_has_it() {
        let (p, igmp, wish) = (Name(0), Name::IGMP, Wish { group: Some(1), source: None });
        let life = [
            (Call::Register(p), Answer::Handle(7)),
            (Call::Register(p), Answer::AlreadyRegistered),
            (Call::Register(igmp), Answer::Handle(8)),
            (Call::Resolve(7), Answer::Name(Some(p))),
            (Call::Take(8, 1), Answer::Done),
            (Call::Add(8, 1, wish), Answer::Done),
            (Call::NewFlow((1, 0)), Answer::Negative),
            (Call::Take(7, 0), Answer::Done),
            (Call::NewFlow((1, 0)), Answer::Active),
            (Call::Walk, Answer::Memberships(vec![(1, igmp, wish)])),
            (Call::Take(7, 1), Answer::Done),
            (Call::Walk, Answer::Memberships(vec![])),
            (Call::OwnerOf(1), Answer::Name(Some(p))),
            (Call::Deregister(7), Answer::StillOwns(2)),
            (Call::Release(8, 0), Answer::NotOwner),
            (Call::Release(7, 1), Answer::Done),
            (Call::Add(7, 1, wish), Answer::NotTaken),
            (Call::OwnerOf(1), Answer::Name(Some(igmp))),
            (Call::Release(7, 0), Answer::Done),
            (Call::Deregister(7), Answer::Done),
            (Call::Take(7, 0), Answer::Stale),
        ];
        let mut state = State::default();
        for (call, answer) in life {
            state = state
                .after(&call, &answer)
                .unwrap_or_else(|| panic!("{call:?} answers {answer:?} in {state:?}"));
            assert_eq!(state.after(&call, &Answer::Full), None, "a wrong answer is found out");
        }
    }
}
