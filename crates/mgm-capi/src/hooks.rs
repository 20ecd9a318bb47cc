//! The hooks of a forwarding plane in C: the route lookup, which the manager asks, and the report of a changed entry.

use crate::ext_types::{MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_HOOKS, MGM_EXT_PATH};
use mgm::manager::rundown::Rundown;
use mgm::manager::{ChangeSubscription, EntryChange, ReversePath, RpfLookup};
use parking_lot::Mutex;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

/// Hooks that were set together.
struct HookSet {
    hooks: MGM_EXT_HOOKS,
    /// The changes to report, if there is a hook for them.
    changes: Option<ChangeSubscription>,
    /// The calls of these hooks. Closed when other hooks replace them.
    calls: Rundown,
}

// SAFETY: the context pointer is a number here: the library only passes it to the hooks. The caller of MgmExtSetHooks has
// promised that the hooks may be called from any thread. The other fields are Send.
unsafe impl Send for HookSet {}
// SAFETY: as above; the other fields are Sync.
unsafe impl Sync for HookSet {}

static CURRENT: Mutex<Option<Arc<HookSet>>> = Mutex::new(None);

thread_local! {
    /// The number of hooks that this thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Sets the hooks and waits until none of the previous ones is running. Called from inside a hook it does not wait: two
/// hooks could wait for each other.
pub(crate) fn set(hooks: Option<(MGM_EXT_HOOKS, Option<ChangeSubscription>)>) {
    let new = hooks.map(|(hooks, changes)| Arc::new(HookSet { hooks, changes, calls: Rundown::default() }));
    let old = std::mem::replace(&mut *CURRENT.lock(), new);
    if let Some(old) = old {
        old.calls.close();
        if DEPTH.get() == 0 {
            old.calls.wait();
        }
    }
}

/// Counts a call of a hook in [`DEPTH`] until dropped.
struct InHook;

impl InHook {
    fn enter() -> InHook {
        DEPTH.set(DEPTH.get() + 1);
        InHook
    }
}

impl Drop for InHook {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `call` with the current hooks, which are running until it returns. Returns `None` if there are no hooks.
fn with_hooks<R>(call: impl FnOnce(&HookSet) -> R) -> Option<R> {
    loop {
        let set = CURRENT.lock().clone()?;
        // None: other hooks have replaced these meanwhile. The next round finds them.
        let Some(_running) = set.calls.enter(|| true) else { continue };
        let _in_hook = InHook::enter();
        return Some(call(&set));
    }
}

/// Reports at most `max` changed entries to the plane. Returns how many it reported.
pub(crate) fn report_changes(max: usize) -> usize {
    (0..max).take_while(|_| with_hooks(report_change).unwrap_or(false)).count()
}

/// Reports one changed entry. Returns `false` if there is none.
fn report_change(set: &HookSet) -> bool {
    let (Some(changes), Some(changed)) = (&set.changes, set.hooks.pfnEntryChanged) else { return false };
    let flow = match changes.try_next() {
        Some(EntryChange::Flow(flow)) => Some(MGM_EXT_FLOW::from(flow)),
        Some(_) => None,
        None => return false,
    };
    let pointer = flow.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller of MgmExtSetHooks has promised a function of this type that may be called from any thread until
    // it is replaced. The pointer is null or points to a local that outlives the call.
    unsafe { changed(set.hooks.pvContext, pointer) };
    true
}

/// The routes of the process-wide manager: the answers of the route lookup hook.
pub(crate) struct HookRoutes;

impl RpfLookup for HookRoutes {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let source = MGM_EXT_ADDRESS::from(source);
        let mut path = MGM_EXT_PATH::default();
        let found = with_hooks(|set| {
            let lookup = set.hooks.pfnRouteLookup?;
            // SAFETY: the caller of MgmExtSetHooks has promised a function of this type that may be called from any
            // thread until it is replaced. The pointers point to locals that outlive the call.
            Some(unsafe { lookup(set.hooks.pvContext, &raw const source, &raw mut path) } != 0)
        });
        if found.flatten()? { path.to_path() } else { None }
    }
}
