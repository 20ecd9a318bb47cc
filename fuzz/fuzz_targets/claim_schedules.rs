//! The claim step under schedules that the input chooses: operations and the order of every shared access.
//!
//! Two to four real threads use one ownership table. Before each shared access of the claim step a thread calls a hook, which
//! asks the schedule for the next thread. So exactly one thread moves at a time, and between two moves all others stand still
//! at the point that they have reached. The history is then checked (`history.rs`): it must have an order that explains every
//! result and the final state. A thread that runs alone must finish its operation in a bounded number of accesses, wherever
//! the others stand: that is lock-freedom.
//!
//! ```text
//!  octet 0     octet 1     then two each                       the rest: the schedule
//! +-----------+-----------+-----------+-----------+---       ---+--------------------------+
//! | threads,  | owned,    | operation | operand   | ...         | thread, number of        |
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
use mgm::handle::{ClaimError, Handle, OwnershipTable, ReleaseError, ResourceId, RetireError};
use std::cell::Cell;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

const THREADS: usize = 4;
/// The most calls of one thread.
const CALLS: usize = 4;

type Table = OwnershipTable<()>;

/// The state that the threads of one execution share.
struct Shared {
    table: Table,
    words: Vec<ResourceId>,
    /// Every handle issued so far: those of the start, then in the order in which calls returned.
    handles: Mutex<Vec<Handle>>,
    history: Mutex<Vec<Call>>,
}

/// An octet pair: a call. The operand selects among the handles and words that exist when the call is made.
#[derive(Clone, Copy)]
struct Request {
    operation: u8,
    operand: u8,
}

type Job = (Arc<Shared>, Vec<Request>);

/// Threads that wait for jobs, as long as the process runs.
static THREAD_POOL: LazyLock<Arc<Baton<Job>>> = LazyLock::new(|| {
    let baton = Arc::new(Baton::<Job>::new(THREADS));
    for me in 0..THREADS {
        let baton = baton.clone();
        std::thread::spawn(move || {
            let steps = baton.clone();
            mgm::stepping::set(move |_, _| {
                if !INSERTING.get() {
                    steps.step(me);
                }
            });
            loop {
                let (shared, requests) = baton.next_job(me);
                for request in requests {
                    perform(&shared, &baton, me, request);
                }
                drop(shared);
                baton.done(me);
            }
        });
    }
    baton
});

thread_local! {
    /// Whether the thread is inside an insert. Inserts of a table with ownership have a lock, so a thread that stood still there
    /// would stop the others for ever: an insert is one move.
    static INSERTING: Cell<bool> = const { Cell::new(false) };
}

/// Locks a mutex; no thread panics while it holds one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn perform(shared: &Shared, baton: &Baton<Job>, me: usize, request: Request) {
    // Other threads may also run between two calls.
    baton.step(me);
    let word = usize::from(request.operand >> 4) % shared.words.len();
    let handle = {
        let handles = lock(&shared.handles);
        handles[usize::from(request.operand & 15) % handles.len()]
    };
    let operation = match request.operation % 16 {
        0..=3 => history::Operation::Claim(handle, word),
        4..=6 => history::Operation::Release(handle, word),
        7..=9 => history::Operation::Retire(handle),
        10 | 11 => history::Operation::Insert,
        12 | 13 => history::Operation::OwnerOf(word),
        _ => history::Operation::Validate(handle),
    };
    let called = baton.call_begins(me);
    let outcome = call(shared, operation);
    let returned = baton.call_ends(me);
    if let Outcome::Inserted(handle) = outcome {
        lock(&shared.handles).push(handle);
    }
    lock(&shared.history).push(Call { thread: me, operation, outcome, called, returned });
}

