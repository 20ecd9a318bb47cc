//! What a forwarding plane in C answers (the way to a source), and is told (an entry has changed).

use super::changes;
use super::ext_types::{MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_HOOKS, MGM_EXT_PATH};
use mgm::forwarding::Flow;
use mgm::manager::{ReversePath, RpfLookup};
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

/// Hooks that were set together. Whoever takes them away waits until none of them runs.
struct Set {
    hooks: MGM_EXT_HOOKS,
    /// How many threads are in one of them.
    running: Mutex<usize>,
    none_runs: Condvar,
}

// SAFETY: the context is only a number here, handed back to the hooks of the one who set it; and he has promised, by
// setting them, that they may be called from any thread.
unsafe impl Send for Set {}
// SAFETY: as above.
unsafe impl Sync for Set {}

static PRESENT: Mutex<Option<Arc<Set>>> = Mutex::new(None);

thread_local! {
    /// In how many hooks this thread is.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Sets the hooks. When it returns, those that were there before are not running any more and will not; except when it is
/// called from one: then it does not wait, because two hooks could wait for each other.
pub(super) fn set(hooks: Option<MGM_EXT_HOOKS>) {
    changes::watch(hooks.is_some_and(|hooks| hooks.pfnEntryChanged.is_some()));
    let new = hooks.map(|hooks| Arc::new(Set { hooks, running: Mutex::new(0), none_runs: Condvar::new() }));
    let old = std::mem::replace(&mut *PRESENT.lock(), new);
    if let Some(old) = old
        && DEPTH.get() == 0
    {
        old.none_runs.wait_while(&mut old.running.lock(), |running| *running > 0);
    }
}

/// This thread is in a hook of the set until this goes.
struct Running(Arc<Set>);

impl Running {
    fn enter() -> Option<Running> {
        let present = PRESENT.lock();
        let set = present.clone()?;
        // Under the lock that takes hooks away: whoever takes these away sees that they run.
        *set.running.lock() += 1;
        DEPTH.set(DEPTH.get() + 1);
        Some(Running(set))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        let mut running = self.0.running.lock();
        *running -= 1;
        if *running == 0 {
            self.0.none_runs.notify_all();
        }
    }
}

/// Tells that an entry has changed, or, without a flow, that any may have.
pub(super) fn entry_changed(flow: Option<Flow>) {
    let Some(running) = Running::enter() else { return };
    let hooks = running.0.hooks;
    let Some(changed) = hooks.pfnEntryChanged else { return };
    let flow = flow.map(MGM_EXT_FLOW::from);
    let at = flow.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: whoever set it has promised that it is such a function and may be called from any thread until it is taken
    // away. The pointer is null or leads to a local that outlives the call.
    unsafe { changed(hooks.pvContext, at) };
}

struct Hooked;

impl RpfLookup for Hooked {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let source = MGM_EXT_ADDRESS::from(source);
        let mut path = MGM_EXT_PATH::default();
        let running = Running::enter()?;
        let hooks = running.0.hooks;
        let lookup = hooks.pfnRouteLookup?;
        // SAFETY: whoever set it has promised that it is such a function and may be called from any thread until it is
        // taken away. The pointers lead to locals that outlive the call.
        let found = unsafe { lookup(hooks.pvContext, &raw const source, &raw mut path) };
        if found == 0 { None } else { path.to_path() }
    }
}

/// The routes of the process-wide manager: what the hook says.
pub(super) fn routes() -> Arc<dyn RpfLookup> {
    Arc::new(Hooked)
}
