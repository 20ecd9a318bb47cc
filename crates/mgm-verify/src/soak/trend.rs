//! Checks whether memory, garbage and descriptors grow.
//!
//! A leak is a trend in noisy samples: the system stops threads for a while, and memory is returned late. Two medians are
//! therefore compared: that of the last tenth of the samples and that of the second tenth. In the first tenth the process
//! warms up: flows get their records, tables their first segments, and each thread its allocator's arena. A steady leak
//! has grown from 15 % to 95 % of its final size between the middles of the two tenths. The difference of the medians is
//! therefore four fifths of the leak.
//!
//! **Memory** is measured after the allocator was asked to return free memory. glibc keeps more after each thread that the
//! system stopped while garbage waited for it, which looks like a leak and is none. The bound for each thread has two
//! parts. The kernel counts resident pages in batches of up to 64 for each thread or processor, and does not show what it
//! has not added up. An arena of malloc returns whole pages only, so small pieces keep some pages: the bound allows as
//! many again. That is 128 pages a thread, half a megabyte with pages of 4 KiB. With five threads, a leak of a thousand
//! octets a second shows within an hour.
//!
//! **Garbage** is removed objects that wait for readers. It may rise to twice its early median plus what the shards gather
//! before they make a batch: 64 objects in each of 16 shards of two tables, 2048. The amount depends on how long the system
//! stops a thread in a look-up. Without any reclamation it would reach a million within minutes, when the tables are full.
//!
//! **Descriptors** must be no more than at the first sample, when all threads run already.

use super::Sample;
use super::gauges::Gauges;
use crate::report::grouped;
use serde::Serialize;

/// The least number of samples that the checks need.
const MIN_SAMPLES: usize = 20;
/// The pages that memory may grow by for each thread.
const PAGES: u64 = 128;
/// The objects that garbage may grow by besides doubling.
const GARBAGE_SLACK: u64 = 2 * 16 * 64;

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The property that was checked.
    pub what: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The measured values, in a sentence.
    pub found: String,
}

/// Checks memory, garbage and descriptors of a process with this number of threads.
pub(super) fn check(samples: &[Sample], threads: u64) -> Vec<Finding> {
    if samples.len() < MIN_SAMPLES {
        let found = format!(
            "{} samples were taken and at least {MIN_SAMPLES} are needed: give a longer --seconds",
            samples.len()
        );
        return vec![Finding { what: "there are enough samples", holds: false, found }];
    }
    vec![memory(samples, threads), garbage(samples), descriptors(samples)]
}

/// Returns by how many octets memory may grow.
pub(super) fn memory_bound(threads: u64) -> u64 {
    threads * PAGES * Gauges::page()
}

fn memory(samples: &[Sample], threads: u64) -> Finding {
    let bound = memory_bound(threads);
    let (early, late) = medians(samples, |sample| sample.resident);
    let found = format!(
        "median of the second tenth {} octets, of the last tenth {}: {} (up to {} more is no growth)",
        grouped(early),
        grouped(late),
        difference(early, late),
        grouped(bound)
    );
    Finding { what: "resident memory stays flat", holds: late <= early + bound, found }
}

fn garbage(samples: &[Sample]) -> Finding {
    let (early, late) = medians(samples, |sample| sample.garbage);
    let bound = 2 * early + GARBAGE_SLACK;
    let peak = samples.iter().map(|sample| sample.garbage).max().unwrap_or(0);
    let found = format!(
        "median of the second tenth {} objects, of the last tenth {} (up to {} is no growth), peak {}",
        grouped(early),
        grouped(late),
        grouped(bound),
        grouped(peak)
    );
    Finding { what: "garbage stays bounded", holds: late <= bound, found }
}

fn descriptors(samples: &[Sample]) -> Finding {
    let first = samples.first().map_or(0, |sample| sample.descriptors);
    let last = last_tenth(samples).iter().map(|sample| sample.descriptors).max().unwrap_or(0);
    let found = format!("{first} at the beginning, at most {last} in the last tenth");
    Finding { what: "no descriptor is left open", holds: last <= first, found }
}

fn difference(early: u64, late: u64) -> String {
    if late >= early {
        format!("{} more", grouped(late - early))
    } else {
        format!("{} less", grouped(early - late))
    }
}

fn last_tenth(samples: &[Sample]) -> &[Sample] {
    &samples[samples.len() - samples.len() / 10..]
}

/// Returns the medians of the second and of the last tenth.
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

    /// Checks an hour with a warm-up, changed by a fault.
    fn hour(fault: impl Fn(u64, &mut Sample)) -> Vec<Finding> {
        let samples: Vec<_> = (0..3600)
            .map(|second| {
                let noise = second * 7919 % 1000;
                let mut sample = Sample {
                    seconds: second as f64,
                    resident: (20 << 20) + 4096 * (noise / 10) + second.min(200) * 10_000,
                    // A reader is stopped for a second at times.
                    garbage: if noise < 10 { 200_000 } else { 300 + noise },
                    descriptors: 4,
                    packets: second * 1_000_000,
                    operations: second * 2_000_000,
                };
                fault(second, &mut sample);
                sample
            })
            .collect();
        check(&samples, 5)
    }

    fn broken(findings: &[Finding]) -> Vec<&str> {
        findings.iter().filter(|finding| !finding.holds).map(|finding| finding.what).collect()
    }

    #[test]
    fn a_healthy_hour_holds() {
        let findings = hour(|_, _| ());
        assert!(broken(&findings).is_empty(), "{findings:?}");
        assert_eq!(findings.len(), 3);
    }

    #[test]
    fn a_leak_of_a_thousand_octets_a_second_is_found() {
        let findings = hour(|second, sample| sample.resident += 1000 * second);
        assert_eq!(broken(&findings), ["resident memory stays flat"]);
        let findings = hour(|second, sample| sample.resident += 100 * second);
        assert!(broken(&findings).is_empty(), "too little to detect");
    }

    #[test]
    fn growing_garbage_is_found() {
        let findings = hour(|second, sample| sample.garbage += 2 * second);
        assert_eq!(broken(&findings), ["garbage stays bounded"]);
        let findings = hour(|second, sample| sample.garbage += second.saturating_sub(2700) * 100);
        assert_eq!(broken(&findings), ["garbage stays bounded"], "it grows late");
    }

    #[test]
    fn one_descriptor_left_open_is_found() {
        let findings = hour(|second, sample| sample.descriptors += u64::from(second >= 1800));
        assert_eq!(broken(&findings), ["no descriptor is left open"]);
        assert!(broken(&hour(|second, sample| sample.descriptors += second % 2)).len() == 1);
        assert!(broken(&hour(|second, sample| sample.descriptors += u64::from(second == 1800))).is_empty());
    }

    #[test]
    fn too_few_samples_are_no_success() {
        let findings = check(&[], 5);
        assert_eq!(broken(&findings), ["there are enough samples"]);
    }
}
