use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
#[derive(Debug)]
pub(crate) struct WakeDeadline(AtomicU64);
impl Default for WakeDeadline {
    fn default() -> Self {
        WakeDeadline(AtomicU64::new(u64::MAX))
    }
}
pub(crate) fn nanos(t: Duration) -> u64 {
    u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)
}
impl WakeDeadline {
    pub(crate) fn set(&self, d: Option<Duration>) {
        self.0.store(d.map_or(u64::MAX, nanos), Ordering::SeqCst)
    }
    pub(crate) fn is_due(&self, n: u64) -> bool {
        n >= self.0.load(Ordering::SeqCst)
    }
}
