//! [`Recording`]: a whole capture in memory, to be forwarded once or repeatedly.

use super::time_order::TimeOrder;
use super::{CaptureInterface, CaptureReader, Frame, ReadError, Times};
use crate::plane::{Link, MacAddress, Port};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// The number of frames in a batch, unless they are large.
const BATCH_FRAMES: usize = 512;
/// The number of octets that fill a batch.
const BATCH_OCTETS: usize = 512 << 10;

/// The frames of a capture in the order of time, as far as it could be read.
#[derive(Debug)]
pub struct Recording {
    interfaces: Vec<CaptureInterface>,
    batches: Vec<Arc<Batch>>,
    frames: u64,
    times: Times,
    end: Result<(), ReadError>,
}

/// Consecutive frames, with their octets in one allocation.
#[derive(Debug, Default)]
pub(super) struct Batch {
    octets: Vec<u8>,
    frames: Vec<FrameRecord>,
}

#[derive(Clone, Copy, Debug)]
struct FrameRecord {
    interface: u32,
    /// Nanoseconds since 1970. A reader clamps times to those that fit.
    time: u64,
    length: u32,
    link: Link,
    at: u32,
    captured: u32,
    cut: u32,
    outgoing: bool,
    no_room: bool,
}

impl Recording {
    /// The default of the longest gap between the time of a frame and the times of all others: a day.
    pub const MAX_GAP: Duration = Duration::from_secs(24 * 60 * 60);

    /// Reads a capture to its end, or up to the first error. [`Recording::end`] returns that error.
    #[must_use]
    pub fn read(input: impl Read) -> Recording {
        Self::read_with(input, Self::MAX_GAP, |_| ())
    }

    /// Does the same, and passes the number of octets used so far to `progress` from time to time.
    ///
    /// A few frames with times more than `max_gap` outside those of all others get the time of the frame before them in the
    /// file. [`Recording::times`] counts them.
    #[must_use]
    pub fn read_with(input: impl Read, max_gap: Duration, mut progress: impl FnMut(u64)) -> Recording {
        let mut reader = match CaptureReader::new(input) {
            Ok(reader) => reader,
            Err(error) => {
                let (interfaces, batches, times) = (Vec::new(), Vec::new(), Times::default());
                return Recording { interfaces, batches, frames: 0, times, end: Err(error) };
            }
        };
        let (mut batches, mut batch, mut frames) = (Vec::new(), Batch::default(), 0);
        let mut order = TimeOrder::new();
        let end = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => order.push(batch.push(&frame)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            frames += 1;
            if batch.is_full() {
                batches.push(std::mem::take(&mut batch));
                progress(reader.position());
            }
        };
        if batch.len() > 0 {
            batches.push(batch);
        }
        let (batches, times) = order.apply(batches, max_gap);
        Recording { interfaces: reader.interfaces().to_vec(), batches, frames, times, end }
    }

    /// Returns the interfaces of the capture, in the order of their description.
    #[must_use]
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    /// Returns a port for each interface of the capture, in the same order, with interface indices from 1.
    ///
    /// An interface without an Ethernet address gets a [made one](MacAddress::for_interface).
    #[must_use]
    pub fn ports(&self) -> Vec<Port> {
        let port = |(index, interface): (u32, &CaptureInterface)| Port {
            name: interface.name.clone(),
            index,
            link: interface.link,
            mac: interface.mac.unwrap_or(MacAddress::for_interface(index)),
        };
        (1..).zip(&self.interfaces).map(port).collect()
    }

    /// Returns the number of frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Returns what the times of the frames were like.
    #[must_use]
    pub fn times(&self) -> Times {
        self.times
    }

    /// Returns whether the capture was read to its end.
    ///
    /// # Errors
    /// The error that ended it.
    pub fn end(&self) -> Result<(), &ReadError> {
        self.end.as_ref().copied()
    }

