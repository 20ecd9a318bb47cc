//! Starts and stops the process-wide manager.
//!
//! ```text
//!              start                      stop
//!  Stopped ------------> Running --------------------> Stopping --> Stopped
//!     |                     |                             |
//!     | functions find      | functions work;             | functions find nothing;
//!     | nothing             | a thread moves the clock    | clients leave, callbacks run down
//! ```
//!
//! A function that is running while the manager stops may still succeed, but what it makes does not survive: it
//! compares the incarnation in which it began with the present one and undoes its work (see [`Incarnation`]).

use crate::boundary::catch_panic;
use crate::codes::Code;
use crate::hooks;
use crate::instance::{Incarnation, Instance};
use crate::service::Service;
use crate::windows::DWORD;
use mgm::manager::{GroupManager, ManagerConfig};
use parking_lot::Mutex;

static STATE: Mutex<State> = Mutex::new(State::Stopped);

enum State {
    Stopped,
    Running(Service),
    Stopping,
}

/// Returns the running manager, and starts it first if it is stopped.
pub(crate) fn ensure_started() -> Result<(&'static Instance, Incarnation), Code> {
    loop {
        if let Some(running) = Instance::running() {
            return Ok(running);
        }
        match start(None) {
            Ok(()) | Err(Code::ALREADY_EXISTS) => {}
            Err(code) => return Err(code),
        }
    }
}

/// Starts the manager. The first start of the process fixes the configuration.
pub(crate) fn start(config: Option<ManagerConfig>) -> Result<(), Code> {
    let mut state = STATE.lock();
    match *state {
        State::Stopped => {}
        State::Running(_) => return Err(Code::ALREADY_EXISTS),
        State::Stopping => return Err(Code::CAN_NOT_COMPLETE),
    }
    let instance = Instance::get_or_create(config)?;
    *state = State::Running(Service::start(instance).map_err(|_| Code::CAN_NOT_COMPLETE)?);
    Incarnation::begin();
    Ok(())
}

/// Stops the manager. The lock of the state is not held while clients leave: deregistering waits for callbacks, and a
/// callback may call any function.
fn stop() -> Result<(), Code> {
    let service = {
        let mut state = STATE.lock();
        match std::mem::replace(&mut *state, State::Stopping) {
            State::Running(service) => {
                // Before everything else: from here on no function starts work in this incarnation.
                Incarnation::end();
                service
            }
            before => {
                *state = before;
                return Err(Code::CAN_NOT_COMPLETE);
            }
        }
    };
    let stopping = Stopping;
    service.stop();
    hooks::set(None);
    if let Some(instance) = Instance::get() {
        deregister_all(instance.manager());
        // Upcalls that are still queued go with the entries: no client is left to ask about them.
        while instance.manager().process_upcalls(usize::MAX) > 0 {}
        instance.manager().flush_entries();
    }
    drop(stopping);
    Ok(())
}

/// Releases the interfaces of every client and deregisters it, until no client is left.
fn deregister_all(manager: &GroupManager) {
    loop {
        let clients = manager.clients();
        if clients.is_empty() {
            return;
        }
        for client in clients {
            for interface in client.interfaces {
                // An error says that the client does not own the interface any more, which is the aim.
                let _ = manager.release(client.handle, interface);
            }
            // An error says that the client is deregistered already, or that a call that began before the stop took an
            // interface. The next round releases it.
            let _ = manager.deregister(client.handle);
        }
    }
}

/// Sets the state to `Stopped` when dropped, during a panic too.
struct Stopping;

impl Drop for Stopping {
    fn drop(&mut self) {
        *STATE.lock() = State::Stopped;
    }
}

/// Starts the process-wide manager, and a thread that advances its clock and makes the entries of new flows.
///
/// A program need not call this: the first registration starts the manager as well.
///
/// - ERROR_ALREADY_EXISTS: the manager runs already.
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, or the system refused the thread.
#[unsafe(no_mangle)]
pub extern "C" fn MgmInitialize() -> DWORD {
    catch_panic("MgmInitialize", || start(None).map(|()| Code::SUCCESS))
}

/// Stops the process-wide manager.
///
/// Releases the interfaces of every registered client and deregisters it, waits for running callbacks and hooks, except
/// those that this call is made from, and deletes all entries and hooks. Every handle of this incarnation is stale for
/// ever. The manager can be started again.
///
/// - ERROR_CAN_NOT_COMPLETE: the manager does not run, or another thread is stopping it.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeInitialize() -> DWORD {
    catch_panic("MgmDeInitialize", || stop().map(|()| Code::SUCCESS))
}
