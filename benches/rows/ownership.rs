//! The rows of ownership: take, release and deregister, compared with maps behind a lock.

use super::threads::together;
use super::{Clock, Contestant, Row, Target, floors};
use mgm::handle::{Handle, OwnershipTable, ResourceId};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Protocol, ReversePath};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::sync::Arc;

/// The obvious implementation: one lock, a map of owners, a map of counts.
pub(crate) struct Locked<I>(Mutex<State<I>>);

struct State<I> {
    owner: HashMap<I, u64, foldhash::fast::FixedState>,
    held: HashMap<u64, u32, foldhash::fast::FixedState>,
}

impl<I: Hash + Eq> Locked<I> {
    /// Makes it with the clients 0 to `clients` - 1.
    fn of(clients: u64) -> Locked<I> {
        let locked = Locked(Mutex::new(State { owner: HashMap::default(), held: HashMap::default() }));
        (0..clients).for_each(|client| locked.register(client));
        locked
    }

    fn register(&self, client: u64) {
        self.0.lock().held.insert(client, 0);
    }

    fn take(&self, client: u64, interface: I) -> bool {
        let mut state = self.0.lock();
        if state.owner.contains_key(&interface) {
            return false;
        }
        let Some(held) = state.held.get_mut(&client) else { return false };
        *held += 1;
        state.owner.insert(interface, client);
        true
    }

    fn release(&self, client: u64, interface: I) -> bool {
        let mut state = self.0.lock();
        if state.owner.get(&interface) != Some(&client) {
            return false;
        }
        state.owner.remove(&interface);
        state.held.entry(client).and_modify(|held| *held -= 1);
        true
    }

    fn deregister(&self, client: u64) -> bool {
        let mut state = self.0.lock();
        if state.held.get(&client) != Some(&0) {
            return false;
        }
        state.held.remove(&client);
        true
    }
}

/// A handle table with clients in it, and resources that they can own.
struct Clients {
    table: OwnershipTable<u64>,
    clients: Vec<Handle>,
    resources: Vec<ResourceId>,
}

impl Clients {
    fn of(clients: u64) -> Clients {
        let table = OwnershipTable::with_limit(1024).expect("a capacity");
        let clients = (0..clients).map(|client| table.insert(client).expect("room")).collect();
        // Each resource has a cache line of its own.
        let resources = (0..RESOURCES).map(|_| table.new_resource().expect("room")).collect();
        Clients { table, clients, resources }
    }

    #[inline(always)]
    fn take(&self, client: Handle, resource: usize) -> bool {
        self.table.claim(client, self.resources[resource]).is_ok()
    }

    #[inline(always)]
    fn release(&self, client: Handle, resource: usize) -> bool {
        self.table.release(client, self.resources[resource]).is_ok()
    }
}

const RESOURCES: usize = 64;

/// Returns an interface with an index as routers have them, from 1.
fn interface(n: usize) -> Interface {
    Interface::v4(n as u32 + 1)
}

fn manager() -> GroupManager {
    let routes = |_| Some(ReversePath::through(Interface::v4(1)));
    GroupManager::new(ManagerConfig::default(), Arc::new(routes)).expect("the default configuration")
}

fn registered(manager: &GroupManager, number: u32) -> Handle {
    manager.register(Protocol::new(0x4000_0000 + number, 0), Arc::new(())).expect("room for a client")
}

const TABLE: &str = "mgm table";
const MANAGER: &str = "mgm manager";
const MUTEX: &str = "Mutex of HashMaps";
const ROUND: u64 = 1 << 13;

/// Counts the turns of a round that succeeded.
fn turns(mut turn: impl FnMut() -> bool) -> u64 {
    (0..ROUND).map(|_| u64::from(turn())).sum()
}

pub(crate) fn rows(threads: &[usize]) -> Vec<Row> {
    let here = (ROUND, Clock::Thread);
    let mut rows = vec![
        Row::rounds(
            "take/table",
            "take + release, uncontended, on the table",
            here,
            vec![Target::ratio(TABLE, MUTEX, 1.5)],
            || {
                let (clients, locked) = (Clients::of(2), Locked::of(2));
                let me = clients.clients[1];
                vec![
                    Contestant::new(TABLE, move || {
                        turns(|| clients.take(me, black_box(5)) && clients.release(me, black_box(5)))
                    }),
                    Contestant::new(MUTEX, move || {
                        turns(|| locked.take(1, black_box(5_u32)) && locked.release(1, black_box(5)))
                    }),
                    floors::swaps::<2>("6 compare-and-swaps", ROUND, 6),
                ]
            },
        ),
        Row::rounds(
            "take/manager",
            "take + release, uncontended, through the manager with the interface look-up",
            here,
            vec![Target::ratio(MANAGER, MUTEX, 1.7)],
            || {
                let (manager, locked) = (manager(), Locked::of(2));
                let me = registered(&manager, 1);
                let it = interface(5);
                vec![
                    Contestant::new(MANAGER, move || {
                        turns(|| {
                            manager.take(me, black_box(it)).is_ok()
                                && manager.release(me, black_box(it)).is_ok()
                        })
                    }),
                    Contestant::new(MUTEX, move || {
                        turns(|| locked.take(1, black_box(it)) && locked.release(1, black_box(it)))
                    }),
                ]
            },
        ),
    ];
    for &threads in threads {
        rows.push(own_clients(threads));
    }
    rows.extend(refused());
    for &threads in threads {
        rows.push(one_client(threads));
    }
    rows.extend(cycles());
    rows
}

