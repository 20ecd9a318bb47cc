//! The properties of reading a capture, however damaged it is:
//!
//! - Reading ends. It has used no more octets than there are, and returned no more frames and interfaces than those can describe.
//! - The result is the same however the octets are split between reads.
//! - Cutting octets off the end changes nothing of the frames before.
//! - Frames that were read and written again read the same.

use mgm::plane::Link;
use mgm::plane::capture::{CaptureInterface, CaptureReader, CaptureWriter, ReadError, Recording};
use std::io::{self, Read};
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
struct Owned {
    interface: u32,
    time: Duration,
    length: u32,
    link: Link,
    octets: Vec<u8>,
}

/// The way in which reading ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Well,
    NotACapture,
    CutShort(u64),
    Damaged(u64, &'static str),
}

struct Reading {
    frames: Vec<Owned>,
    interfaces: Vec<CaptureInterface>,
    end: End,
}

/// A reader that returns few octets at a time.
struct Trickle<'a> {
    octets: &'a [u8],
    each: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.each.min(buffer.len());
        self.octets.read(&mut buffer[..length])
    }
}

fn read(input: impl Read, octets: usize) -> Reading {
    let mut reader = match CaptureReader::new(input) {
        Ok(reader) => reader,
        Err(error) => return Reading { frames: Vec::new(), interfaces: Vec::new(), end: end(error) },
    };
    let mut frames = Vec::new();
    let mut last = 0;
    let end = loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.octets.len() <= octets);
                frames.push(Owned {
                    interface: frame.interface,
                    time: frame.time,
                    length: frame.length,
                    link: frame.link,
                    octets: frame.octets.to_vec(),
                });
            }
            Ok(None) => break End::Well,
            Err(error) => break end(error),
        }
        assert!(reader.position() > last, "a frame of no octets");
        last = reader.position();
    };
    assert!(reader.position() <= octets as u64);
    let interfaces = reader.interfaces().to_vec();
    // The shortest record of a pcap file has 16 octets, the shortest block 12, the shortest description 20.
    assert!(frames.len() <= octets / 12 && interfaces.len() <= 1 + octets / 20);
    assert!(frames.iter().all(|frame| (frame.interface as usize) < interfaces.len()));
    assert!(frames.iter().map(|frame| frame.octets.len()).sum::<usize>() <= octets);
    Reading { frames, interfaces, end }
}

fn end(error: ReadError) -> End {
    match error {
        ReadError::Io(error) => panic!("memory cannot be read: {error}"),
        ReadError::NotACapture => End::NotACapture,
        ReadError::CutShort { at } => End::CutShort(at),
        ReadError::Damaged { at, what } => End::Damaged(at, what),
        other => panic!("an error that this target does not know: {other}"),
    }
}

pub fn check(file: &[u8]) {
    let whole = read(file, file.len());
    let each = 1 + file.len() % 7;
    let trickled = read(Trickle { octets: file, each }, file.len());
    assert_eq!(whole.end, trickled.end);
    assert_eq!(whole.frames, trickled.frames);
    assert_eq!(whole.interfaces, trickled.interfaces);
    if let End::CutShort(at) | End::Damaged(at, _) = whole.end {
        assert!(at <= file.len() as u64);
    }

    let cut = &file[..file.len() - file.len() / 3];
    let before = read(cut, cut.len());
    assert!(whole.frames.starts_with(&before.frames));
    assert!(before.interfaces.len() <= whole.interfaces.len());

    let recording = Recording::read(file);
    assert_eq!(recording.frames(), whole.frames.len() as u64);
    assert_eq!(recording.interfaces(), whole.interfaces);
    assert_eq!(recording.end().is_ok(), whole.end == End::Well);

    let Some(interface) = whole.interfaces.first() else { return };
    // Without a link header: octets that look like tags stay.
    let mut writer = CaptureWriter::new(Vec::new(), &interface.name, Link::Ip, interface.mac).unwrap();
    for frame in &whole.frames {
        writer.write(frame.time, &frame.octets).unwrap();
    }
    let written = writer.finish().unwrap();
    let again = read(&written[..], written.len());
    assert_eq!(again.end, End::Well);
    assert_eq!(again.frames.len(), whole.frames.len());
    for (again, frame) in again.frames.iter().zip(&whole.frames) {
        assert_eq!((again.time, &again.octets), (frame.time, &frame.octets));
        assert_eq!((again.length as usize, again.link), (frame.octets.len(), Link::Ip));
    }
    assert!(again.interfaces[0].mac == interface.mac);
}
