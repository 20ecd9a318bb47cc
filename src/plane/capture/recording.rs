//! [`Recording`]: a whole capture in memory, to be forwarded once or again and again.

use super::{CaptureInterface, CaptureReader, Frame, ReadError};
use crate::plane::Link;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// So many frames make a batch, unless they are large.
const FRAMES: usize = 512;
/// So many octets fill a batch.
const OCTETS: usize = 512 << 10;

/// What a capture holds, as far as it could be read.
#[derive(Debug)]
pub struct Recording {
    interfaces: Vec<CaptureInterface>,
    batches: Vec<Arc<Batch>>,
    frames: u64,
    end: Result<(), ReadError>,
}

/// Frames that followed each other, with their octets in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Batch {
    octets: Vec<u8>,
    frames: Vec<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    interface: u32,
    time: Duration,
    length: u32,
    link: Link,
    at: u32,
    captured: u32,
}

impl Recording {
    /// Reads a capture to its end, or as far as it goes; [`Recording::end`] tells which.
    #[must_use]
    pub fn read(input: impl Read) -> Recording {
        Self::read_with(input, |_| ())
    }

    /// The same, telling now and then how many octets of the input were used so far.
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
            if batch.frames.len() == FRAMES || batch.octets.len() >= OCTETS {
                batches.push(Arc::new(std::mem::take(&mut batch)));
                progress(reader.position());
            }
        };
        if !batch.frames.is_empty() {
            batches.push(Arc::new(batch));
        }
        Recording { interfaces: reader.interfaces().to_vec(), batches, frames, end }
    }

    /// The interfaces it names, in the order in which they are described.
    #[must_use]
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    /// How many frames it holds.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether it could be read to its end.
    ///
    /// # Errors
    /// Why it could not.
    pub fn end(&self) -> Result<(), &ReadError> {
        self.end.as_ref().copied()
    }

    /// Whether it could be read to its end; to be asked last.
    ///
    /// # Errors
    /// Why it could not.
    pub fn into_end(self) -> Result<(), ReadError> {
        self.end
    }

    pub(super) fn batches(&self) -> &[Arc<Batch>] {
        &self.batches
    }

    /// When its first frame was captured.
    pub(super) fn start(&self) -> Option<Duration> {
        self.batches.first().and_then(|batch| batch.frames.first()).map(|frame| frame.time)
    }
}

impl Batch {
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        // A batch is full long before 2^32 octets: the largest frame has 16 MiB.
        let (at, captured) = (self.octets.len() as u32, frame.octets.len() as u32);
        self.octets.extend_from_slice(frame.octets);
        let Frame { interface, time, length, link, .. } = *frame;
        self.frames.push(Kept { interface, time, length, link, at, captured });
    }

    pub(super) fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.frames.iter().map(|kept| {
            let &Kept { interface, time, length, link, at, captured } = kept;
            Frame { interface, time, length, link, octets: self.octets(at, captured) }
        })
    }

    pub(super) fn octets(&self, at: u32, length: u32) -> &[u8] {
        &self.octets[at as usize..at as usize + length as usize]
    }

    /// Where a part of a frame of this batch lies.
    pub(super) fn position(&self, part: &[u8]) -> u32 {
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
    fn frames_come_back_in_order_over_all_batches() {
        let mut writer = CaptureWriter::new(Vec::new(), "eth0", Link::Ethernet, None).unwrap();
        let octets = |n: u32| vec![n as u8; 1 + n as usize % 1500];
        for n in 0..2000 {
            writer.write(Duration::from_nanos(n.into()), &octets(n)).unwrap();
        }
        let mut file = writer.finish().unwrap();
        file.truncate(file.len() - 1);
        let mut told = 0;
        let recording = Recording::read_with(&file[..], |octets| told = octets);
        assert!(told > 0 && told < file.len() as u64);
        assert!(matches!(recording.end(), Err(ReadError::CutShort { .. })));
        assert!(recording.batches().len() > 2);
        assert_eq!(recording.frames(), 1999);
        let frames = recording.batches().iter().flat_map(|batch| batch.frames());
        let mut frames = frames.map(|frame| (frame.time.as_nanos() as u32, frame.octets.to_vec()));
        assert!(frames.by_ref().eq((0..1999).map(|n| (n, octets(n)))));
        let batch = &recording.batches()[1];
        for (n, frame) in batch.frames().enumerate() {
            assert_eq!(batch.octets(batch.position(&frame.octets[1..]), 0), b"");
            assert_eq!(batch.time(n as u32), frame.time);
        }
    }
}
