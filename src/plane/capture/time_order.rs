//! The order of a recording: by time, over all interfaces.
//!
//! A capture of several interfaces is a file in the order in which its program wrote: each interface's packets come in
//! bunches. The clock of a router that followed that order would be wrong.

use super::recording::Batch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What the times of a recording were like, and what was done about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The time of the first frame, since 1970-01-01 UTC, in the order of time.
    pub first: Duration,
    /// The time of the last frame.
    pub last: Duration,
    /// Frames with a time before that of a frame before them in the file.
    pub out_of_order: u64,
    /// Frames with a time far outside all others. They have the time of the frame before them in the file instead.
    pub outside: u64,
}

/// The most frames that can be far outside the rest. More of them are a capture of their own in the same file.
const MANY: usize = 100;

/// The times of a recording's frames while it is read.
pub(super) struct TimeOrder {
    times: Vec<u64>,
    latest: u64,
    out_of_order: u64,
}

impl TimeOrder {
    pub(super) fn new() -> TimeOrder {
        TimeOrder { times: Vec::new(), latest: 0, out_of_order: 0 }
    }

    /// Adds the time of the next frame in the file, in nanoseconds.
    pub(super) fn push(&mut self, time: u64) {
        self.out_of_order += u64::from(time < self.latest);
        self.latest = self.latest.max(time);
        self.times.push(time);
    }

    /// Puts all frames into the order of time. Frames of one time stay in the order of the file.
    ///
    /// Replaces times more than `max_gap` outside the rest. Needs little more memory than the batches: frees each of the old
    /// ones when its last frame is in a new one.
    pub(super) fn apply(mut self, batches: Vec<Batch>, max_gap: Duration) -> (Vec<Arc<Batch>>, Times) {
        let outside = self.replace_outside(u64::try_from(max_gap.as_nanos()).unwrap_or(u64::MAX));
        let extreme = |time: Option<&u64>| Duration::from_nanos(time.copied().unwrap_or(0));
        let (first, last) = (extreme(self.times.iter().min()), extreme(self.times.iter().max()));
        let times = Times { first, last, out_of_order: self.out_of_order, outside };
        if self.out_of_order == 0 && outside == 0 {
            return (batches.into_iter().map(Arc::new).collect(), times);
        }
        (self.reorder(batches), times)
    }

    /// Gives frames with a time far outside the rest the time of the frame before them. Returns their number.
    fn replace_outside(&mut self, max_gap: u64) -> u64 {
        let (Some(&min), Some(&max)) = (self.times.iter().min(), self.times.iter().max()) else { return 0 };
        if max - min <= max_gap {
            return 0;
        }
        let ranges = outside_ranges(self.times.clone(), max_gap);
        let is_outside = |time: u64| ranges.iter().any(|(from, to)| (*from..=*to).contains(&time));
        // At the beginning of the file there is no frame before.
        let rest = self.times.iter().copied().filter(|time| !is_outside(*time));
        let mut before = rest.min().unwrap_or(min);
        let mut outside = 0;
        for time in &mut self.times {
            if is_outside(*time) {
                outside += 1;
                *time = before;
            }
            before = *time;
        }
        outside
    }

    fn reorder(self, batches: Vec<Batch>) -> Vec<Arc<Batch>> {
        // The position of a frame's batch and its position there.
        let mut order = Vec::with_capacity(self.times.len());
        let mut times = self.times.into_iter();
        for (number, batch) in (0_u32..).zip(&batches) {
            order
                .extend((0_u32..).zip(times.by_ref().take(batch.len())).map(|(at, time)| (time, number, at)));
        }
        order.sort_unstable();
        let mut left: Vec<_> = batches.into_iter().map(|batch| (batch.len(), batch)).collect();
        let (mut sorted, mut next) = (Vec::new(), Batch::default());
        for (time, number, at) in order {
            let (frames, batch) = &mut left[number as usize];
            next.push_at(batch, at, time);
            *frames -= 1;
            if *frames == 0 {
                *batch = Batch::default();
            }
            if next.is_full() {
                sorted.push(Arc::new(std::mem::take(&mut next)));
            }
        }
        if next.len() > 0 {
            sorted.push(Arc::new(next));
        }
        sorted
    }
}

