//! [`Samples`]: what was measured now and then of a run that may last seconds or weeks, in room that does not grow.

use std::time::Duration;

/// The most samples that are kept.
const MOST: usize = 2000;
/// A run has about so many samples at least, however short it is.
const FEW: u32 = 200;
/// No more often is measured than this ...
const OFTEN: Duration = Duration::from_millis(5);
/// ... and, as long as there is room, no more seldom.
const SELDOM: Duration = Duration::from_secs(1);

/// Something that was measured at one instant.
pub(crate) trait Sample: Copy {
    /// Takes in the sample before this one, which is not kept: of what is rare, nothing may be lost.
    fn join(&mut self, earlier: &Self);
}

/// Samples in even distances: once a second in runs longer than minutes, and when there are too many, every second one of
/// those is joined to the next, and measured half as often from then on.
pub(crate) struct Samples<T> {
    every: Duration,
    due: Duration,
    /// Room for all of them from the beginning: who measures memory must not use more and more of it.
    kept: Vec<T>,
}

impl<T: Sample> Samples<T> {
    /// For a run that is expected to last so long.
    pub(crate) fn of(length: Duration) -> Samples<T> {
        let every = (length / FEW).clamp(OFTEN, SELDOM);
        Samples { every, due: Duration::ZERO, kept: Vec::with_capacity(MOST) }
    }

    /// How long it is until the next sample is due, so long after the beginning; zero: now.
    pub(crate) fn wait(&self, elapsed: Duration) -> Duration {
        self.due.saturating_sub(elapsed)
    }

    pub(crate) fn push(&mut self, elapsed: Duration, sample: T) {
        if self.kept.len() == MOST {
            self.halve();
        }
        self.kept.push(sample);
        self.due = (self.due + self.every).max(elapsed);
    }

    pub(crate) fn all(&self) -> &[T] {
        &self.kept
    }

    fn halve(&mut self) {
        self.every *= 2;
        for at in 0..MOST / 2 {
            let (earlier, mut sample) = (self.kept[2 * at], self.kept[2 * at + 1]);
            sample.join(&earlier);
            self.kept[at] = sample;
        }
        self.kept.truncate(MOST / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it was taken, and the highest value since the one before.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Peak(u64, u64);

    impl Sample for Peak {
        fn join(&mut self, earlier: &Self) {
            assert!(earlier.0 < self.0, "{earlier:?} before {self:?}");
            self.1 = self.1.max(earlier.1);
        }
    }

    #[test]
    fn an_hour_and_a_month_fit_and_no_peak_is_lost() {
        for seconds in [3600, 30 * 86400] {
            let mut samples = Samples::of(Duration::from_secs(seconds));
            for second in 0..seconds {
                let elapsed = Duration::from_secs(second);
                if samples.wait(elapsed).is_zero() {
                    let value = if second == 1000 { 99 } else { 1 };
                    samples.push(elapsed, Peak(second, value));
                }
            }
            let all = samples.all();
            assert!((MOST / 2..=MOST).contains(&all.len()), "{}", all.len());
            assert!(all.is_sorted_by_key(|sample| sample.0));
            assert_eq!(all.iter().filter(|sample| sample.1 == 99).count(), 1);
            let every = samples.every.as_secs();
            let even = all.windows(2).all(|pair| (every / 2..=2 * every).contains(&(pair[1].0 - pair[0].0)));
            assert!(even, "every {every} s");
        }
    }

    #[test]
    fn a_short_run_has_enough_samples() {
        let samples = Samples::<Peak>::of(Duration::from_secs(2));
        assert_eq!(samples.every, Duration::from_millis(10));
    }
}
