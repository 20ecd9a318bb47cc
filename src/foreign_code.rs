//! Foreign code: callbacks, hooks, routes, and destructors of users' values. It may panic, take long, and call everything.
//!
//! One notion for the whole process: whatever table, manager or interface of another language runs foreign code runs it by
//! [`run`]. So a thread that is about to wait for foreign code of other threads can ask [`is_inside`], and must not wait
//! there: two threads inside foreign code could otherwise wait for each other.
//!
//! Foreign code nests when it calls what runs foreign code again. Work that would nest too deeply is put off
//! ([`put_off_without_room`]) until the thread's stack has room again. A call further out on the same thread takes it up, at the latest
//! the outermost, whichever table or manager the work belongs to.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

std::thread_local! {
    /// The number of nested calls of foreign code on this thread. It has no destructor, so that it can be used until the
    /// thread ends.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The work that was put off on this thread.
    static PUT_OFF: RefCell<VecDeque<Arc<dyn PutOff>>> = const { RefCell::new(VecDeque::new()) };
}

/// The number of nested calls of foreign code above which further work is put off.
const MAX_DEPTH: u32 = 32;

/// Work that waits until the stack of its thread has room.
pub trait PutOff {
    /// Does the work. Must not unwind.
    fn run(&self);
}

/// A contained panic of foreign code.
pub struct Panicked {
    message: Option<String>,
}

impl Panicked {
    /// Takes the payload of a panic. A payload is foreign as well: its destructor may panic, so that only the two types
    /// of the standard library's panics are dropped, and every other payload is leaked.
    fn new(payload: Box<dyn Any + Send>) -> Panicked {
        let message = match payload.downcast::<String>() {
            Ok(message) => Some(*message),
            Err(payload) => {
                let message = payload.downcast_ref::<&'static str>().map(|message| (*message).to_owned());
                if planted!("payload-dropped") {
                    drop(payload);
                } else {
                    std::mem::forget(payload);
                }
                message
            }
        };
        Panicked { message }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or("(no message)"))
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panicked").field("message", &self.message).finish()
    }
}

/// Returns whether the calling thread is inside foreign code. Such a thread must not wait for foreign code of another
/// thread to return.
#[must_use]
pub fn is_inside() -> bool {
    DEPTH.get() > 0 && !planted!("inside-unseen")
}

/// Returns whether the stack of the calling thread has room for another call of foreign code.
#[must_use]
pub fn has_stack_room() -> bool {
    DEPTH.get() < MAX_DEPTH
}

/// Counts a call of foreign code until dropped.
struct Inside;

impl Inside {
    fn enter() -> Inside {
        DEPTH.set(DEPTH.get() + 1);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs foreign code and contains its panic. Afterwards does the work that was put off meanwhile, if the stack has room.
/// Must be called with no lock held.
///
/// # Errors
/// [`Panicked`] when the code panicked.
pub fn run<R>(code: impl FnOnce() -> R) -> Result<R, Panicked> {
    let result = contain(code);
    run_put_off();
    result
}

/// Runs foreign code and contains its panic, for a caller that other threads may wait for. The caller has to call
/// [`run_put_off`] when they need not wait any more. Must be called with no lock held.
///
/// # Errors
/// [`Panicked`] when the code panicked.
pub fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Panicked> {
    let result = {
        let _inside = Inside::enter();
        catch_unwind(AssertUnwindSafe(code))
    };
    result.map_err(Panicked::new)
}

/// Does the work if the stack of the calling thread has room, and puts it off otherwise. Must be called with no lock held.
pub fn put_off_without_room(work: Arc<dyn PutOff>) {
    if has_stack_room() { work.run() } else { put_off(work) }
}

/// Leaves work to a call further out on this thread's stack. Does it at once if the calling thread is not inside foreign
/// code, is about to end, or has no memory to remember it.
fn put_off(work: Arc<dyn PutOff>) {
    let kept = is_inside()
        && PUT_OFF
            .try_with(|queue| {
                let mut queue = queue.borrow_mut();
                let room = queue.try_reserve(1).is_ok();
                if room {
                    queue.push_back(work.clone());
                }
                room
            })
            .unwrap_or(false);
    if !kept {
        work.run();
    }
}

/// Does the work that was put off on this thread, as long as the stack has room. Must be called with no lock held.
pub fn run_put_off() {
    while has_stack_room()
        && !planted!("put-off-forgotten")
        && let Ok(Some(work)) = PUT_OFF.try_with(|queue| queue.borrow_mut().pop_front())
    {
        work.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload was dropped");
        }
    }

    #[derive(Default)]
    struct Count(AtomicU32);

    impl PutOff for Count {
        fn run(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn nested(depth: u32, innermost: &mut dyn FnMut()) {
        match depth {
            0 => innermost(),
            _ => run(|| nested(depth - 1, innermost)).unwrap(),
        }
    }

    #[test]
    fn a_panic_is_contained_and_leaves_no_trace() {
        let message = |code: fn()| run(code).unwrap_err().to_string();
        assert_eq!(message(|| panic!("a literal")), "a literal");
        assert_eq!(message(|| panic!("{}", 1)), "1");
        assert_eq!(message(|| std::panic::panic_any(Bomb)), "(no message)");
        assert!(!is_inside());
    }

    #[test]
    fn put_off_work_is_done_once_the_stack_has_room() {
        let work = Arc::<Count>::default();
        nested(MAX_DEPTH, &mut || {
            assert!(!has_stack_room());
            put_off_without_room(work.clone());
            assert_eq!(work.0.load(Ordering::Relaxed), 0);
        });
        assert_eq!(work.0.load(Ordering::Relaxed), 1);
        put_off_without_room(work.clone());
        assert_eq!(work.0.load(Ordering::Relaxed), 2, "at once outside foreign code");
    }
}
