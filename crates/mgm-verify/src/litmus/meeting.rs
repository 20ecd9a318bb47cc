//! Two threads that meet: each phase begins on both at almost the same time.

use super::Size;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A count on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// The meeting point of two threads.
pub(super) struct Meeting {
    phases: [Line; 2],
    began: Instant,
    limit: Duration,
    over: AtomicBool,
}

/// One of the two threads.
pub(super) struct Party<'m> {
    meeting: &'m Meeting,
    /// 0 or 1.
    pub(super) me: usize,
    phase: u64,
    /// A number that changes from round to round.
    noise: u64,
}

impl Party<'_> {
    /// Blocks until both threads begin the round. Returns whether there is time for it; both get the same answer.
    pub(super) fn begin(&mut self) -> bool {
        // Relaxed, here and below: the meeting orders the store before the load. The next store comes after the other
        // thread has come to the end of the round.
        if self.me == 0 && self.meeting.began.elapsed() > self.meeting.limit {
            self.meeting.over.store(true, Ordering::Relaxed);
        }
        self.meet();
        !self.meeting.over.load(Ordering::Relaxed)
    }

    /// Blocks until both threads have come here. What each did before is visible to the other afterwards.
    pub(super) fn meet(&mut self) {
        self.phase += 1;
        let [mine, yours] = [self.me, 1 - self.me].map(|n| &self.meeting.phases[n].0);
        // SeqCst, with the load below: no store of an earlier phase still waits when the next phase begins.
        mine.store(self.phase, Ordering::SeqCst);
        let mut spins = 0_u32;
        while yours.load(Ordering::SeqCst) < self.phase {
            spins += 1;
            if spins.is_multiple_of(4_000) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Waits a little: up to so many spins, another number each time.
    pub(super) fn stagger(&mut self, spins: u64) {
        self.noise =
            self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (0..(self.noise >> 33) % (spins + 1)).for_each(|_| std::hint::spin_loop());
    }
}

/// Runs `party` on two threads, each on a processor of its own if there is one. Returns their answers.
pub(super) fn together<R: Send>(size: Size, party: impl Fn(Party<'_>) -> R + Sync) -> [R; 2] {
    let meeting = Meeting {
        phases: Default::default(),
        began: Instant::now(),
        limit: size.limit,
        over: AtomicBool::new(false),
    };
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    thread::scope(|scope| {
        let threads = [0, 1].map(|me| {
            let (meeting, party, processors) = (&meeting, &party, &processors);
            scope.spawn(move || {
                if processors.len() > 1 {
                    core_affinity::set_for_current(processors[me]);
                }
                party(Party { meeting, me, phase: 0, noise: me as u64 })
            })
        });
        threads.map(|thread| thread.join().expect("a panic ends the test"))
    })
}

/// Counts rounds by what the two threads saw in each. `None`: the round does not count.
pub(super) fn count(seen: &[Vec<Option<bool>>; 2]) -> super::Counts {
    let mut counts = super::Counts::default();
    for (one, other) in seen[0].iter().zip(&seen[1]) {
        if let (Some(one), Some(other)) = (one, other) {
            counts.count(usize::from(!one) + usize::from(!other));
        }
    }
    counts
}
