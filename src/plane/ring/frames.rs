//! [`frame_ring`]: frames in memory, handed from one thread to another.

use crate::plane::rewrite::{ETHERNET_HEADER, lower_hop_limit};
use crate::plane::{CannotForward, MacAddress};
use rtrb::{Consumer, Producer, RingBuffer};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::slice;

/// Octets of a slot. An odd number of cache lines: slots of 2048 octets would put the beginnings of all frames into one in
/// 32 of a cache's sets, and each ring's at the same ones.
const SLOT: usize = 33 * 64;
/// What a slot needs besides the frame.
const LENGTH: usize = size_of::<u16>();
/// What copies of a packet have in common begins here.
const TOP_AT: usize = LENGTH + ETHERNET_HEADER;

/// The octets of the longest frame that a slot holds.
pub const LONGEST_FRAME: usize = SLOT - LENGTH;

/// As much of a datagram as shares the first cache line of a slot with the frame's length and its Ethernet header.
pub(super) const TOP: usize = 64 - TOP_AT;

/// Room for a frame. The IP header behind an Ethernet header begins at a multiple of 16.
///
/// The first two octets are the frame's length in the machine's byte order, and the frame follows. In any slot that was
/// handed over, the length and as many octets as it says are initialized.
#[repr(C, align(64))]
struct Slot([MaybeUninit<u8>; SLOT]);

const _: () = assert!(size_of::<Slot>() == SLOT);

/// A ring of so many slots, at least one, allocated here and now: the end that frames are put into, and the one they are
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
    let (sender, receiver) = RingBuffer::new(slots.max(1));
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
#[derive(Debug)]
pub struct FrameSender {
    ring: Producer<Slot>,
}

/// The end of a ring that frames are taken from.
#[derive(Debug)]
pub struct FrameReceiver {
    ring: Consumer<Slot>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl FrameSender {
    /// Puts a frame into the ring. Wait-free.
    ///
    /// # Errors
    /// [`Unsent`]; the ring is as before.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Unsent> {
        self.send_parts([frame, &[], &[]])
    }

    /// Puts a frame into the ring that consists of these parts, one behind the other. Wait-free.
    pub(super) fn send_parts(&mut self, parts: [&[u8]; 3]) -> Result<(), Unsent> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > LONGEST_FRAME {
            return Err(Unsent::TooLong);
        }
        self.fill(|slot| {
            slot[..LENGTH].write_copy_of_slice(&(length as u16).to_ne_bytes());
            let mut at = LENGTH;
            for part in parts {
                slot[at..at + part.len()].write_copy_of_slice(part);
                at += part.len();
            }
        })
    }

    /// Puts a copy of a packet into the ring, with a source address. Wait-free.
    #[inline]
    pub(super) fn send_copy(&mut self, shared: &Shared<'_>, source: SourceWord) -> Result<(), Unsent> {
        self.fill(|slot| {
            // Three stores of whole words and registers: nothing here is read back in another size than it was written in,
            // which would make a copy wait for the one before.
            slot[..8].write_copy_of_slice(&shared.length_and_destination.to_ne_bytes());
            slot[8..TOP_AT].write_copy_of_slice(&(source.0 | shared.ether_type.0).to_ne_bytes());
            slot[TOP_AT..TOP_AT + TOP].write_copy_of_slice(&shared.top);
            if !shared.rest.is_empty() {
                slot[TOP_AT + TOP..TOP_AT + TOP + shared.rest.len()].write_copy_of_slice(shared.rest);
            }
        })
    }

    /// Hands a slot over once `fill` has initialized its length and the octets of its frame.
    #[inline]
    fn fill(&mut self, fill: impl FnOnce(&mut [MaybeUninit<u8>; SLOT])) -> Result<(), Unsent> {
        let mut chunk = self.ring.write_chunk_uninit(1).map_err(|_| Unsent::Full)?;
        let Some(slot) = chunk.as_mut_slices().0.first_mut() else { return Err(Unsent::Full) };
        // SAFETY: uninitialized octets are what a slot is made of.
        fill(&mut unsafe { slot.assume_init_mut() }.0);
        // SAFETY: the one slot was filled as slots have to be that are handed over.
        unsafe { chunk.commit_all() };
        Ok(())
    }

    /// How many frames there is room for now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.ring.slots()
    }
}

