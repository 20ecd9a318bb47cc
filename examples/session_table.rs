//! A table of sessions: clients keep handles as cookies, and no cookie ever names another client's session.
//!
//! ```sh
//! cargo run -p multicast-group-manager --no-default-features --example session_table
//! ```
//!
//! `-p` selects the library alone: in the root directory the features of all members unify, and the other members use the
//! default features. The first build of an example takes some minutes, because it builds the development dependencies.
//!
//! Worker threads look cookies up without a lock. The main thread logs clients in and out, and ends idle sessions meanwhile.
//!
//! A handle is not a secret: its bits can be guessed. A server that faces strangers puts a random token beside it.

use mgm::handle::{Handle, HandleTable, Reader};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A session. It knows its own handle.
struct Session {
    id: Handle,
    user: String,
    requests: AtomicU64,
}

type Sessions = HandleTable<Session>;

/// Logs a client in. Returns its cookie.
fn log_in(sessions: &Sessions, user: &str) -> Result<String, Box<dyn Error>> {
    let session = |id| Session { id, user: user.to_owned(), requests: AtomicU64::new(0) };
    let id = sessions.insert_with_key(session).map_err(|_| "all sessions are in use")?;
    Ok(format!("{id:x}"))
}

/// Returns the handle in a cookie, if its text is one.
fn handle_of(cookie: &str) -> Option<Handle> {
    Handle::from_bits(u64::from_str_radix(cookie, 16).ok()?)
}

/// A worker thread. It owns its reader, which keeps the table alive.
struct Worker {
    reader: Reader<Arc<Sessions>>,
    refused: u64,
}

impl Worker {
    /// Serves a request. Wait-free up to the session's own work.
    fn serve(&mut self, cookie: &str) {
        match handle_of(cookie).and_then(|handle| self.reader.get(handle)) {
            // Relaxed: the counter orders nothing else.
            Some(session) => _ = session.requests.fetch_add(1, Ordering::Relaxed),
            None => self.refused += 1,
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sessions = Arc::new(Sessions::with_limit(1000)?);
    let red = log_in(&sessions, "red")?;
    let blue = log_in(&sessions, "blue")?;

    let serve = |cookies: [String; 2]| {
        let sessions = sessions.clone();
        thread::spawn(move || {
            let mut worker = Worker { reader: Reader::new(sessions), refused: 0 };
            (0..1000).for_each(|n| worker.serve(&cookies[n % 2]));
            worker.refused
        })
    };
    let workers = [serve([red.clone(), blue.clone()]), serve([red.clone(), "no cookie".to_owned()])];
    for worker in workers {
        println!("a worker refused {} requests", worker.join().map_err(|_| "a worker panicked")?);
    }
    for (handle, session) in &*sessions {
        println!(
            "{} has made {} requests as {handle}",
            session.user,
            session.requests.load(Ordering::Relaxed)
        );
        assert_eq!(session.id, handle);
    }

    // A client logs out. Its cookie stays stale, even when its slot is used again.
    let handle = handle_of(&red).ok_or("the cookie has a handle")?;
    sessions.remove(handle)?;
    let green = log_in(&sessions, "green")?;
    println!("the cookie of red is live: {}", sessions.contains(handle));

    // Ends the sessions that have made no request.
    sessions.retain(|_, session| session.requests.load(Ordering::Relaxed) > 0);
    let live = [("red", &red), ("blue", &blue), ("green", &green)]
        .map(|(user, cookie)| (user, handle_of(cookie).is_some_and(|handle| sessions.contains(handle))));
    println!("live sessions: {live:?}, {} of at most {}", sessions.len(), sessions.limit());
    Ok(())
}