/// Returns the ranges of times that are far outside the rest.
///
/// Longer gaps than `max_gap` divide the times into groups. A group is outside if it is small, and much smaller than the largest
/// one: a captured router that was silent for a week has two groups of many frames each.
fn outside_ranges(mut times: Vec<u64>, max_gap: u64) -> Vec<(u64, u64)> {
    times.sort_unstable();
    let mut groups: VecDeque<(u64, u64, usize)> = VecDeque::new();
    for time in times {
        match groups.back_mut() {
            Some((_, to, frames)) if time - *to <= max_gap => (*to, *frames) = (time, *frames + 1),
            _ => groups.push_back((time, time, 1)),
        }
    }
    let largest = groups.iter().map(|(.., frames)| *frames).max().unwrap_or(0);
    let is_outside = |frames: usize| match frames {
        1 => largest > 1,
        _ => frames <= MANY && 4 * frames <= largest,
    };
    groups.into_iter().filter(|(.., frames)| is_outside(*frames)).map(|(from, to, _)| (from, to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::Link;
    use crate::plane::capture::Frame;

    const DAY: u64 = 24 * 60 * 60;

    /// Applies the order to frames at these seconds, in batches of three. Returns second and position in the file of each.
    fn ordered(seconds: &[u64]) -> (Vec<(u64, u8)>, Times) {
        let (mut order, mut batches) = (TimeOrder::new(), Vec::new());
        for (position, second) in seconds.iter().enumerate() {
            if position % 3 == 0 {
                batches.push(Batch::default());
            }
            let time = Duration::from_secs(*second);
            order.push(time.as_nanos() as u64);
            let (length, octets) = (1, &[position as u8][..]);
            let (cut, outgoing, no_room, link) = (0, false, false, Link::Ip);
            let frame = Frame { interface: 0, time, length, link, octets, cut, outgoing, no_room };
            batches.last_mut().unwrap().push(&frame);
        }
        let (batches, times) = order.apply(batches, Duration::from_secs(DAY));
        let frames = batches.iter().flat_map(|batch| batch.frames());
        (frames.map(|frame| (frame.time.as_secs(), frame.octets[0])).collect(), times)
    }

    #[test]
    fn frames_are_stably_sorted_over_batches() {
        let (frames, times) = ordered(&[5, 5, 9, 1, 5, 2, 1]);
        assert_eq!(frames, [(1, 3), (1, 6), (2, 5), (5, 0), (5, 1), (5, 4), (9, 2)]);
        assert_eq!((times.first.as_secs(), times.last.as_secs(), times.out_of_order), (1, 9, 4));
        let (frames, times) = ordered(&[1, 2, 2, 3]);
        assert_eq!(frames, [(1, 0), (2, 1), (2, 2), (3, 3)]);
        assert_eq!((times.out_of_order, times.outside), (0, 0));
        assert_eq!(ordered(&[]), (vec![], Times::default()));
    }

    #[test]
    fn a_time_far_outside_the_rest_is_replaced() {
        let now = 100 * DAY;
        let cases: [(&[u64], &[u64], u64); 6] = [
            // In the middle, at the beginning, at the end, before and behind the rest.
            (&[now, now + 1, 0, now + 2], &[now, now + 1, now + 1, now + 2], 1),
            (&[0, now, now + 1], &[now, now, now + 1], 1),
            (&[now, now + 1, 9 * now], &[now, now + 1, now + 1], 1),
            (&[now, 0, 9 * now, now + 1], &[now, now, now, now + 1], 2),
            // A day is not far, and of two frames neither is the rest.
            (&[now, now + DAY, now + DAY], &[now, now + DAY, now + DAY], 0),
            (&[now, now + DAY + 1], &[now, now + DAY + 1], 0),
        ];
        for (seconds, expected, outside) in cases {
            let (frames, times) = ordered(seconds);
            assert_eq!(frames.iter().map(|frame| frame.0).collect::<Vec<_>>(), expected, "{seconds:?}");
            assert_eq!(times.outside, outside, "{seconds:?}");
        }
    }

    #[test]
    fn two_long_captures_in_one_file_are_both_right() {
        let group = |start: u64, frames: usize| vec![start; frames];
        let both = |small| outside_ranges([group(0, 10_000), group(9 * DAY, small)].concat(), DAY);
        assert_eq!(both(MANY), [(9 * DAY, 9 * DAY)]);
        assert!(both(MANY + 1).is_empty());
        assert!(outside_ranges([group(0, 10), group(9 * DAY, 3)].concat(), DAY).is_empty());
    }
}