impl FrameReceiver {
    /// Has `each` look at the frames in the ring, at most `most`, in the order they were sent; then their slots are free
    /// again. How many there were. Wait-free, as far as `each` is.
    pub fn receive(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        self.receive_all(most, |frames| frames.for_each(&mut each))
    }

    /// The same, with all of them at once.
    #[inline]
    pub(super) fn receive_all(&mut self, most: usize, all: impl FnOnce(&mut Frames<'_>)) -> usize {
        let present = self.ring.slots().min(most);
        let Ok(chunk) = self.ring.read_chunk(present) else { return 0 };
        let (first, second) = chunk.as_slices();
        all(&mut Frames { now: first.iter(), then: second.iter() });
        chunk.commit_all();
        present
    }

    /// Frees the slots of all frames that are in the ring, unseen. How many there were. Wait-free.
    pub fn discard(&mut self) -> usize {
        self.receive_all(usize::MAX, |_| ())
    }

    /// How many frames are in the ring now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ring.slots()
    }
}

/// Frames in slots.
pub(super) struct Frames<'f> {
    now: slice::Iter<'f, Slot>,
    then: slice::Iter<'f, Slot>,
}

impl<'f> Iterator for Frames<'f> {
    type Item = &'f [u8];

    #[inline]
    fn next(&mut self) -> Option<&'f [u8]> {
        let slot = self.now.next().or_else(|| self.then.next())?;
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
    length_and_destination: u64,
    /// With no source address yet.
    ether_type: SourceWord,
    /// The beginning of the datagram; zeroes behind one that is shorter.
    top: [u8; TOP],
    rest: &'f [u8],
}

impl<'f> Shared<'f> {
    /// Of a datagram that is to leave one hop older.
    #[inline]
    pub(super) fn new(group: IpAddr, datagram: &'f [u8]) -> Result<Shared<'f>, Unshared> {
        let length = ETHERNET_HEADER + datagram.len();
        if length > LONGEST_FRAME {
            return Err(Unshared::TooLong);
        }
        let (top, rest) = beginning(datagram);
        let mut top = top;
        lower_hop_limit(&mut top[..datagram.len().min(TOP)]).map_err(Unshared::CannotForward)?;
        let [l, m] = (length as u16).to_ne_bytes();
        let MacAddress([a, b, c, d, e, f]) = MacAddress::of_group(group);
        let [g, h] = match group {
            IpAddr::V4(_) => [0x08, 0x00],
            IpAddr::V6(_) => [0x86, 0xdd],
        };
        Ok(Shared {
            length_and_destination: u64::from_ne_bytes([l, m, a, b, c, d, e, f]),
            ether_type: SourceWord(u64::from_ne_bytes([0, 0, 0, 0, 0, 0, g, h])),
            top,
            rest,
        })
    }
}

impl Shared<'_> {
    /// The datagram as it leaves, in pieces.
    pub(super) fn datagram(&self) -> [&[u8]; 3] {
        let [l, m, ..] = self.length_and_destination.to_ne_bytes();
        let length = usize::from(u16::from_ne_bytes([l, m])).saturating_sub(ETHERNET_HEADER);
        [&self.top[..length.min(TOP)], self.rest, &[]]
    }
}

/// Why a datagram cannot be copied.
pub(super) enum Unshared {
    TooLong,
    CannotForward(CannotForward),
}

/// A datagram's first octets and the others.
#[inline]
fn beginning(datagram: &[u8]) -> ([u8; TOP], &[u8]) {
    if let Some((top, rest)) = datagram.split_first_chunk::<TOP>() {
        return (*top, rest);
    }
    let mut top = [0; TOP];
    // The usual short frame: two pieces of known size that overlap.
    if let (Some(first), Some(last)) = (datagram.first_chunk::<32>(), datagram.last_chunk::<16>()) {
        top[..32].copy_from_slice(first);
        top[datagram.len() - 16..][..16].copy_from_slice(last);
    } else {
        top[..datagram.len()].copy_from_slice(datagram);
    }
    (top, &[])
}
