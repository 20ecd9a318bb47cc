//! [`Recording`]: a whole capture in memory, to be forwarded once or repeatedly.

use super::{CaptureInterface, CaptureReader, Frame, ReadError};
use crate::plane::{Link, MacAddress, Port};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// The number of frames in a batch, unless they are large.
const BATCH_FRAMES: usize = 512;
/// The number of octets that fill a batch.
const BATCH_OCTETS: usize = 512 << 10;

/// The frames of a capture, as far as it could be read.
#[derive(Debug)]
pub struct Recording {
    interfaces: Vec<CaptureInterface>,
    batches: Vec<Arc<Batch>>,
    frames: u64,
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
    time: Duration,
    length: u32,
    link: Link,
    at: u32,
    captured: u32,
}

impl Recording {
    /// Reads a capture to its end, or up to the first error. [`Recording::end`] returns that error.
    #[must_use]
    pub fn read(input: impl Read) -> Recording {
        Self::read_with(input, |_| ())
    }

    /// Does the same, and passes the number of octets used so far to `progress` from time to time.
    #[must_use]
    pub fn read_with(input: impl Read, mut progress: impl FnMut(u64)) -> Recording {
        let mut reader = match CaptureReader::new(input) {
            Ok(reader) => reader,
            Err(error) => {
                return Recording { interfaces: Vec::new(), batches: Vec::new(), frames: 0, end: Err(error) };
            }
        };
        let (mut batches, mut batch, mut frames) = (Vec::new(), Batch::default(), 0);
        let end = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => batch.push(&frame),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            frames += 1;
            if batch.frames.len() == BATCH_FRAMES || batch.octets.len() >= BATCH_OCTETS {
                batches.push(Arc::new(std::mem::take(&mut batch)));
                progress(reader.position());
            }
        };
        if !batch.frames.is_empty() {
            batches.push(Arc::new(batch));
        }
        Recording { interfaces: reader.interfaces().to_vec(), batches, frames, end }
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
    pub(super) fn start(&self) -> Option<Duration> {
        self.batches.first().and_then(|batch| batch.frames.first()).map(|frame| frame.time)
    }
}

impl Batch {
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        // The batch is full long before 2^32 octets: the largest frame has 16 MiB.
        let (at, captured) = (self.octets.len() as u32, frame.octets.len() as u32);
        self.octets.extend_from_slice(frame.octets);
        let Frame { interface, time, length, link, .. } = *frame;
        self.frames.push(FrameRecord { interface, time, length, link, at, captured });
    }

    pub(super) fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.frames.iter().map(|record| {
            let &FrameRecord { interface, time, length, link, at, captured } = record;
            Frame { interface, time, length, link, octets: self.octets(at, captured) }
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
        let recording = Recording::read_with(&file[..], |octets| used = octets);
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
