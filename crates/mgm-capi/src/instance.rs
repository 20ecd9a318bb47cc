//! The manager of the process.
//!
//! It is made at the first start and never dropped. A stop ends every registration and every entry but keeps the manager,
//! and with it the generations of its handles: a handle of an earlier incarnation is stale in every later one.
//!
//! A child of fork makes a manager of its own. Its handles carry the number of forks in their kind. So a handle from
//! before a fork is of a kind that the child's manager does not have, and stale for ever.

use crate::codes::Code;
use crate::hooks::HookRoutes;
use crate::process::{Process, running_or};
use crate::windows::HANDLE;
use mgm::handle::Handle;
use mgm::manager::{GroupManager, ManagerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the kind stands in the bits of a handle.
const KIND_SHIFT: u32 = 24;

/// The manager's tables have kinds below this one.
const KINDS: u32 = 4;

/// The forks after which a manager can be started. Beyond, the kinds of handles would repeat.
const MAX_FORKS: u32 = 256 / KINDS - 1;

/// The manager and its clock.
pub(crate) struct Instance {
    pub(crate) process: &'static Process,
    manager: GroupManager,
    config: ManagerConfig,
    /// The manager's time 0.
    epoch: Instant,
    /// The bits that tell the handles of this process from those of its parents.
    mark: u64,
}

impl Instance {
    /// Returns the instance of the process, and makes it if this is the first start.
    ///
    /// # Errors
    /// `ERROR_CAN_NOT_COMPLETE` if the instance exists with another configuration, or too many forks lie behind.
    /// `ERROR_INVALID_PARAMETER` if the configuration has a limit that the manager refuses. The caller holds the lock of
    /// the lifecycle.
    pub(crate) fn get_or_create(
        process: &'static Process,
        config: Option<ManagerConfig>,
    ) -> Result<&'static Instance, Code> {
        match (process.instance.get(), config) {
            (Some(instance), None) => Ok(instance),
            (Some(instance), Some(config)) if instance.config == config => Ok(instance),
            (Some(_), Some(_)) => Err(Code::CAN_NOT_COMPLETE),
            (None, config) => {
                let mark = mark(Process::forks()).ok_or(Code::CAN_NOT_COMPLETE)?;
                let config = config.unwrap_or_default();
                let manager = GroupManager::new(config.clone(), Arc::new(HookRoutes(process)))
                    .map_err(|_| Code::INVALID_PARAMETER)?;
                let new = || Instance { process, manager, config, epoch: Instant::now(), mark };
                Ok(process.instance.get_or_init(new))
            }
        }
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

    /// Returns the running manager, and the handle that a HANDLE carries in the place of an address.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` while the manager does not run: no handle is valid then. `ERROR_CAN_NOT_COMPLETE` in a
    /// child of fork that has not started it.
    pub(crate) fn of_handle(handle: HANDLE) -> Result<(&'static GroupManager, Handle), Code> {
        let instance = running_or(Code::INVALID_PARAMETER)?;
        Ok((&instance.manager, instance.resolve(handle)))
    }

    /// Returns the handle that a HANDLE carries in the place of an address.
    pub(crate) fn resolve(&self, handle: HANDLE) -> Handle {
        Handle::from_bits(handle.addr() as u64 ^ self.mark).unwrap_or(Handle::STALE)
    }

    /// Returns a handle of this process's manager as a HANDLE: a number in the place of an address.
    pub(crate) fn to_handle(&self, handle: Handle) -> HANDLE {
        std::ptr::without_provenance_mut((handle.to_bits() ^ self.mark) as usize)
    }
}

/// Returns the mark of the handles after this number of forks; `None` if it would repeat.
fn mark(forks: u32) -> Option<u64> {
    (forks <= MAX_FORKS).then_some(u64::from(forks * KINDS) << KIND_SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_different_processes_have_different_kinds() {
        let kinds = |forks| [1_u64, 2, 3].map(|kind| kind << KIND_SHIFT ^ mark(forks).unwrap());
        let mut all: Vec<u64> = (0..=MAX_FORKS).flat_map(kinds).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3 * 64);
        assert!(!all.contains(&0) && all.iter().all(|bits| bits >> KIND_SHIFT < 256));
        assert_eq!(mark(MAX_FORKS + 1), None);
    }
}
