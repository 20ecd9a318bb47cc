//! The claim step under schedules that the input chooses: operations and the order of every shared access.
//!
//! Two to four real threads work on one table with claims. Before each shared access of the claim step a thread calls a hook
//! that asks the schedule whose turn it is, so that exactly one thread moves at a time, and between two moves all the others
//! stand still at whatever point they have reached. The history is then checked (`history.rs`): it must have an order that
//! explains every answer, and the state at the end. And who runs alone must get through its operation in a bounded number of
//! accesses, wherever the others stand: that is lock-freedom.
//!
//! ```text
//!  octet 0     octet 1     then two each                       the rest: the schedule
//! +-----------+-----------+-----------+-----------+---       ---+--------------------------+
//! | threads,  | holds,    | operation | operand   | ...         | whose turn, how many     |
//! | objects   | ending    |           |           |             | accesses                 |
//! +-----------+-----------+-----------+-----------+---       ---+--------------------------+
//! ```
#![no_main]

#[path = "claim_schedules/baton.rs"]
mod baton;
#[path = "claim_schedules/history.rs"]
mod history;

use baton::{Baton, Schedule};
use history::{Call, Outcome};
use libfuzzer_sys::fuzz_target;
use mgm::handle::{ClaimError, Claims, Handle, HandleTable, ResourceId, ReleaseError, RetireError};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

const THREADS: usize = 4;
/// Calls of one thread.
const CALLS: usize = 4;

type Table = HandleTable<(), Claims>;

/// What the threads of one execution share.
struct World {
    table: Table,
    words: Vec<ResourceId>,
    /// Every handle given out so far: those of the start, then as calls return.
    handles: Mutex<Vec<Handle>>,
    history: Mutex<Vec<Call>>,
}

/// What one octet pair asks for; operands are chosen among what there is when its turn comes.
#[derive(Clone, Copy)]
struct Wish {
    what: u8,
    operand: u8,
}

type Job = (Arc<World>, Vec<Wish>);

/// Threads that wait for work, and live as long as the process.
static CREW: LazyLock<Arc<Baton<Job>>> = LazyLock::new(|| {
    let baton = Arc::new(Baton::<Job>::new(THREADS));
    for me in 0..THREADS {
        let baton = baton.clone();
        std::thread::spawn(move || {
            let steps = baton.clone();
            mgm::stepping::set(move |_, _| steps.step(me));
            loop {
                let (world, wishes) = baton.next_job(me);
                for wish in wishes {
                    perform(&world, &baton, me, wish);
                }
                drop(world);
                baton.done(me);
            }
        });
    }
    baton
});

/// Nothing panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn perform(world: &World, baton: &Baton<Job>, me: usize, wish: Wish) {
    // Between two calls others may run as well.
    baton.step(me);
    let word = usize::from(wish.operand >> 4) % world.words.len();
    let handle = {
        let handles = lock(&world.handles);
        handles[usize::from(wish.operand & 15) % handles.len()]
    };
    let operation = match wish.what % 16 {
        0..=3 => history::Operation::Claim(handle, word),
        4..=6 => history::Operation::Release(handle, word),
        7..=9 => history::Operation::Retire(handle),
        10 | 11 => history::Operation::Insert,
        12 | 13 => history::Operation::OwnerOf(word),
        _ => history::Operation::Validate(handle),
    };
    let called = baton.call_begins(me);
    let outcome = call(world, operation);
    let returned = baton.call_ends(me);
    if let Outcome::Inserted(handle) = outcome {
        lock(&world.handles).push(handle);
    }
    lock(&world.history).push(Call { thread: me, operation, outcome, called, returned });
}

fn call(world: &World, operation: history::Operation) -> Outcome {
    use history::Operation::{Claim, Insert, OwnerOf, Release, Retire, Validate};
    let table = &world.table;
    match operation {
        Insert => table.insert(()).map_or(Outcome::Full, Outcome::Inserted),
        Claim(handle, word) => match table.claim(handle, world.words[word]) {
            Ok(word) => Outcome::Claimed(word.stamp()),
            Err(ClaimError::Owned(holder)) => Outcome::Owned(holder),
            Err(ClaimError::Stale) => Outcome::Stale,
            Err(ClaimError::UnknownOwner) => panic!("the words are the table's"),
        },
        Release(handle, word) => match table.release(handle, world.words[word]) {
            Ok(word) => Outcome::Released(word.stamp()),
            Err(ReleaseError::NotOwner) => Outcome::NotOwner,
            Err(ReleaseError::Stale) => Outcome::Stale,
            Err(ReleaseError::UnknownOwner) => panic!("the words are the table's"),
        },
        Retire(handle) => match table.check_and_retire(handle) {
            Ok(()) => Outcome::Retired,
            Err(RetireError::StillOwns(count)) => Outcome::StillOwns(count),
            Err(RetireError::Stale) => Outcome::Stale,
        },
        OwnerOf(word) => Outcome::Owner(table.owner_of(world.words[word])),
        Validate(handle) => Outcome::Valid(table.validate(handle)),
    }
}

fuzz_target!(|octets: &[u8]| {
    let [setup, ending, rest @ ..] = octets else { return };
    let threads = 2 + usize::from(setup & 3) % 3;
    let objects = 1 + usize::from(setup >> 2 & 3) % 3;
    let words = 1 + usize::from(setup >> 4 & 1);
    // How few slots there are beside: with none, slots are used again.
    let spare = u32::from(setup >> 5 & 3);

    let table = Table::with_claims(objects as u32 + spare).unwrap();
    let words: Vec<_> = (0..words).map(|_| table.new_resource().unwrap()).collect();
    let handles: Vec<_> = (0..objects).map(|_| table.insert(()).unwrap()).collect();
    let stamp = |word: &ResourceId| table.owners().word(*word).unwrap().stamp();
    let mut start = history::State::new(&handles, words.iter().map(stamp));
    for (word, id) in words.iter().enumerate().filter(|(word, _)| ending >> word & 1 != 0) {
        let stamp = table.claim(handles[0], *id).unwrap().stamp();
        start.take(word, handles[0], stamp);
    }
    let world = Arc::new(World { table, words, handles: Mutex::new(handles), history: Mutex::default() });

    let (pairs, _) = rest.as_chunks::<2>();
    let count = 1 + usize::from(ending >> 4) % CALLS;
    let wishes: Vec<Vec<Wish>> = (0..threads)
        .map(|thread| {
            let mine = pairs.iter().skip(thread).step_by(threads).take(count);
            mine.map(|&[what, operand]| Wish { what, operand }).collect()
        })
        .collect();
    let used = 2 * wishes.iter().map(Vec::len).sum::<usize>();
    let schedule = Schedule { turns: rest[used..].to_vec(), alone_at_the_end: ending >> 2 & 1 != 0 };
    CREW.run(schedule, wishes.into_iter().map(|wishes| (world.clone(), wishes)).collect());

    // All threads are done: what is there now?
    let handles = lock(&world.handles).clone();
    let end = history::End {
        owners: world.words.iter().map(|word| world.table.owner_of(*word)).collect(),
        stamps: world.words.iter().map(|word| world.table.owners().word(*word).unwrap().stamp()).collect(),
        // Asking for the count retires who holds nothing: everything else is asked before.
        live: handles.iter().map(|handle| (*handle, world.table.validate(*handle))).collect(),
        held: handles.iter().map(|handle| (*handle, world.table.check_and_retire(*handle).err())).collect(),
    };
    let history = lock(&world.history).clone();
    if let Err(why) = history::explain(start, &history, &end) {
        panic!("{why}");
    }
});
