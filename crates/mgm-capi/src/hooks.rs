//! The hooks of a forwarding plane in C: the route lookup, which the manager asks, and the report of a changed entry.
//!
//! Hooks, and the subscription that the report needs, are one value that is replaced as a whole. So there is no moment at
//! which the hooks of one caller meet the subscription of another.

use crate::boundary::count_panic;
use crate::codes::Code;
use crate::ext_types::{MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_HOOKS, MGM_EXT_PATH};
use crate::incarnation::Incarnation;
use crate::process::Process;
use mgm::foreign_code;
use mgm::manager::rundown::Rundown;
use mgm::manager::{ChangeSubscription, EntryChange, ReversePath, RpfLookup};
use std::net::IpAddr;
use std::sync::Arc;

/// Hooks that were set together.
pub(crate) struct HookSet {
    hooks: MGM_EXT_HOOKS,
    /// The changes to report, if there is a hook for them.
    changes: Option<ChangeSubscription>,
    incarnation: Arc<Incarnation>,
    /// The calls of these hooks. Closed when other hooks replace them.
    calls: Rundown,
}

// SAFETY: the context pointer is a number here: the library only passes it to the hooks. The caller of MgmExtSetHooks has
// promised that the hooks may be called from any thread. The other fields are Send.
unsafe impl Send for HookSet {}
// SAFETY: as above; the other fields are Sync.
unsafe impl Sync for HookSet {}

impl HookSet {
    pub(crate) fn new(
        hooks: MGM_EXT_HOOKS,
        changes: Option<ChangeSubscription>,
        incarnation: Arc<Incarnation>,
    ) -> HookSet {
        HookSet { hooks, changes, incarnation, calls: Rundown::default() }
    }
}

/// The hooks of the process.
#[derive(Default)]
pub(crate) struct Hooks {
    current: Option<Arc<HookSet>>,
    /// Earlier hooks that may still be running: a thread inside foreign code replaced them and did not wait.
    replaced: Vec<Arc<HookSet>>,
}

impl Hooks {
    /// Replaces the hooks. Returns every earlier set that may still be running. The caller drops them without the lock.
    fn replace(&mut self, new: Option<HookSet>) -> Vec<Arc<HookSet>> {
        if let Some(old) = std::mem::replace(&mut self.current, new.map(Arc::new)) {
            old.calls.close();
            self.replaced.push(old);
        }
        let replaced = std::mem::take(&mut self.replaced);
        // A set without another reference is not running. Only `current` is copied, so no reference can be added.
        self.replaced.extend(replaced.iter().filter(|set| Arc::strong_count(set) > 1).cloned());
        replaced
    }
}

/// Sets the hooks and waits until no earlier one is running. Inside foreign code it does not wait: two threads there could
/// wait for each other.
///
/// # Errors
/// `ERROR_CAN_NOT_COMPLETE` if the incarnation is over; the hooks are not changed then.
pub(crate) fn set(process: &Process, incarnation: &Incarnation, new: Option<HookSet>) -> Result<(), Code> {
    let replaced = {
        let mut hooks = process.hooks.lock();
        // A stop ends the incarnation first and then removes the hooks, under this lock.
        if incarnation.is_over() {
            return Err(Code::CAN_NOT_COMPLETE);
        }
        hooks.replace(new)
    };
    // The changes since the subscription was made wait in its queue.
    process.waker.wake();
    if !foreign_code::is_inside() {
        replaced.iter().for_each(|set| set.calls.wait());
    }
    Ok(())
}

/// Removes the hooks, for a stop. Does not wait: calls of hooks are calls of their incarnation, too.
pub(crate) fn remove(process: &Process) {
    // Dropped at the end of this statement, after the lock.
    let _replaced = process.hooks.lock().replace(None);
}

/// Runs `call` with the current hooks, which are running until it returns. Returns `None` if there are no hooks.
fn with_hooks<R>(process: &Process, call: impl FnOnce(&HookSet) -> R) -> Option<R> {
    loop {
        let set = process.hooks.lock().current.clone()?;
        // None: other hooks have replaced these meanwhile. The next round finds them.
        let Some(_running) = set.calls.enter(|| true) else { continue };
        // None: the manager is being stopped.
        let _call = set.incarnation.enter()?;
        return Some(call(&set));
    }
}

/// Runs a hook as foreign code: a thread inside it waits for no other thread's callbacks and hooks.
fn run<R>(hook: &str, call: impl FnOnce() -> R) -> Option<R> {
    foreign_code::run(call).inspect_err(|panicked| count_panic(hook, &panicked)).ok()
}

/// Reports one changed entry to the plane. Returns `false` if there is none.
pub(crate) fn report_change(process: &Process) -> bool {
    with_hooks(process, |set| {
        let (Some(changes), Some(changed)) = (&set.changes, set.hooks.pfnEntryChanged) else { return false };
        let flow = match changes.try_next() {
            Some(EntryChange::Flow(flow)) => Some(MGM_EXT_FLOW::from(flow)),
            Some(_) => None,
            None => return false,
        };
        let pointer = flow.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the caller of MgmExtSetHooks has promised a function of this type that may be called from any thread
        // until it is replaced. The pointer is null or points to a local that outlives the call.
        run("pfnEntryChanged", || unsafe { changed(set.hooks.pvContext, pointer) });
        true
    })
    .unwrap_or(false)
}

/// The routes of a process's manager: the answers of the route lookup hook.
pub(crate) struct HookRoutes(pub(crate) &'static Process);

impl RpfLookup for HookRoutes {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let source = MGM_EXT_ADDRESS::from(source);
        let mut path = MGM_EXT_PATH::default();
        let (from, to) = (&raw const source, &raw mut path);
        let found = with_hooks(self.0, |set| {
            let lookup = set.hooks.pfnRouteLookup?;
            // SAFETY: the caller of MgmExtSetHooks has promised a function of this type that may be called from any
            // thread until it is replaced. The pointers point to locals that outlive the call.
            run("pfnRouteLookup", || unsafe { lookup(set.hooks.pvContext, from, to) } != 0)
        });
        if found.flatten()? { path.to_path() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null_mut;

    #[test]
    fn hooks_of_an_ended_incarnation_are_refused() {
        let (process, incarnation) = (Process::default(), Arc::<Incarnation>::default());
        let hooks = MGM_EXT_HOOKS { pvContext: null_mut(), pfnRouteLookup: None, pfnEntryChanged: None };
        let set = || set(&process, &incarnation, Some(HookSet::new(hooks, None, incarnation.clone())));
        assert_eq!(set(), Ok(()));
        incarnation.end();
        assert_eq!(set(), Err(Code::CAN_NOT_COMPLETE));
        remove(&process);
        assert!(process.hooks.lock().current.is_none());
    }

    #[test]
    fn replaced_hooks_are_kept_as_long_as_they_run() {
        let (process, incarnation) = (Process::default(), Arc::<Incarnation>::default());
        let hooks = MGM_EXT_HOOKS { pvContext: null_mut(), pfnRouteLookup: None, pfnEntryChanged: None };
        let new = || Some(HookSet::new(hooks, None, incarnation.clone()));
        set(&process, &incarnation, new()).unwrap();
        let inside = with_hooks(&process, |_| {
            // As from inside a hook, which does not wait.
            foreign_code::run(|| set(&process, &incarnation, new())).unwrap().unwrap();
            process.hooks.lock().replaced.len()
        });
        assert_eq!(inside, Some(1));
        set(&process, &incarnation, None).unwrap();
        set(&process, &incarnation, None).unwrap();
        assert!(process.hooks.lock().replaced.is_empty());
    }
}
