//! The state of the process, which a fork takes away from the child.
//!
//! In a child of fork the library's thread does not exist, and locks that other threads held stay locked. So the child
//! must not touch the state that it inherited. A handler of `pthread_atfork` clears the two pointers below in the child:
//! every call then finds no state and returns an error, until `MgmInitialize` or `MgmExtInitialize` makes a state of the
//! child's own. The inherited one is leaked.
//!
//! The packet path pays nothing for this: it loads one pointer, which is also how it learns whether the manager runs.

use crate::codes::Code;
use crate::hooks::Hooks;
use crate::instance::Instance;
use crate::lifecycle::State;
use crate::waker::Waker;
use parking_lot::Mutex;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// The state of the process.
#[derive(Default)]
pub(crate) struct Process {
    pub(crate) state: Mutex<State>,
    pub(crate) hooks: Mutex<Hooks>,
    pub(crate) waker: Waker,
    /// Made by the first start.
    pub(crate) instance: OnceLock<Instance>,
}

/// The state; null before the first start, and in a child of fork that has not started the manager.
static PROCESS: AtomicPtr<Process> = AtomicPtr::new(null_mut());

/// The instance while the manager runs, otherwise null.
static RUNNING: AtomicPtr<Instance> = AtomicPtr::new(null_mut());

/// How many forks lie between the first process that used the library and this one. A fork counts if the state existed.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Whether the handler is installed. Children inherit it.
static HANDLES_FORK: AtomicBool = AtomicBool::new(false);

/// Runs in the child, on its only thread. Touches atomic variables alone, as a handler of a signal would have to.
extern "C" fn in_child() {
    // Relaxed in all three: the child has one thread.
    RUNNING.store(null_mut(), Ordering::Relaxed);
    if !PROCESS.swap(null_mut(), Ordering::Relaxed).is_null() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns a reference to what a pointer of this file leads to.
fn leaked<T>(pointer: *mut T) -> Option<&'static T> {
    // SAFETY: the pointers of this file are null, or lead to values that live until the process ends and of which only
    // shared references exist.
    unsafe { pointer.as_ref() }
}

impl Process {
    /// Returns the state, if there is one.
    pub(crate) fn get() -> Option<&'static Process> {
        // Acquire: pairs with the exchange in `get_or_make`, so that the state is complete.
        leaked(PROCESS.load(Ordering::Acquire))
    }

    /// Returns the state, and makes it if there is none.
    ///
    /// # Errors
    /// `ERROR_CAN_NOT_COMPLETE` if the system refuses the handler of forks.
    pub(crate) fn get_or_make() -> Result<&'static Process, Code> {
        if let Some(process) = Process::get() {
            return Ok(process);
        }
        // Relaxed: two threads may both install the handler. Its second run changes nothing.
        if !HANDLES_FORK.load(Ordering::Relaxed) {
            // SAFETY: the handler lives as long as the process (the library is never unloaded) and only accesses atomic
            // variables.
            if unsafe { libc::pthread_atfork(None, None, Some(in_child)) } != 0 {
                return Err(Code::CAN_NOT_COMPLETE);
            }
            HANDLES_FORK.store(true, Ordering::Relaxed);
        }
        let new = Box::into_raw(Box::default());
        // Release: pairs with the load in `get`. Acquire: pairs with the exchange of the thread that was first.
        match PROCESS.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            // SAFETY: from `into_raw` above, and no other thread has seen it.
            Err(_) => drop(unsafe { Box::from_raw(new) }),
        }
        Process::get().ok_or(Code::CAN_NOT_COMPLETE)
    }

    /// Returns whether this is a child of fork that has not started the manager since.
    pub(crate) fn is_fork_without_start() -> bool {
        // Relaxed: changes only while the process has one thread.
        FORKS.load(Ordering::Relaxed) > 0 && Process::get().is_none()
    }

    /// Returns how many forks lie between the first process that used the library and this one.
    pub(crate) fn forks() -> u32 {
        // Relaxed: as above.
        FORKS.load(Ordering::Relaxed)
    }
}

/// Returns the instance, if the manager runs.
#[inline]
pub(crate) fn running() -> Option<&'static Instance> {
    // Acquire: pairs with the store in `set_running`, so that the instance is complete.
    leaked(RUNNING.load(Ordering::Acquire))
}

/// Returns the instance if the manager runs.
///
/// # Errors
/// `stopped` if it does not, and `ERROR_CAN_NOT_COMPLETE` in a child of fork that has not started it.
#[inline]
pub(crate) fn running_or(stopped: Code) -> Result<&'static Instance, Code> {
    running().ok_or_else(|| not_running(stopped))
}

#[cold]
fn not_running(stopped: Code) -> Code {
    if Process::is_fork_without_start() { Code::CAN_NOT_COMPLETE } else { stopped }
}

/// Makes the instance the one that functions find, or lets them find none.
pub(crate) fn set_running(instance: Option<&'static Instance>) {
    // Release: pairs with the load in `running`.
    RUNNING.store(
        instance.map_or(null_mut(), |instance| std::ptr::from_ref(instance).cast_mut()),
        Ordering::Release,
    );
}
