//! What the process takes of its system: memory and descriptors.

#[cfg(target_os = "linux")]
pub(crate) use linux::Gauges;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Gauges;

#[cfg(target_os = "linux")]
mod linux {
    use super::give_back_free_memory;
    use anyhow::Context;
    use procfs::process::Process;

    /// Read from /proc/self.
    pub(crate) struct Gauges {
        process: Process,
    }

    impl Gauges {
        pub(crate) fn new() -> anyhow::Result<Gauges> {
            let process = Process::myself().context("/proc/self cannot be read")?;
            Ok(Gauges { process })
        }

        /// Octets of memory that are resident, once the allocator has given back what it keeps free.
        pub(crate) fn resident(&self) -> anyhow::Result<u64> {
            give_back_free_memory();
            let pages = self.process.statm().context("/proc/self/statm cannot be read")?.resident;
            Ok(pages * Self::page())
        }

        /// How many descriptors are open.
        pub(crate) fn descriptors(&self) -> anyhow::Result<u64> {
            Ok(self.process.fd_count().context("/proc/self/fd cannot be read")? as u64)
        }

        /// The octets of a page of memory.
        pub(crate) fn page() -> u64 {
            procfs::page_size()
        }
    }
}

/// glibc keeps what was freed, and the more the longer the system once stopped a thread that others' garbage waited for.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back_free_memory() {
    // SAFETY: malloc_trim may be called at any time and from any thread (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

#[cfg(all(target_os = "linux", not(target_env = "gnu")))]
fn give_back_free_memory() {}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    pub(crate) struct Gauges;

    impl Gauges {
        pub(crate) fn new() -> anyhow::Result<Gauges> {
            anyhow::bail!("mgm soak reads its memory and descriptors from Linux's /proc, which is not here")
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
