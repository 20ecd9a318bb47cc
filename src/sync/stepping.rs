//! Runs the claim protocol access by access. For tests only: elsewhere [`step`] is empty.

/// A shared access that a thread is about to make.
#[cfg_attr(not(mgm_instrumented), allow(unreachable_pub, reason = "reachable in an instrumented build"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load of the word.
    Load,
    /// A store to the word.
    Store {
        /// The value to be stored.
        value: u64,
    },
    /// A compare-and-swap of the word.
    CompareExchange {
        /// The value that the word must have.
        current: u64,
        /// The value that it then gets.
        new: u64,
    },
    /// A fence; its address is 0.
    Fence,
}

/// Calls the hook of the calling thread, if it has set one.
#[cfg(not(any(test, mgm_instrumented)))]
#[inline(always)]
pub(super) fn step(_: Access, _: usize) {}

#[cfg(any(test, mgm_instrumented))]
pub(super) use hook::step;
#[cfg(any(test, mgm_instrumented))]
pub use hook::{clear, set};

#[cfg(any(test, mgm_instrumented))]
mod hook {
    use super::Access;
    use std::cell::RefCell;

    type Hook = Box<dyn FnMut(Access, usize)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Sets a hook that is called on this thread before each shared access of the claim protocol, until [`clear`].
    ///
    /// The hook receives the access and the address of the word. It may block. Accesses that it makes itself are not
    /// stepped.
    pub fn set(hook: impl FnMut(Access, usize) + 'static) {
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
    }

    /// Removes the hook of this thread.
    pub fn clear() {
        HOOK.with(|h| *h.borrow_mut() = None);
    }

    pub(in super::super) fn step(access: Access, address: usize) {
        // A thread without thread-locals any more has no hook; a hook that runs is not called again.
        let _ = HOOK.try_with(|h| {
            if let Ok(mut hook) = h.try_borrow_mut()
                && let Some(hook) = hook.as_mut()
            {
                hook(access, address);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ordering, SteppedWord};
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn the_hook_is_called_before_each_access() {
        let word = Rc::new(SteppedWord::new(1));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (w, s) = (word.clone(), seen.clone());
        set(move |access, address| {
            assert_eq!(address, w.address());
            s.borrow_mut().push((access, w.unstepped().load(Ordering::Relaxed)));
        });
        word.store(2, Ordering::Relaxed);
        assert_eq!(word.load(Ordering::Relaxed), 2);
        assert_eq!(word.compare_exchange(2, 3, Ordering::AcqRel, Ordering::Acquire), Ok(2));
        clear();
        word.store(4, Ordering::Relaxed);
        let exchange = Access::CompareExchange { current: 2, new: 3 };
        assert_eq!(*seen.borrow(), [(Access::Store { value: 2 }, 1), (Access::Load, 2), (exchange, 2)]);
    }
}
