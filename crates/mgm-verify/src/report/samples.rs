//! [`Samples`]: measurements over a run of seconds or of weeks, in memory of fixed size.

use std::time::Duration;

/// The maximum number of samples.
const MAX_SAMPLES: usize = 2000;
/// The least number of samples of a short run, about.
const MIN_SAMPLES: u32 = 200;
/// The shortest interval between samples.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// The longest interval between samples while there is room.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// A measurement at one instant.
pub trait Sample: Copy {
    /// Merges the sample before this one, which is then dropped. Peaks must not be lost.
    fn merge(&mut self, earlier: &Self);
}

/// Samples at equal intervals.
///
/// The interval is one second in runs longer than a few minutes. When there is no room left, each pair of samples is merged
/// and the interval doubles.
#[derive(Clone, Debug)]
pub struct Samples<T> {
    interval: Duration,
    due: Duration,
    /// Allocated for the maximum at the beginning: a run that measures memory must not grow by its own samples.
    kept: Vec<T>,
}

impl<T: Sample> Samples<T> {
    /// Returns an empty series for a run of this expected length.
    #[must_use]
    pub fn for_run(length: Duration) -> Samples<T> {
        let interval = (length / MIN_SAMPLES).clamp(MIN_INTERVAL, MAX_INTERVAL);
        Samples { interval, due: Duration::ZERO, kept: Vec::with_capacity(MAX_SAMPLES) }
    }

    /// Returns the time until the next sample is due, or zero if it is due now.
    #[must_use]
    pub fn wait(&self, elapsed: Duration) -> Duration {
        self.due.saturating_sub(elapsed)
    }

    /// Adds a sample.
    pub fn push(&mut self, elapsed: Duration, sample: T) {
        if self.kept.len() == MAX_SAMPLES {
            self.halve();
        }
        self.kept.push(sample);
        self.due = (self.due + self.interval).max(elapsed);
    }

    /// Returns all samples.
    #[must_use]
    pub fn all(&self) -> &[T] {
        &self.kept
    }

    fn halve(&mut self) {
        self.interval *= 2;
        for at in 0..MAX_SAMPLES / 2 {
            let (earlier, mut sample) = (self.kept[2 * at], self.kept[2 * at + 1]);
            sample.merge(&earlier);
            self.kept[at] = sample;
        }
        self.kept.truncate(MAX_SAMPLES / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of the sample, and the highest value since the one before.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Peak(u64, u64);

    impl Sample for Peak {
        fn merge(&mut self, earlier: &Self) {
            assert!(earlier.0 < self.0, "{earlier:?} before {self:?}");
            self.1 = self.1.max(earlier.1);
        }
    }

    #[test]
    fn an_hour_and_a_month_fit_and_keep_their_peaks() {
        for seconds in [3600, 30 * 86400] {
            let mut samples = Samples::for_run(Duration::from_secs(seconds));
            for second in 0..seconds {
                let elapsed = Duration::from_secs(second);
                if samples.wait(elapsed).is_zero() {
                    let value = if second == 1000 { 99 } else { 1 };
                    samples.push(elapsed, Peak(second, value));
                }
            }
            let all = samples.all();
            assert!((MAX_SAMPLES / 2..=MAX_SAMPLES).contains(&all.len()), "{}", all.len());
            assert!(all.is_sorted_by_key(|sample| sample.0));
            assert_eq!(all.iter().filter(|sample| sample.1 == 99).count(), 1);
            let every = samples.interval.as_secs();
            let even = all.windows(2).all(|pair| (every / 2..=2 * every).contains(&(pair[1].0 - pair[0].0)));
            assert!(even, "every {every} s");
        }
    }

    #[test]
    fn a_short_run_has_enough_samples() {
        let samples = Samples::<Peak>::for_run(Duration::from_secs(2));
        assert_eq!(samples.interval, Duration::from_millis(10));
    }
}
