//! [`frame_ring`]: frames in memory, handed from one thread to another.

use super::spsc::{self, Receiver, Sender, Slots};
use crate::forwarding::Flow;
use crate::plane::rewrite::{CHANGING, ETHERNET_HEADER, one_hop_older};
use crate::plane::{CannotForward, MacAddress, mac};
use std::fmt;
use std::mem::MaybeUninit;
use zerocopy::IntoBytes;

/// Octets of a slot. An odd number of cache lines: slots of 2048 octets would put the beginnings of all frames into one in
/// 32 of a cache's sets, and each ring's at the same ones.
const SLOT: usize = 33 * 64;
/// What a slot needs besides the frame.
const LENGTH: usize = size_of::<u16>();
/// What copies of a packet have in common begins here.
const TOP_AT: usize = LENGTH + ETHERNET_HEADER;

/// The octets of the longest frame that a slot holds.
pub const LONGEST_FRAME: usize = SLOT - LENGTH;

/// Room for a frame. The IP header behind an Ethernet header begins at a multiple of 16.
///
/// The first two octets are the frame's length in the machine's byte order, and the frame follows. In any slot that was
/// handed over, the length and as many octets as it says are initialized.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Slot([MaybeUninit<u8>; SLOT]);

const _: () = assert!(size_of::<Slot>() == SLOT);

/// A ring of so many slots, or the next power of two, allocated here and now: the end that frames are put into, and the one they are
/// taken from. Each belongs to one thread at a time.
///
/// ```
/// use mgm::plane::ring::frame_ring;
/// let (mut sender, mut receiver) = frame_ring(2);
/// sender.send(b"one").unwrap();
/// sender.send(b"two").unwrap();
/// assert!(sender.send(b"three").is_err());
/// let mut seen = Vec::new();
/// receiver.receive(32, |frame| seen.push(frame.to_vec()));
/// assert_eq!(seen, [b"one", b"two"]);
/// ```
#[must_use]
pub fn frame_ring(slots: usize) -> (FrameSender, FrameReceiver) {
    let (sender, receiver) = spsc::ring(slots);
    (FrameSender { ring: sender }, FrameReceiver { ring: receiver })
}

/// Why a frame was not put into a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The ring is full.
    #[error("the ring is full")]
    Full,
    /// The frame is longer than a slot.
    #[error("the frame is longer than the {LONGEST_FRAME} octets of a slot")]
    TooLong,
}

/// The end of a ring that frames are put into.
pub struct FrameSender {
    ring: Sender<Slot>,
}

/// The end of a ring that frames are taken from.
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
    /// Puts a frame into the ring. Wait-free.
    ///
    /// # Errors
    /// [`Unsent`]; the ring is as before.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Unsent> {
        let sent = self.write_parts([frame, &[]]);
        self.publish();
        sent
    }

    /// Hands over what was written.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.ring.publish();
    }

    /// Writes a frame that consists of these parts, one behind the other, to be published. Wait-free.
    pub(super) fn write_parts(&mut self, parts: [&[u8]; 2]) -> Result<(), Unsent> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > LONGEST_FRAME {
            return Err(Unsent::TooLong);
        }
        let mut free = self.ring.free().ok_or(Unsent::Full)?;
        let slot = octets(free.slot());
        slot[..LENGTH].write_copy_of_slice(&(length as u16).to_ne_bytes());
        let mut at = LENGTH;
        for part in parts {
            slot[at..at + part.len()].write_copy_of_slice(part);
            at += part.len();
        }
        // SAFETY: its length is, and as many octets as it says.
        unsafe { free.written() };
        Ok(())
    }

    /// Writes a copy of a packet that is nothing but its top, with a source address, to be published; whether there was room.
    /// Wait-free.
    #[inline(always)]
    pub(super) fn write_top(&mut self, top: &Top, source: SourceWord) -> bool {
        let Some(mut free) = self.ring.free() else { return false };
        top.write(octets(free.slot()), source);
        // SAFETY: the length is written, and all octets of a frame that is no longer than that.
        unsafe { free.written() };
        true
    }

    /// Writes a copy of any packet, with a source address, to be published. Wait-free.
    pub(super) fn write_copy(&mut self, shared: &Shared<'_>, source: SourceWord) -> Result<(), Unsent> {
        let rest = shared.rest();
        if REST_AT + rest.len() > SLOT {
            return Err(Unsent::TooLong);
        }
        let mut free = self.ring.free().ok_or(Unsent::Full)?;
        let slot = octets(free.slot());
        shared.top.write(slot, source);
        slot[REST_AT..REST_AT + rest.len()].write_copy_of_slice(rest);
        // SAFETY: as above, and the rest behind it.
        unsafe { free.written() };
        Ok(())
    }

    /// How many frames were ever put into the ring, or written to be published.
    pub(super) fn written(&self) -> u64 {
        self.ring.written()
    }

    /// How many frames there is room for now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.ring.room()
    }
}

/// What a slot is made of.
#[inline(always)]
fn octets(slot: &mut MaybeUninit<Slot>) -> &mut [MaybeUninit<u8>; SLOT] {
    // SAFETY: any octets are a slot, uninitialized ones too.
    &mut unsafe { slot.assume_init_mut() }.0
}

impl FrameReceiver {
    /// Has `each` look at the frames in the ring, at most `most`, in the order they were sent; then their slots are free
    /// again. How many there were. Wait-free, as far as `each` is.
    pub fn receive(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        self.receive_all(most, |frames| frames.for_each(&mut each))
    }

    /// The same, with all of them at once.
    #[inline]
    pub(super) fn receive_all(&mut self, most: usize, all: impl FnOnce(&mut Frames<'_, '_>)) -> usize {
        self.ring.receive(most, |slots| all(&mut Frames { slots }))
    }

