//! [`frame_ring`]: a ring of frames in memory between two threads.

use super::rewritten::{CopyHeader, Rewritten, SourceWord};
use super::spsc::{self, Receiver, Sender, Slots};
use crate::memory::NoMemory;
use crate::wire::ETHERNET_HEADER;
use std::fmt;
use std::mem::MaybeUninit;

/// Octets of a slot.
///
/// An odd number of cache lines: with slots of 2048 octets, all frames would begin in one of 32 sets of a cache, and those
/// of each ring in the same sets.
pub(super) const SLOT: usize = 33 * 64;
/// Octets of a slot before the frame.
const LENGTH: usize = size_of::<u16>();
/// The offset in a slot of the IP header behind an Ethernet header.
pub(super) const DATAGRAM_AT: usize = LENGTH + ETHERNET_HEADER;

/// The octets of the longest frame that a slot holds.
pub const MAX_FRAME: usize = SLOT - LENGTH;

/// Room for a frame. An IP header behind an Ethernet header begins at a multiple of 16.
///
/// The first two octets are the frame's length in native byte order, and the frame follows. In a published slot the length is
/// initialized, and so are as many octets as it says.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Slot([MaybeUninit<u8>; SLOT]);

const _: () = assert!(size_of::<Slot>() == SLOT);

/// Makes a ring of `slots` slots, or the next power of two, and allocates all of them.
///
/// Returns the two ends. Each belongs to one thread at a time.
///
/// # Errors
/// [`NoMemory`], also for a number of slots that no memory holds.
///
/// ```
/// use mgm::plane::ring::frame_ring;
/// let (mut sender, mut receiver) = frame_ring(2)?;
/// sender.send(b"one").unwrap();
/// sender.send(b"two").unwrap();
/// assert!(sender.send(b"three").is_err());
/// let mut seen = Vec::new();
/// receiver.receive(32, |frame| seen.push(frame.to_vec()));
/// assert_eq!(seen, [b"one", b"two"]);
/// # Ok::<(), mgm::forwarding::NoMemory>(())
/// ```
pub fn frame_ring(slots: usize) -> Result<(FrameSender, FrameReceiver), NoMemory> {
    let (sender, receiver) = spsc::ring(slots)?;
    Ok((FrameSender { ring: sender }, FrameReceiver { ring: receiver }))
}

/// The reason why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The ring is full.
    #[error("the ring is full")]
    Full,
    /// The frame is longer than a slot.
    #[error("the frame is longer than the {MAX_FRAME} octets of a slot")]
    TooLong,
}

/// The sending end of a ring.
pub struct FrameSender {
    ring: Sender<Slot>,
}

/// The receiving end of a ring.
pub struct FrameReceiver {
    ring: Receiver<Slot>,
}

impl fmt::Debug for FrameSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSender").field("room", &self.room()).finish()
    }
}

impl fmt::Debug for FrameReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReceiver").field("waiting", &self.waiting()).finish()
    }
}

impl FrameSender {
    /// Sends a frame. Wait-free.
    ///
    /// # Errors
    /// [`SendError`]; the ring is unchanged.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), SendError> {
        let sent = self.write_parts([frame, &[]]);
        self.publish();
        sent
    }

    /// Publishes the slots written so far to the receiver.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.ring.publish();
    }

    /// Writes a frame that consists of these parts, to be published later. Wait-free.
    pub(super) fn write_parts<const N: usize>(&mut self, parts: [&[u8]; N]) -> Result<(), SendError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > MAX_FRAME {
            return Err(SendError::TooLong);
        }
        let mut free = self.ring.free().ok_or(SendError::Full)?;
        let slot = octets(free.slot());
        slot[..LENGTH].write_copy_of_slice(&(length as u16).to_ne_bytes());
        let mut at = LENGTH;
        for part in parts {
            slot[at..at + part.len()].write_copy_of_slice(part);
            at += part.len();
        }
        // SAFETY: the length is written, and as many octets as it says.
        unsafe { free.written() };
        Ok(())
    }

    /// Writes a copy of a packet that consists of its header alone, to be published later. Returns whether there was room.
    /// Wait-free.
    #[inline(always)]
    pub(super) fn write_header(&mut self, header: &CopyHeader, source: SourceWord) -> bool {
        let Some(mut free) = self.ring.free() else { return false };
        header.write(octets(free.slot()), source);
        // SAFETY: the header has written the length, and all octets of a frame that is no longer than the header.
        unsafe { free.written() };
        true
    }

    /// Writes a copy of any packet, to be published later. Wait-free.
    pub(super) fn write_copy(&mut self, packet: &Rewritten<'_>, source: SourceWord) -> Result<(), SendError> {
        let (rest_at, rest) = packet.rest();
        if rest_at + rest.len() > SLOT {
            return Err(SendError::TooLong);
        }
        let mut free = self.ring.free().ok_or(SendError::Full)?;
        let slot = octets(free.slot());
        packet.header().write(slot, source);
        slot[rest_at..rest_at + rest.len()].write_copy_of_slice(rest);
        // SAFETY: as in `write_header`; and the rest of the frame behind the header is written.
        unsafe { free.written() };
        Ok(())
    }

    /// Returns the number of frames ever written, including those not published yet.
    pub(super) fn written(&self) -> u64 {
        self.ring.written()
    }

    /// Returns the number of free slots, at least.
    #[must_use]
    pub fn room(&self) -> usize {
        self.ring.room()
    }
}

/// Returns the octets of a slot.
#[inline(always)]
fn octets(slot: &mut MaybeUninit<Slot>) -> &mut [MaybeUninit<u8>; SLOT] {
    // SAFETY: any octets are a valid slot, also uninitialized ones.
    &mut unsafe { slot.assume_init_mut() }.0
}

impl FrameReceiver {
    /// Receives at most `max` frames in their order, passes each to `each`, and then frees their slots.
    ///
    /// Returns the number of frames. Wait-free, if `each` is.
    pub fn receive(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        self.receive_all(max, |frames| frames.for_each(&mut each))
    }

    /// Does the same, and passes all frames at once.
    #[inline]
    pub(super) fn receive_all(&mut self, max: usize, all: impl FnOnce(&mut Frames<'_, '_>)) -> usize {
        self.ring.receive(max, |slots| all(&mut Frames { slots }))
    }

    /// Discards all frames in the ring, and returns their number. Wait-free.
    pub fn discard(&mut self) -> usize {
        self.ring.receive(usize::MAX, |_| ())
    }

    /// Returns the number of frames in the ring, at least.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ring.waiting()
    }
}

/// An iterator over received frames.
pub(super) struct Frames<'s, 'f> {
    slots: &'s mut Slots<'f, Slot>,
}

impl<'f> Iterator for Frames<'_, 'f> {
    type Item = &'f [u8];

    #[inline]
    fn next(&mut self) -> Option<&'f [u8]> {
        // SAFETY: any octets are a valid slot, also uninitialized ones.
        let slot = unsafe { self.slots.next()?.assume_init_ref() };
        let (length, octets) = slot.0.split_first_chunk::<LENGTH>()?;
        // SAFETY: the slot was published, so its length is initialized.
        let length = u16::from_ne_bytes(length.map(|octet| unsafe { octet.assume_init() }));
        let frame = octets.get(..length.into())?;
        // SAFETY: the slot was published, so as many octets as the length says are initialized.
        Some(unsafe { frame.assume_init_ref() })
    }
}
