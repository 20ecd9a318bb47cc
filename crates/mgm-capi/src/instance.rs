//! The state of the process: its manager, and which incarnation of it runs.
//!
//! The process has one [`GroupManager`], made at the first start and never dropped. A stop ends every registration and
//! every entry but keeps the manager, and with it the generations of its handles: a handle of an earlier incarnation is
//! stale in every later one.

use crate::codes::Code;
use crate::hooks::HookRoutes;
use mgm::manager::{GroupManager, ManagerConfig};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The manager and its clock.
pub(crate) struct Instance {
    manager: GroupManager,
    config: ManagerConfig,
    /// The manager's time 0.
    epoch: Instant,
}

static INSTANCE: OnceLock<Instance> = OnceLock::new();

/// How often the manager has been started and stopped: odd while it runs.
///
/// SeqCst in all four accesses. A function makes something and then loads the counter ([`Incarnation::is_over`]); a
/// stop increments the counter and then looks for what exists. In the single order of these accesses one of the two
/// comes first: either the function sees that its incarnation is over and undoes its work, or the stop sees the work
/// and ends it.
static INCARNATION: AtomicU64 = AtomicU64::new(0);

/// The incarnation of the manager that a function works in: the time between one start and the following stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation(u64);

impl Incarnation {
    /// Returns whether a stop has begun since.
    pub(crate) fn is_over(self) -> bool {
        // SeqCst: see `INCARNATION`.
        INCARNATION.load(Ordering::SeqCst) != self.0
    }

    /// Begins the next incarnation.
    pub(crate) fn begin() {
        // SeqCst: see `INCARNATION`.
        INCARNATION.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends the present incarnation: from now on no function starts work in it.
    pub(crate) fn end() {
        // SeqCst: see `INCARNATION`.
        INCARNATION.fetch_add(1, Ordering::SeqCst);
    }
}

impl Instance {
    /// Returns the instance of the process, and makes it if this is the first start.
    ///
    /// # Errors
    /// `ERROR_CAN_NOT_COMPLETE` if the instance exists with another configuration, `ERROR_INVALID_PARAMETER` if the
    /// configuration has a limit that the manager refuses. The caller holds the lock of the lifecycle.
    pub(crate) fn get_or_create(config: Option<ManagerConfig>) -> Result<&'static Instance, Code> {
        match (INSTANCE.get(), config) {
            (Some(instance), None) => Ok(instance),
            (Some(instance), Some(config)) if instance.config == config => Ok(instance),
            (Some(_), Some(_)) => Err(Code::CAN_NOT_COMPLETE),
            (None, config) => {
                let config = config.unwrap_or_default();
                let manager = GroupManager::new(config.clone(), Arc::new(HookRoutes))
                    .map_err(|_| Code::INVALID_PARAMETER)?;
                Ok(INSTANCE.get_or_init(|| Instance { manager, config, epoch: Instant::now() }))
            }
        }
    }

    /// Returns the instance, if one was ever made.
    pub(crate) fn get() -> Option<&'static Instance> {
        INSTANCE.get()
    }

    /// Returns the instance and the present incarnation, if the manager runs.
    pub(crate) fn running() -> Option<(&'static Instance, Incarnation)> {
        // SeqCst: see `INCARNATION`.
        let incarnation = INCARNATION.load(Ordering::SeqCst);
        let running = incarnation % 2 == 1;
        running.then(Instance::get).flatten().map(|instance| (instance, Incarnation(incarnation)))
    }

    /// Returns the manager, for a function that takes a handle.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` while the manager does not run: no handle is valid then.
    pub(crate) fn manager_for_handle() -> Result<&'static GroupManager, Code> {
        Instance::running().map(|(instance, _)| instance.manager()).ok_or(Code::INVALID_PARAMETER)
    }

    pub(crate) fn manager(&self) -> &GroupManager {
        &self.manager
    }

    /// Advances the manager's clock to now. Returns the manager and the time.
    pub(crate) fn advanced(&self) -> (&GroupManager, Duration) {
        let now = self.epoch.elapsed();
        self.manager.advance(now);
        (&self.manager, now)
    }
}