fn call(shared: &Shared, operation: history::Operation) -> Outcome {
    use history::Operation::{Claim, Insert, OwnerOf, Release, Retire, Validate};
    let table = &shared.table;
    match operation {
        Insert => {
            INSERTING.set(true);
            let inserted = table.insert(());
            INSERTING.set(false);
            inserted.map_or(Outcome::Full, Outcome::Inserted)
        }
        Claim(handle, word) => match table.claim(handle, shared.words[word]) {
            Ok(word) => Outcome::Claimed(word.stamp()),
            Err(ClaimError::Owned(holder)) => Outcome::Owned(holder),
            Err(ClaimError::Stale) => Outcome::Stale,
            Err(_) => panic!("the words belong to the table"),
        },
        Release(handle, word) => match table.release(handle, shared.words[word]) {
            Ok(word) => Outcome::Released(word.stamp()),
            Err(ReleaseError::NotOwner) => Outcome::NotOwner,
            Err(ReleaseError::Stale) => Outcome::Stale,
            Err(_) => panic!("the words belong to the table"),
        },
        Retire(handle) => match table.check_and_retire(handle).map(drop) {
            Ok(()) => Outcome::Retired,
            Err(RetireError::StillOwns(count)) => Outcome::StillOwns(count),
            Err(_) => Outcome::Stale,
        },
        OwnerOf(word) => Outcome::Owner(table.owner_of(shared.words[word])),
        Validate(handle) => Outcome::Valid(table.contains(handle)),
    }
}

fuzz_target!(|octets: &[u8]| {
    let [setup, ending, rest @ ..] = octets else { return };
    let threads = 2 + usize::from(setup & 3) % 3;
    let objects = 1 + usize::from(setup >> 2 & 3) % 3;
    let words = 1 + usize::from(setup >> 4 & 1);
    // Further slots: without any, retired slots are reused.
    let spare = u32::from(setup >> 5 & 3);

    let table = Table::with_limit(objects as u32 + spare).unwrap();
    let words: Vec<_> = (0..words).map(|_| table.new_resource().unwrap()).collect();
    let handles: Vec<_> = (0..objects).map(|_| table.insert(()).unwrap()).collect();
    let stamp = |word: &ResourceId| table.owners().word(*word).unwrap().stamp();
    let mut start = history::State::new(&handles, words.iter().map(stamp));
    for (word, id) in words.iter().enumerate().filter(|(word, _)| ending >> word & 1 != 0) {
        let stamp = table.claim(handles[0], *id).unwrap().stamp();
        start.take(word, handles[0], stamp);
    }
    let shared = Arc::new(Shared { table, words, handles: Mutex::new(handles), history: Mutex::default() });

    let (pairs, _) = rest.as_chunks::<2>();
    let count = 1 + usize::from(ending >> 4) % CALLS;
    let requests: Vec<Vec<Request>> = (0..threads)
        .map(|thread| {
            let mine = pairs.iter().skip(thread).step_by(threads).take(count);
            mine.map(|&[operation, operand]| Request { operation, operand }).collect()
        })
        .collect();
    let used = 2 * requests.iter().map(Vec::len).sum::<usize>();
    let schedule = Schedule { turns: rest[used..].to_vec(), alone_at_the_end: ending >> 2 & 1 != 0 };
    THREAD_POOL.run(schedule, requests.into_iter().map(|requests| (shared.clone(), requests)).collect());

    // All threads are done: the final state.
    let handles = lock(&shared.handles).clone();
    let end = history::End {
        owners: shared.words.iter().map(|word| shared.table.owner_of(*word)).collect(),
        stamps: shared.words.iter().map(|word| shared.table.owners().word(*word).unwrap().stamp()).collect(),
        // Reading a count retires a handle that owns nothing, so it is the last.
        live: handles.iter().map(|handle| (*handle, shared.table.contains(*handle))).collect(),
        owned: handles.iter().map(|handle| (*handle, shared.table.check_and_retire(*handle).err())).collect(),
    };
    let history = lock(&shared.history).clone();
    if let Err(why) = history::explain(start, &history, &end) {
        panic!("{why}");
    }
});
