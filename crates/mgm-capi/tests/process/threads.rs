//! The library's thread, and threads that are ending.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ptr::null;
use std::sync::Mutex;

/// Returns the signals that the thread of this name has blocked, one bit each.
fn blocked(name: &str) -> Option<u64> {
    let task = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let status = task.map(|task| std::fs::read_to_string(task.join("status")).unwrap_or_default());
    let of_thread =
        status.filter(|status| status.lines().any(|line| line == format!("Name:\t{name}"))).last()?;
    let mask = of_thread.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[test]
fn the_thread_of_the_library_blocks_all_signals() {
    alone("threads::the_thread_of_the_library_blocks_all_signals", || {
        let own = || std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let mask = |status: String| status.lines().find(|line| line.starts_with("SigBlk")).map(str::to_owned);
        let before = mask(own());
        initialize();
        let bit = |signal: i32| 1 << (signal - 1);
        // SIGKILL and SIGSTOP cannot be blocked; the C library keeps 32 and 33 for itself.
        let never = bit(libc::SIGKILL) | bit(libc::SIGSTOP) | bit(32) | bit(33);
        wait_until(|| blocked("mgm").is_some());
        assert_eq!(blocked("mgm").unwrap() | never, u64::MAX);
        assert_eq!(mask(own()), before, "the mask of the starting thread has changed");
        assert_eq!(MgmDeInitialize(), NO_ERROR);
    });
}

/// The results of the calls that destructors made.
static RESULTS: Mutex<Vec<(DWORD, DWORD)>> = Mutex::new(Vec::new());

fn forward() {
    let (flow, mut arrival) = (flow(SOURCE, GROUP), MGM_EXT_INTERFACE::default());
    arrival.dwIfIndex = UPSTREAM;
    let (mut verdict, mut outgoing, mut count) = (DWORD::MAX, [arrival; 4], 4);
    let code = c!(MgmExtForward(
        &raw const flow,
        &raw const arrival,
        null(),
        0,
        &raw mut verdict,
        outgoing.as_mut_ptr(),
        &raw mut count
    ));
    RESULTS.lock().unwrap().push((code, verdict));
}

unsafe extern "C" fn destructor(_: *mut libc::c_void) {
    forward();
    let client = register(PROTOCOL, 50, no_callbacks());
    assert_eq!(MgmTakeInterfaceOwnership(client, OTHER, 0), NO_ERROR);
    assert_eq!(MgmReleaseInterfaceOwnership(client, OTHER, 0), NO_ERROR);
    assert_eq!(MgmDeRegisterMProtocol(client), NO_ERROR);
}

#[test]
fn destructors_of_threads_may_call_every_function() {
    alone("threads::destructors_of_threads_may_call_every_function", || {
        let _stage = Stage::new();
        assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
        let mut key = 0;
        // SAFETY: the pointer leads to a local.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(destructor)) }, 0);
        let thread = std::thread::spawn(move || {
            forward();
            // SAFETY: the key exists, and its destructor ignores the pointer, which must not be null.
            assert_eq!(unsafe { libc::pthread_setspecific(key, std::ptr::without_provenance(1)) }, 0);
        });
        thread.join().unwrap();
        wait_until(|| RESULTS.lock().unwrap().len() == 2);
        // Rust's thread-locals are gone by the time of the second call.
        assert_eq!(*RESULTS.lock().unwrap(), [(NO_ERROR, MGM_EXT_FORWARD); 2]);
        assert_eq!(MgmExtPanics(), 0);
    });
}