    /// Frees the slots of all frames that are in the ring, unseen. How many there were. Wait-free.
    pub fn discard(&mut self) -> usize {
        self.ring.receive(usize::MAX, |_| ())
    }

    /// How many frames are in the ring now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ring.waiting()
    }
}

/// Frames in slots.
pub(super) struct Frames<'s, 'f> {
    slots: &'s mut Slots<'f, Slot>,
}

impl<'f> Iterator for Frames<'_, 'f> {
    type Item = &'f [u8];

    #[inline]
    fn next(&mut self) -> Option<&'f [u8]> {
        // SAFETY: uninitialized octets are what a slot is made of.
        let slot = unsafe { self.slots.next()?.assume_init_ref() };
        let (length, octets) = slot.0.split_first_chunk::<LENGTH>()?;
        // SAFETY: the slot was handed over, so its length is initialized.
        let length = u16::from_ne_bytes(length.map(|octet| unsafe { octet.assume_init() }));
        let frame = octets.get(..length.into())?;
        // SAFETY: and so is the frame.
        Some(unsafe { frame.assume_init_ref() })
    }
}

/// A source address, where it stands in the second word of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceWord(u64);

impl SourceWord {
    pub(super) fn new(MacAddress([a, b, c, d, e, f]): MacAddress) -> SourceWord {
        SourceWord(u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

/// What all copies of a packet have in common.
pub(super) struct Shared<'f> {
    top: Top,
    /// As it came.
    datagram: &'f [u8],
}

/// The beginning of a copy, in words that are stored as they are: a copy that read octets which were written in pieces of other
/// sizes shortly before would have to wait for those.
pub(super) struct Top {
    length_and_destination: u64,
    /// With no source address yet.
    ether_type: SourceWord,
    /// The beginning of the datagram, one hop older.
    older: [u64; 2],
    /// The octets behind that; of a datagram that has less, zeroes follow.
    next: [u8; PIECE],
    /// The octets from `last_at` in the slot on, some of them those of `next` again if the datagram is short.
    last: [u8; PIECE],
    last_at: u8,
}

/// The two pieces of a datagram that ends within the first of them, and where the second is to stand.
#[cold]
fn of_few(behind: &[u8]) -> ([u8; PIECE], [u8; PIECE], usize) {
    let padded = std::array::from_fn(|n| behind.get(n).copied().unwrap_or_default());
    (padded, padded, NEXT_AT)
}

/// What a processor stores at once.
const PIECE: usize = 16;
/// Where `next` stands in a slot.
const NEXT_AT: usize = TOP_AT + CHANGING;
/// So many octets of a datagram are in pieces: the top of a copy.
const TOP: usize = CHANGING + 2 * PIECE;
/// Where what is behind it stands in a slot.
const REST_AT: usize = TOP_AT + TOP;

const _: () = assert!(TOP_AT + TOP <= u8::MAX as usize);

impl<'f> Shared<'f> {
    /// Of a datagram that is to leave one hop older.
    #[inline]
    pub(super) fn new(flow: &Flow, datagram: &'f [u8]) -> Result<Shared<'f>, CannotForward> {
        let (first, behind) = datagram.split_first_chunk().ok_or(CannotForward::NotIp)?;
        let older = one_hop_older(first, datagram.len())?;
        let (destination, ether_type) = mac::number_and_type(flow);
        // Longer ones than can be told are not written.
        let length = u16::from_be_bytes(((ETHERNET_HEADER + datagram.len()) as u16).to_ne_bytes());
        // As they stand in memory, octet by octet, whatever this machine's order is.
        let length_and_destination = (u64::from(length) << 48 | destination).to_be();
        let ether_type = SourceWord(u64::from(ether_type).to_be());
        let (next, last, last_at) = match behind.split_first_chunk::<PIECE>() {
            Some((next, second)) => match (second.first_chunk(), behind.last_chunk()) {
                (Some(whole), _) => (*next, *whole, NEXT_AT + PIECE),
                // What there is of it begins in `next`.
                (None, Some(end)) => (*next, *end, NEXT_AT + second.len()),
                (None, None) => of_few(behind),
            },
            None => of_few(behind),
        };
        let last_at = last_at as u8;
        let top = Top { length_and_destination, ether_type, older, next, last, last_at };
        Ok(Shared { top, datagram })
    }

    /// The top, if that is all.
    #[inline(always)]
    pub(super) fn top(&self) -> Option<&Top> {
        (self.datagram.len() <= TOP).then_some(&self.top)
    }

    /// The octets behind the top.
    fn rest(&self) -> &'f [u8] {
        self.datagram.get(TOP..).unwrap_or_default()
    }

    /// The datagram as it leaves, in pieces.
    pub(super) fn datagram(&self) -> [&[u8]; 2] {
        [self.top.older.as_bytes(), self.datagram.get(CHANGING..).unwrap_or_default()]
    }
}

impl Top {
    #[inline(always)]
    fn write(&self, slot: &mut [MaybeUninit<u8>; SLOT], source: SourceWord) {
        slot[..8].write_copy_of_slice(&self.length_and_destination.to_ne_bytes());
        slot[8..TOP_AT].write_copy_of_slice(&(source.0 | self.ether_type.0).to_ne_bytes());
        slot[TOP_AT..NEXT_AT].write_copy_of_slice(self.older.as_bytes());
        slot[NEXT_AT..NEXT_AT + PIECE].write_copy_of_slice(&self.next);
        let last_at = usize::from(self.last_at);
        slot[last_at..last_at + PIECE].write_copy_of_slice(&self.last);
    }
}
