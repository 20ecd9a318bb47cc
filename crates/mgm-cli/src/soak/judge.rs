//! Whether what was measured is what a router that can run for years looks like.
//!
//! A leak is a trend, and what is measured jumps about: threads are stopped for a while, memory is given back late. So two
//! medians are compared: that of the last tenth of the samples, and that of the second tenth. In the first tenth the process
//! warms up: the capture's flows get their records, tables their first segments, each thread its allocator's arena. What
//! grows steadily is by the end at least four and a half times as far above where it began as at the second tenth's middle
//! (95 % of the run against 15 %), so the difference of the medians is four fifths of all that leaked.
//!
//! **Memory** is measured after the allocator was asked to give back what it keeps free: glibc's keeps more after each thread
//! that the system stopped for longer than any before while others' garbage waited for it, which looks like a leak and is
//! none. It may differ by what cannot be told from no growth, for each thread: the kernel counts resident pages in batches of
//! up to 64 for each thread or processor and does not show what has not been added up; and an arena of malloc gives back
//! whole pages only, so that small pieces that are in use at one time and not at another keep some: as much again is allowed.
//! That is 128 pages a thread, half a megabyte with pages of 4 KiB. With five threads, a leak of a thousand octets a second
//! shows within an hour.
//!
//! **Garbage**, removed objects that wait for readers, may rise to twice what it was, and by what shards gather before they
//! make a batch of it: 64 in each of 16 shards of two tables, 2048. How much there is depends on how long the system stops a
//! thread in the middle of a look-up. Where nothing was reclaimed any more, it would be as much as a million within minutes,
//! which is when the tables are full.
//!
//! **Descriptors** must be no more than at the beginning, when all threads run already.

use super::Sample;
use super::gauges::Gauges;
use crate::tables::grouped;
use serde::Serialize;

/// Of fewer samples nothing can be said.
const FEWEST: usize = 20;
/// For each thread: see above.
const PAGES: u64 = 128;
const GARBAGE_SLACK: u64 = 2 * 16 * 64;

/// Whether one thing holds, and what was found, in a sentence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: &'static str,
    pub(crate) holds: bool,
    pub(crate) found: String,
}

/// Memory, garbage and descriptors, of a process with so many threads.
pub(crate) fn judge(samples: &[Sample], threads: u64) -> Vec<Verdict> {
    if samples.len() < FEWEST {
        let found =
            format!("only {} samples were taken, and {FEWEST} are needed: have it run longer", samples.len());
        return vec![Verdict { what: "enough samples", holds: false, found }];
    }
    vec![memory(samples, threads), garbage(samples), descriptors(samples)]
}

/// By how many octets memory may differ.
pub(crate) fn memory_bound(threads: u64) -> u64 {
    threads * PAGES * Gauges::page()
}

fn memory(samples: &[Sample], threads: u64) -> Verdict {
    let bound = memory_bound(threads);
    let (early, late) = medians(samples, |sample| sample.resident);
    let holds = late <= early + bound;
    let found = format!(
        "median of the second tenth {} octets, of the last tenth {}: {} (at most {} are no growth)",
        grouped(early),
        grouped(late),
        change(early, late),
        grouped(bound)
    );
    Verdict { what: "resident memory stays flat", holds, found }
}

fn garbage(samples: &[Sample]) -> Verdict {
    let (early, late) = medians(samples, |sample| sample.garbage);
    let bound = 2 * early + GARBAGE_SLACK;
    let peak = samples.iter().map(|sample| sample.garbage).max().unwrap_or(0);
    let found = format!(
        "median of the second tenth {} objects, of the last tenth {} (at most {} are no growth), at most {} at once",
        grouped(early),
        grouped(late),
        grouped(bound),
        grouped(peak)
    );
    Verdict { what: "garbage stays bounded", holds: late <= bound, found }
}

fn descriptors(samples: &[Sample]) -> Verdict {
    let begun = samples.first().map_or(0, |sample| sample.descriptors);
    let ended = last_tenth(samples).iter().map(|sample| sample.descriptors).max().unwrap_or(0);
    let found = format!("{begun} at the beginning, at most {ended} in the last tenth");
    Verdict { what: "no descriptor is left open", holds: ended <= begun, found }
}

fn change(early: u64, late: u64) -> String {
    if late >= early {
        format!("{} more", grouped(late - early))
    } else {
        format!("{} less", grouped(early - late))
    }
}

fn last_tenth(samples: &[Sample]) -> &[Sample] {
    &samples[samples.len() - samples.len() / 10..]
}

/// Of the second and of the last tenth.
fn medians(samples: &[Sample], value: impl Fn(&Sample) -> u64) -> (u64, u64) {
    let tenth = samples.len() / 10;
    let median = |part: &[Sample]| {
        let mut values: Vec<u64> = part.iter().map(&value).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    (median(&samples[tenth..2 * tenth]), median(last_tenth(samples)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A healthy hour, with a warm-up, and what goes wrong in it.
    fn hour(wrong: impl Fn(u64, &mut Sample)) -> Vec<Verdict> {
        let samples: Vec<_> = (0..3600)
            .map(|second| {
                let noise = second * 7919 % 1000;
                let mut sample = Sample {
                    seconds: second as f64,
                    resident: (20 << 20) + 4096 * (noise / 10) + second.min(200) * 10_000,
                    // Now and then a reader is stopped for a second.
                    garbage: if noise < 10 { 200_000 } else { 300 + noise },
                    descriptors: 4,
                    packets: second * 1_000_000,
                    operations: second * 2_000_000,
                };
                wrong(second, &mut sample);
                sample
            })
            .collect();
        judge(&samples, 5)
    }

    fn broken(verdicts: &[Verdict]) -> Vec<&str> {
        verdicts.iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.what).collect()
    }

    #[test]
    fn a_healthy_hour_holds() {
        let verdicts = hour(|_, _| ());
        assert!(broken(&verdicts).is_empty(), "{verdicts:?}");
        assert_eq!(verdicts.len(), 3);
    }

    #[test]
    fn a_leak_of_a_thousand_octets_a_second_is_found() {
        assert_eq!(
            broken(&hour(|second, sample| sample.resident += 1000 * second)),
            ["resident memory stays flat"]
        );
        assert!(
            broken(&hour(|second, sample| sample.resident += 100 * second)).is_empty(),
            "too little to tell"
        );
    }

    #[test]
    fn garbage_that_grows_is_found() {
        let verdicts = hour(|second, sample| sample.garbage += 2 * second);
        assert_eq!(broken(&verdicts), ["garbage stays bounded"]);
        // From some time on.
        let verdicts = hour(|second, sample| sample.garbage += second.saturating_sub(2700) * 100);
        assert_eq!(broken(&verdicts), ["garbage stays bounded"]);
    }

    #[test]
    fn one_descriptor_that_stays_open_is_found() {
        let verdicts = hour(|second, sample| sample.descriptors += u64::from(second >= 1800));
        assert_eq!(broken(&verdicts), ["no descriptor is left open"]);
        assert!(broken(&hour(|second, sample| sample.descriptors += second % 2)).len() == 1);
        assert!(broken(&hour(|second, sample| sample.descriptors += u64::from(second == 1800))).is_empty());
    }

    #[test]
    fn of_too_few_samples_nothing_is_said() {
        let verdicts = judge(&[], 5);
        assert_eq!(broken(&verdicts), ["enough samples"]);
    }
}
