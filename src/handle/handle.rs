//! [`Handle`]: sixty-four bits that name an object for as long as it lives, and nothing ever after.
//!
//! ```text
//!  63                          32 31        24 23                     0
//! +------------------------------+------------+------------------------+
//! |          generation          |    kind    |         index          |
//! +------------------------------+------------+------------------------+
//! ```
//!
//! The index says which slot, the generation which of the slot's successive lives, the kind which kind of table. A live
//! slot's state word holds exactly these bits, so a handle is checked by one load and one compare, and a live handle of
//! another kind of table fails that same compare. Generation 0 is never issued.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU64};

pub(crate) const INDEX_BITS: u32 = 24;
pub(crate) const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const KIND_BITS: u32 = 8;
pub(crate) const GENERATION_SHIFT: u32 = INDEX_BITS + KIND_BITS;

/// The kind of table a handle belongs to: a handle of one kind is stale in a table of another.
///
/// ```
/// use mgm::handle::Kind;
/// assert_eq!(Kind::new(0), None);
/// assert_eq!(Kind::new(7).unwrap().get(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(NonZeroU8);

impl Kind {
    /// The kind of a table for which none was chosen: 1.
    pub const DEFAULT: Kind = Kind(NonZeroU8::MIN);

    /// A kind from 1 to 255; 0 is not a kind.
    #[must_use]
    pub const fn new(kind: u8) -> Option<Kind> {
        match NonZeroU8::new(kind) {
            Some(kind) => Some(Kind(kind)),
            None => None,
        }
    }

    /// The number of this kind.
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

/// Names one object in a [`HandleTable`](crate::handle::HandleTable): the object it was issued for, or nothing.
///
/// A handle is a number: copying, storing and sending it costs nothing and keeps nothing alive. It converts to and from
/// `u64`; a number that was never issued is a stale handle, not an error.
///
/// ```
/// use mgm::handle::{Handle, HandleTable};
/// let table = HandleTable::new();
/// let handle = table.insert("red").unwrap();
/// let number: u64 = handle.into();
/// assert_eq!(Handle::from(number), handle);
/// assert!(!table.validate(Handle::from(0)));
/// assert!(!table.validate(Handle::from(0xDEAD_BEEF)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// A handle that is stale in every table: what the number 0 converts to.
    pub const STALE: Handle = Handle(NonZeroU64::new(INDEX_MASK).expect("the mask is not zero"));

    #[inline]
    pub(crate) const fn issue(generation: u32, kind: Kind, index: u32) -> Handle {
        let bits = (generation as u64) << GENERATION_SHIFT
            | (kind.get() as u64) << INDEX_BITS
            | index as u64 & INDEX_MASK;
        // The kind is never zero, so neither are the bits.
        match NonZeroU64::new(bits) {
            Some(bits) => Handle(bits),
            None => Handle::STALE,
        }
    }

    /// The number that this handle is.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// Which slot of its table.
    #[inline]
    #[must_use]
    pub const fn index(self) -> u32 {
        (self.bits() & INDEX_MASK) as u32
    }

    /// Which of the slot's lives; never 0 in a handle that was issued.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.bits() >> GENERATION_SHIFT) as u32
    }

    /// The kind of table; never `None` in a handle that was issued.
    #[inline]
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        Kind::new((self.bits() >> INDEX_BITS) as u8)
    }
}

impl From<u64> for Handle {
    #[inline]
    fn from(bits: u64) -> Self {
        NonZeroU64::new(bits).map_or(Handle::STALE, Handle)
    }
}

impl From<Handle> for u64 {
    #[inline]
    fn from(handle: Handle) -> Self {
        handle.bits()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().map_or(0, Kind::get);
        write!(f, "Handle(#{} generation {} kind {kind})", self.index(), self.generation())
    }
}