    /// Consumes the recording, and returns whether the capture was read to its end.
    ///
    /// # Errors
    /// The error that ended it.
    pub fn into_end(self) -> Result<(), ReadError> {
        self.end
    }

    pub(super) fn batches(&self) -> &[Arc<Batch>] {
        &self.batches
    }

    /// Returns the time of the first frame.
    pub(super) fn start(&self) -> Duration {
        self.times.first
    }
}

impl Batch {
    /// Adds a frame. Returns its time in nanoseconds.
    pub(super) fn push(&mut self, frame: &Frame<'_>) -> u64 {
        let at = self.push_octets(frame.octets);
        let Frame { interface, time, length, link, octets, cut, outgoing, no_room } = *frame;
        let (captured, time) = (octets.len() as u32, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let record = FrameRecord { interface, time, length, link, at, captured, cut, outgoing, no_room };
        self.frames.push(record);
        time
    }

    /// Adds a frame of another batch, with this time.
    pub(super) fn push_at(&mut self, other: &Batch, frame: u32, time: u64) {
        let record = other.frames[frame as usize];
        let at = self.push_octets(other.octets(record.at, record.captured));
        self.frames.push(FrameRecord { time, at, ..record });
    }

    fn push_octets(&mut self, octets: &[u8]) -> u32 {
        // The batch is full long before 2^32 octets: the largest frame has 16 MiB.
        let at = self.octets.len() as u32;
        self.octets.extend_from_slice(octets);
        at
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() == BATCH_FRAMES || self.octets.len() >= BATCH_OCTETS
    }

    pub(super) fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.frames.iter().map(|record| {
            let &FrameRecord { interface, time, length, link, at, captured, cut, outgoing, no_room } = record;
            let (time, octets) = (Duration::from_nanos(time), self.octets(at, captured));
            Frame { interface, time, length, link, octets, cut, outgoing, no_room }
        })
    }

    pub(super) fn octets(&self, at: u32, length: u32) -> &[u8] {
        &self.octets[at as usize..at as usize + length as usize]
    }

    /// Returns the offset of a part of a frame of this batch.
    pub(super) fn offset(&self, part: &[u8]) -> u32 {
        (part.as_ptr() as usize - self.octets.as_ptr() as usize) as u32
    }

    pub(super) fn time(&self, frame: u32) -> Duration {
        Duration::from_nanos(self.nanoseconds(frame))
    }

    /// Returns the time of a frame in nanoseconds.
    pub(super) fn nanoseconds(&self, frame: u32) -> u64 {
        self.frames[frame as usize].time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::capture::CaptureWriter;

    #[test]
    fn frames_keep_their_order_over_all_batches() {
        let mut writer = CaptureWriter::new(Vec::new(), "eth0", Link::Ethernet, None).unwrap();
        let octets = |n: u32| vec![n as u8; 1 + n as usize % 1500];
        for n in 0..2000 {
            writer.write(Duration::from_nanos(n.into()), &octets(n)).unwrap();
        }
        let mut file = writer.finish().unwrap();
        file.truncate(file.len() - 1);
        let mut used = 0;
        let recording = Recording::read_with(&file[..], Recording::MAX_GAP, |octets| used = octets);
        assert!(used > 0 && used < file.len() as u64);
        assert!(matches!(recording.end(), Err(ReadError::CutShort { .. })));
        assert!(recording.batches().len() > 2);
        assert_eq!(recording.frames(), 1999);
        let frames = recording.batches().iter().flat_map(|batch| batch.frames());
        let mut frames = frames.map(|frame| (frame.time.as_nanos() as u32, frame.octets.to_vec()));
        assert!(frames.by_ref().eq((0..1999).map(|n| (n, octets(n)))));
        let batch = &recording.batches()[1];
        for (n, frame) in batch.frames().enumerate() {
            assert_eq!(batch.octets(batch.offset(&frame.octets[1..]), 0), b"");
            assert_eq!(batch.time(n as u32), frame.time);
        }
    }
}