fn own_clients(threads: usize) -> Row {
    let targets = if threads == 2 { vec![Target::ratio(TABLE, MUTEX, 0.4)] } else { Vec::new() };
    Row::rounds(
        format!("take-own/{threads}"),
        format!("take + release, {threads} threads on clients of their own"),
        (ROUND, Clock::Wall),
        targets,
        move || {
            let (clients, locked) = (Clients::of(threads as u64), Locked::of(threads as u64));
            vec![
                Contestant::timed(TABLE, move || {
                    together(threads, Clock::Wall, |n, gate| {
                        let me = clients.clients[n];
                        gate.time(|| {
                            turns(|| clients.take(me, n % RESOURCES) && clients.release(me, n % RESOURCES))
                        })
                    })
                }),
                Contestant::timed(MUTEX, move || {
                    together(threads, Clock::Wall, |n, gate| {
                        gate.time(|| turns(|| locked.take(n as u64, n) && locked.release(n as u64, n)))
                    })
                }),
            ]
        },
    )
}

/// A turn is a take and a release. Either may fail because the other thread was faster.
fn one_client(threads: usize) -> Row {
    let targets = if threads == 2 { vec![Target::ratio(TABLE, MUTEX, 4.0)] } else { Vec::new() };
    Row::rounds(
        format!("take-one/{threads}"),
        format!("take + release, {threads} threads on one client and one interface"),
        (ROUND, Clock::Wall),
        targets,
        move || {
            let (clients, locked) = (Clients::of(1), Locked::of(1));
            let me = clients.clients[0];
            vec![
                Contestant::timed(TABLE, move || {
                    together(threads, Clock::Wall, |_, gate| {
                        gate.time(|| turns(|| clients.take(me, 5) | clients.release(me, 5)))
                    })
                })
                .apart(),
                Contestant::timed(MUTEX, move || {
                    together(threads, Clock::Wall, |_, gate| {
                        gate.time(|| turns(|| locked.take(0, 5_u32) | locked.release(0, 5)))
                    })
                })
                .apart(),
            ]
        },
    )
}

fn refused() -> Vec<Row> {
    let row = |case: &str, title: &str, mgm: fn(&Clients) -> bool, mutex: fn(&Locked<u32>) -> bool| {
        Row::rounds(
            format!("refused/{case}"),
            title,
            (ROUND, Clock::Thread),
            vec![Target::ratio(TABLE, MUTEX, 0.3)],
            move || {
                let (clients, locked) = (Clients::of(2), Locked::of(2));
                assert!(clients.take(clients.clients[0], 5) && locked.take(0, 5));
                vec![
                    Contestant::new(TABLE, move || turns(|| !mgm(black_box(&clients)))),
                    Contestant::new(MUTEX, move || turns(|| !mutex(black_box(&locked)))),
                ]
            },
        )
    };
    vec![
        row(
            "deregister",
            "deregister refused (holds)",
            |clients| clients.table.check_and_retire(clients.clients[0]).is_ok(),
            |locked| locked.deregister(0),
        ),
        row(
            "take",
            "take refused (owned)",
            |clients| clients.take(clients.clients[1], 5),
            |locked| locked.take(1, 5),
        ),
        row(
            "release",
            "release refused (not the owner)",
            |clients| clients.release(clients.clients[1], 5),
            |locked| locked.release(1, 5),
        ),
    ]
}

fn cycles() -> Vec<Row> {
    vec![
        Row::rounds(
            "cycle/table",
            "register, take, release, deregister, on the table",
            (ROUND, Clock::Thread),
            vec![Target::ratio(TABLE, MUTEX, 1.3)],
            || {
                let (clients, locked) = (Clients::of(1), Locked::of(1));
                let mut next = 1;
                vec![
                    Contestant::new(TABLE, move || {
                        turns(|| {
                            let Ok(me) = clients.table.insert(9) else { return false };
                            clients.take(me, 7)
                                && clients.release(me, 7)
                                && clients.table.check_and_retire(me).is_ok()
                        })
                    }),
                    Contestant::new(MUTEX, move || {
                        turns(|| {
                            next += 1;
                            locked.register(next);
                            locked.take(next, 7_u32) && locked.release(next, 7) && locked.deregister(next)
                        })
                    }),
                    floors::swaps::<4>("10 compare-and-swaps", ROUND, 10),
                ]
            },
        ),
        Row::rounds(
            "cycle/manager",
            "register, take, release, deregister, the whole manager",
            (ROUND, Clock::Thread),
            vec![Target::figure(MANAGER, 1000.0)],
            || {
                let manager = manager();
                let it = interface(7);
                vec![Contestant::new(MANAGER, move || {
                    turns(|| {
                        let me = registered(&manager, 1);
                        manager.take(me, it).is_ok()
                            && manager.release(me, it).is_ok()
                            && manager.deregister(me).is_ok()
                    })
                })]
            },
        ),
    ]
}
