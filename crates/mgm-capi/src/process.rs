//! The process-wide manager: when it starts, when it stops, and what is in between.
//!
//! There is one [`GroupManager`] for the life of the process, made at the first start. Stopping it ends every
//! registration and every entry but keeps the manager itself, and with it the generations of its handles: a handle of an
//! earlier life is stale in every later one.
//!
//! ```text
//!              start                      stop
//!  Stopped ------------> Running --------------------> Stopping --> Stopped
//!     |                     |                             |
//!     | functions find      | functions work;             | functions find nothing; clients
//!     | nothing             | a thread moves the clock    | leave, callbacks run down
//! ```
//!
//! A function that is under way while the manager stops may still succeed, except that what it makes does not survive:
//! the life it began in is over, so it takes back what it made (see [`World::life`]).

use super::changes;
use super::codes::Code;
use super::hooks;
use super::service::Service;
use super::windows::DWORD;
use mgm::manager::{DeregisterError, GroupManager, ManagerConfig};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The manager and its clock.
pub(super) struct World {
    manager: GroupManager,
    config: ManagerConfig,
    began: Instant,
}

impl World {
    pub(super) fn manager(&self) -> &GroupManager {
        &self.manager
    }

    /// The manager, its clock moved to now.
    pub(super) fn on_time(&self) -> (&GroupManager, Duration) {
        let now = self.began.elapsed();
        self.manager.advance(now);
        (&self.manager, now)
    }
}

static WORLD: OnceLock<World> = OnceLock::new();

/// How often the manager has started and stopped: odd while it runs. It is `SeqCst` throughout, so that of a function that
/// makes something and looks whether its life is still the present one, and of a stop that begins another and looks for
/// what there is, one sees the other.
static LIFE: AtomicU64 = AtomicU64::new(0);

static CONTROL: Mutex<Control> = Mutex::new(Control::Stopped);

static PANICS: AtomicU32 = AtomicU32::new(0);

enum Control {
    Stopped,
    Running(Service),
    Stopping,
}

/// Which life of the manager a function works in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Life(u64);

impl Life {
    pub(super) fn is_over(self) -> bool {
        LIFE.load(Ordering::SeqCst) != self.0
    }
}

/// The manager, if it runs.
pub(super) fn running() -> Option<(&'static World, Life)> {
    let life = LIFE.load(Ordering::SeqCst);
    (life % 2 == 1).then(|| WORLD.get().map(|world| (world, Life(life)))).flatten()
}

/// The manager, for those who need a handle: while it does not run, no handle names anything.
pub(super) fn with_handle() -> Result<&'static World, Code> {
    running().map(|(world, _)| world).ok_or(Code::INVALID)
}

/// The manager, started if need be.
pub(super) fn started() -> Result<(&'static World, Life), Code> {
    loop {
        if let Some(running) = running() {
            return Ok(running);
        }
        match start(None) {
            Ok(()) | Err(Code::EXISTS) => {}
            Err(code) => return Err(code),
        }
    }
}

/// Starts the manager. How much it keeps is settled by its first start.
pub(super) fn start(config: Option<ManagerConfig>) -> Result<(), Code> {
    let mut control = CONTROL.lock();
    match *control {
        Control::Stopped => {}
        Control::Running(_) => return Err(Code::EXISTS),
        Control::Stopping => return Err(Code::FAILED),
    }
    let world = match (WORLD.get(), config) {
        (Some(world), None) => world,
        (Some(world), Some(config)) if world.config == config => world,
        (Some(_), Some(_)) => return Err(Code::FAILED),
        (None, config) => {
            let config = config.unwrap_or_default();
            let manager = GroupManager::new(config.clone(), hooks::routes()).map_err(|_| Code::INVALID)?;
            manager.forwarding_table().watch(changes::note);
            WORLD.get_or_init(|| World { manager, config, began: Instant::now() })
        }
    };
    *control = Control::Running(Service::start(world).map_err(|_| Code::FAILED)?);
    LIFE.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Stops the manager. The control lock is not held while clients leave, because that waits for their callbacks, and these
/// may do anything.
pub(super) fn stop() -> Result<(), Code> {
    let service = {
        let mut control = CONTROL.lock();
        if !matches!(*control, Control::Running(_)) {
            return Err(Code::FAILED);
        }
        // Before anything else: from here on nobody starts anything in this life.
        LIFE.fetch_add(1, Ordering::SeqCst);
        match std::mem::replace(&mut *control, Control::Stopping) {
            Control::Running(service) => service,
            Control::Stopped | Control::Stopping => return Err(Code::FAILED),
        }
    };
    let stopping = Stopping;
    service.stop();
    hooks::set(None);
    if let Some(world) = WORLD.get() {
        let manager = &world.manager;
        loop {
            let clients = manager.clients();
            if clients.is_empty() {
                break;
            }
            for client in clients {
                for interface in client.interfaces {
                    // Somebody else's by now, or nobody's: as good.
                    let _ = manager.release(client.handle, interface);
                }
                match manager.deregister(client.handle) {
                    // It took something in a call that had begun before: another round.
                    Ok(()) | Err(DeregisterError::Stale | DeregisterError::StillOwns(_) | _) => {}
                }
            }
        }
        // What packets have brought and nobody has worked off goes with the entries: there is nobody left to ask about it.
        while manager.process_upcalls(usize::MAX) > 0 {}
        manager.flush_entries();
    }
    drop(stopping);
    Ok(())
}

/// The manager is being stopped; it is stopped when this goes, whatever happens.
struct Stopping;

impl Drop for Stopping {
    fn drop(&mut self) {
        *CONTROL.lock() = Control::Stopped;
    }
}

/// Runs what a function of the C interface does. A panic goes no further than this.
pub(super) fn guard(what: &str, f: impl FnOnce() -> Result<Code, Code>) -> DWORD {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(Code(code)) | Err(Code(code))) => code,
        Err(panic) => {
            // What a panic carries may panic again when it is dropped.
            std::mem::forget(panic);
            PANICS.fetch_add(1, Ordering::Relaxed);
            tracing::error!("{what} panicked");
            Code::FAILED.0
        }
    }
}

/// How many panics [`guard`] has stopped, and how many of callbacks the manager has.
pub(super) fn panics() -> u64 {
    let clients = WORLD.get().map_or(0, |world| world.manager.client_panics());
    u64::from(PANICS.load(Ordering::Relaxed)) + clients
}

/// Starts the process-wide manager, and a thread that moves its clock and works off new flows. Not needed: the first
/// registration does the same.
///
/// ERROR_ALREADY_EXISTS: it runs already. ERROR_CAN_NOT_COMPLETE: it is being stopped, or the thread cannot be had.
#[unsafe(no_mangle)]
pub extern "C" fn MgmInitialize() -> DWORD {
    guard("MgmInitialize", || start(None).map(|()| Code::DONE))
}

/// Stops the process-wide manager: clients that are still registered are made to release and to leave, callbacks and hooks
/// that are running come to their end (except those that this is called from), entries and hooks go. No handle of this
/// life is ever valid again. It can be started anew.
///
/// ERROR_CAN_NOT_COMPLETE: it does not run, or is being stopped by somebody else.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeInitialize() -> DWORD {
    guard("MgmDeInitialize", || stop().map(|()| Code::DONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_goes_no_further() {
        let before = panics();
        assert_eq!(guard("a test", || panic!("planted")), Code::FAILED.0);
        assert_eq!(guard("a test", || Ok(Code::DONE)), 0);
        assert!(panics() > before);
    }
}
