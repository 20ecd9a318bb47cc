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
//! A function that is running while the manager stops may still succeed, but what it makes does not survive: it asks
//! whether its incarnation is over and undoes its work (see [`Incarnation::is_over`]).
//!
//! In a child of fork the state is absent, and so are the locks that other threads held: see `process.rs`.

use crate::boundary::catch_panic;
use crate::codes::Code;
use crate::hooks;
use crate::incarnation::Incarnation;
use crate::instance::Instance;
use crate::process::{Process, set_running};
use crate::service::Service;
use crate::windows::DWORD;
use mgm::foreign_code;
use mgm::manager::{GroupManager, ManagerConfig};
use std::sync::Arc;

/// What the manager of a process is doing.
#[derive(Default)]
pub(crate) enum State {
    #[default]
    Stopped,
    Running {
        instance: &'static Instance,
        incarnation: Arc<Incarnation>,
        service: Service,
    },
    Stopping,
}

/// Returns the running manager and its incarnation.
///
/// # Errors
/// `ERROR_CAN_NOT_COMPLETE` if it does not run.
pub(crate) fn present() -> Result<(&'static Instance, Arc<Incarnation>), Code> {
    match &*Process::get().ok_or(Code::CAN_NOT_COMPLETE)?.state.lock() {
        State::Running { instance, incarnation, .. } => Ok((instance, incarnation.clone())),
        State::Stopped | State::Stopping => Err(Code::CAN_NOT_COMPLETE),
    }
}

/// Returns the running manager and its incarnation, and starts the manager first if it is stopped.
///
/// # Errors
/// `ERROR_CAN_NOT_COMPLETE` while it is being stopped, in a child of fork that has not started it, and if the system
/// refuses the thread.
pub(crate) fn ensure_started() -> Result<(&'static Instance, Arc<Incarnation>), Code> {
    if Process::is_fork_without_start() {
        return Err(Code::CAN_NOT_COMPLETE);
    }
    loop {
        match start(None) {
            Ok(()) | Err(Code::ALREADY_EXISTS) => {}
            Err(code) => return Err(code),
        }
        // An error: another thread has stopped the manager meanwhile.
        if let Ok(present) = present() {
            return Ok(present);
        }
    }
}

/// Starts the manager. The first start of the process fixes the configuration.
pub(crate) fn start(config: Option<ManagerConfig>) -> Result<(), Code> {
    let process = Process::get_or_make()?;
    let mut state = process.state.lock();
    match *state {
        State::Stopped => {}
        State::Running { .. } => return Err(Code::ALREADY_EXISTS),
        State::Stopping => return Err(Code::CAN_NOT_COMPLETE),
    }
    let instance = Instance::get_or_create(process, config)?;
    let service = Service::start(instance).map_err(|_| Code::CAN_NOT_COMPLETE)?;
    *state = State::Running { instance, incarnation: Arc::default(), service };
    set_running(Some(instance));
    Ok(())
}

/// Stops the manager. The lock of the state is not held meanwhile: a callback that is running may call any function.
fn stop() -> Result<(), Code> {
    let process = Process::get().ok_or(Code::CAN_NOT_COMPLETE)?;
    let (instance, incarnation, service) = {
        let mut state = process.state.lock();
        match std::mem::replace(&mut *state, State::Stopping) {
            State::Running { instance, incarnation, service } => {
                set_running(None);
                (instance, incarnation, service)
            }
            before => {
                *state = before;
                return Err(Code::CAN_NOT_COMPLETE);
            }
        }
    };
    let stopping = Stopping(process);
    // Before everything else: from here on no callback starts, and no function starts work in this incarnation.
    incarnation.end();
    service.stop();
    hooks::remove(process);
    deregister_all(instance.manager());
    // Upcalls that are still queued go with the entries: no client is left to ask about them.
    while instance.manager().process_upcalls(usize::MAX) > 0 {}
    instance.manager().flush_entries();
    // Callbacks, hooks, and functions that undo their work. Two threads inside foreign code could wait for each other.
    if !foreign_code::is_inside() {
        incarnation.wait();
    }
    drop(stopping);
    Ok(())
}

/// Releases the interfaces of every client and deregisters it, until no client is left. Waits for no callback.
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
            let _ = manager.deregister_now(client.handle);
        }
    }
}

/// Sets the state to `Stopped` when dropped, during a panic too.
struct Stopping(&'static Process);

impl Drop for Stopping {
    fn drop(&mut self) {
        *self.0.state.lock() = State::Stopped;
    }
}

/// Starts the process-wide manager, and a thread that advances its clock and makes the entries of new flows.
///
/// A program need not call this: the first registration starts the manager as well. Only a child of fork must: the
/// manager of its parent does not run there, and every other function returns ERROR_CAN_NOT_COMPLETE until the child
/// has called this function or MgmExtInitialize. Handles of the parent stay stale.
///
/// - ERROR_ALREADY_EXISTS: the manager runs already.
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, the system refused the thread, or the process descends from
///   63 others that have started the manager and forked.
#[unsafe(no_mangle)]
pub extern "C" fn MgmInitialize() -> DWORD {
    catch_panic("MgmInitialize", || start(None).map(|()| Code::SUCCESS))
}

/// Stops the process-wide manager.
///
/// Releases the interfaces of every registered client, deregisters it, and deletes all entries and hooks. Every handle of
/// this incarnation is stale for ever. The manager can be started again.
///
/// Starts no callback: from the beginning of the stop on no callback and no hook starts, and memberships that end by the stop
/// are reported to no client. Waits for the callbacks and hooks that are running, and for calls that began before it.
/// Called from inside a callback or a hook it waits for none of them: those that are running return later.
///
/// - ERROR_CAN_NOT_COMPLETE: the manager does not run, or another thread is stopping it.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeInitialize() -> DWORD {
    catch_panic("MgmDeInitialize", || stop().map(|()| Code::SUCCESS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callbacks::ClientOptions;
    use crate::clients::register;
    use crate::process::running;
    use crate::protocol_config::ROUTING_PROTOCOL_CONFIG;
    use mgm::manager::Protocol;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Registers a client. Returns the code of an error.
    fn register_client(component: DWORD) -> Result<Code, Code> {
        let (mut config, mut client) = (ROUTING_PROTOCOL_CONFIG::default(), std::ptr::null_mut());
        let options = ClientOptions::default();
        // SAFETY: the pointers lead to locals.
        unsafe { register(&raw mut config, options, Protocol::new(1, component), &raw mut client) }
    }

    #[test]
    fn a_registration_that_meets_a_stop_leaves_no_client() {
        let (may_register, over) = (AtomicBool::new(true), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (may_register, over) = (&may_register, &over);
                scope.spawn(move || {
                    for n in 0_u32.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        if may_register.load(Ordering::SeqCst) {
                            let _ = register_client(n % 64 * 2 + thread);
                        }
                    }
                });
            }
            let mut checked = 0;
            for _ in 0..500 {
                let _ = start(None);
                std::thread::yield_now();
                // Those that have begun go on, and meet the stop.
                may_register.store(false, Ordering::SeqCst);
                stop().unwrap();
                let clients =
                    Process::get().and_then(|process| process.instance.get()).unwrap().manager().clients();
                if running().is_none() {
                    assert!(clients.is_empty(), "after the stop: {clients:?}");
                    checked += 1;
                }
                may_register.store(true, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
            assert!(checked > 100);
        });
        let _ = stop();
    }
}
