//! The memory and the descriptors that the process uses.

#[cfg(target_os = "linux")]
pub use linux::Gauges;

#[cfg(not(target_os = "linux"))]
pub use other::Gauges;

#[cfg(target_os = "linux")]
mod linux {
    use super::trim_heap;
    use anyhow::Context;
    use procfs::process::Process;

    /// The gauges in /proc/self.
    pub struct Gauges {
        process: Process,
    }

    impl Gauges {
        /// Opens the gauges.
        ///
        /// # Errors
        /// If /proc cannot be read.
        pub fn new() -> anyhow::Result<Gauges> {
            let process = Process::myself().context("/proc/self cannot be read: mount /proc")?;
            Ok(Gauges { process })
        }

        /// Returns the octets of resident memory after the allocator has returned what it keeps free.
        pub(crate) fn resident(&self) -> anyhow::Result<u64> {
            trim_heap();
            let pages = self.process.statm().context("/proc/self/statm cannot be read")?.resident;
            Ok(pages * Self::page())
        }

        /// Returns the number of open descriptors.
        pub(crate) fn descriptors(&self) -> anyhow::Result<u64> {
            Ok(self.process.fd_count().context("/proc/self/fd cannot be read")? as u64)
        }

        /// Returns the octets of a page of memory.
        pub(crate) fn page() -> u64 {
            procfs::page_size()
        }
    }
}

/// Returns free memory to the system. glibc keeps freed memory, and keeps more after each time that the system stopped a
/// thread for which garbage of other threads waited.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim_heap() {
    // SAFETY: malloc_trim may be called at any time and from any thread (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

#[cfg(all(target_os = "linux", not(target_env = "gnu")))]
fn trim_heap() {}

#[cfg(not(target_os = "linux"))]
mod other {
    /// No gauges: this system has no /proc.
    pub struct Gauges;

    impl Gauges {
        /// Fails on this system.
        ///
        /// # Errors
        /// Always.
        pub fn new() -> anyhow::Result<Gauges> {
            anyhow::bail!(
                "mgm soak reads memory and descriptors from /proc, which only Linux has: run it on Linux"
            )
        }

        pub(crate) fn resident(&self) -> anyhow::Result<u64> {
            Ok(0)
        }

        pub(crate) fn descriptors(&self) -> anyhow::Result<u64> {
            Ok(0)
        }

        pub(crate) fn page() -> u64 {
            4096
        }
    }
}
