//! [`Handle`]: sixty-four bits that name an object as long as it lives, and nothing afterwards.
//!
//! ```text
//!  63                          32 31        24 23                     0
//! +------------------------------+------------+------------------------+
//! |          generation          |    kind    |         index          |
//! +------------------------------+------------+------------------------+
//! ```
//!
//! The index names a slot, the generation one of the slot's successive objects, and the kind a kind of table. The state
//! word of a live slot holds exactly these bits. So a handle is checked by one load and one compare, and a live handle of
//! another kind of table fails the same compare. Neither generation nor kind is ever 0.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU64};

pub(crate) const INDEX_BITS: u32 = 24;
pub(crate) const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const KIND_BITS: u32 = 8;
pub(crate) const GENERATION_SHIFT: u32 = INDEX_BITS + KIND_BITS;

/// A kind of table, from 1 to 255. A handle of one kind is stale in every table of another kind.
///
/// ```
/// use mgm::handle::Kind;
/// assert_eq!(Kind::new(0), None);
/// assert_eq!(Kind::new(7).unwrap().get(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(NonZeroU8);

impl Kind {
    /// The kind of a table for which no kind was chosen: 1.
    pub const DEFAULT: Kind = Kind(NonZeroU8::MIN);

    /// Returns the kind of this number; `None` for 0.
    #[must_use]
    pub const fn new(kind: u8) -> Option<Kind> {
        match NonZeroU8::new(kind) {
            Some(kind) => Some(Kind(kind)),
            None => None,
        }
    }

    /// Returns the number of this kind.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl Default for Kind {
    fn default() -> Self {
        Kind::DEFAULT
    }
}

/// The name of one object in a [`HandleTable`](super::HandleTable) or an [`OwnershipTable`](super::OwnershipTable).
///
/// A handle resolves to the object that it was issued for, or to nothing. It is a number: copying, storing and sending it
/// costs nothing and keeps nothing alive. It converts to and from `u64`, for callers that keep it elsewhere.
///
/// ```
/// use mgm::handle::{Handle, HandleTable};
/// let table = HandleTable::new();
/// let handle = table.insert("red").unwrap();
/// assert_eq!(Handle::from_bits(handle.to_bits()), Some(handle));
/// assert_eq!(Handle::from_bits(0), None);
/// // A well-formed number that no table has issued is a stale handle.
/// let guessed = Handle::from_bits(handle.to_bits() ^ 1 << 40).unwrap();
/// assert!(!table.contains(guessed));
/// println!("{handle}, or {handle:x} in hexadecimal");
/// ```
///
/// # Other tables, other processes
///
/// A handle belongs to the table that issued it. The handle alone does not name that table, so three cases remain:
///
/// - *Another table of the same kind.* Each table starts counting generations at a random number. A handle of one table
///   is therefore most likely stale in another, but nothing guarantees it. Where the two must never be confused, give
///   the tables different [kinds](super::Builder::kind): then a handle of one is stale in the other, always.
/// - *Another run of the program.* The same holds: the random start makes it unlikely that a handle which was stored over
///   a restart names an object of the new run. Do not store handles where that must not happen.
/// - *Guesses.* A handle is no secret and no capability: any code that can call the table can try numbers. Check authority
///   elsewhere.
///
/// The generations of a slot are counted to 2^32 - 1, from a start below 2^31. A slot that has used them up is retired
/// and never reused, so a stale handle stays stale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// A handle that is stale in every table: no table has a slot of its index.
    pub const STALE: Handle = Handle(NonZeroU64::MAX);

    /// Makes the handle of an object. The generation is not 0.
    #[inline]
    pub(crate) const fn new(generation: u32, kind: Kind, index: u32) -> Handle {
        Handle::of_state(
            (generation as u64) << GENERATION_SHIFT
                | (kind.get() as u64) << INDEX_BITS
                | index as u64 & INDEX_MASK,
        )
    }

    /// Returns the handle that the state word of a live slot is.
    #[inline]
    pub(crate) const fn of_state(state: u64) -> Handle {
        match NonZeroU64::new(state) {
            Some(bits) => Handle(bits),
            None => Handle::STALE,
        }
    }

    /// Returns the handle of these bits; `None` if no table issues them, because their kind or generation is 0.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Handle> {
        if bits >> GENERATION_SHIFT == 0 || bits >> INDEX_BITS & 0xFF == 0 {
            return None;
        }
        Some(Handle::of_state(bits))
    }

    /// Returns the bits of this handle, which are never 0.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Returns the index of its slot.
    #[inline]
    #[must_use]
    pub const fn index(self) -> u32 {
        (self.to_bits() & INDEX_MASK) as u32
    }

    /// Returns its generation, which tells it from other objects of the same slot.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.to_bits() >> GENERATION_SHIFT) as u32
    }

    /// Returns the kind of its table.
    #[inline]
    #[must_use]
    pub const fn kind(self) -> Kind {
        match Kind::new((self.to_bits() >> INDEX_BITS) as u8) {
            Some(kind) => kind,
            None => Kind::DEFAULT,
        }
    }
}

/// Writes index, generation and kind: `7v1042k1`.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}v{}k{}", self.index(), self.generation(), self.kind().get()))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// Writes the bits in hexadecimal.
impl fmt::LowerHex for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.to_bits(), f)
    }
}

/// Writes the bits of the handle, a `u64`.
#[cfg(feature = "serde")]
impl serde::Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.to_bits())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Handle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = u64::deserialize(deserializer)?;
        Handle::from_bits(bits)
            .ok_or_else(|| serde::de::Error::custom("kind and generation of a handle are not 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_kind_or_generation_are_no_handle() {
        for bits in [0, 1, 1 << 24, 1 << 32, 0xFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_00FF_FFFF] {
            assert_eq!(Handle::from_bits(bits), None, "{bits:#x}");
        }
        let handle = Handle::from_bits(5 << 32 | 3 << 24 | 9).unwrap();
        assert_eq!((handle.index(), handle.generation(), handle.kind().get()), (9, 5, 3));
        assert_eq!(Handle::from_bits(u64::MAX), Some(Handle::STALE));
    }

    #[test]
    fn a_handle_is_written_in_two_ways() {
        let handle = Handle::new(1042, Kind::DEFAULT, 7);
        assert_eq!(handle.to_string(), "7v1042k1");
        assert_eq!(format!("{handle:>10}"), "  7v1042k1");
        assert_eq!(format!("{handle:#018x}"), "0x0000041201000007");
        assert_eq!(format!("{handle:?}"), "Handle(7v1042k1)");
    }
}
