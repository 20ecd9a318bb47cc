//! [`FlowKey`]: what a look-up takes as its key. [`Ipv4Flow`]: the key of a plane that knows the family.

use super::flow::{Flow, FlowError};
use super::hash::FlowHash;
use std::fmt;
use std::net::Ipv4Addr;

/// One multicast flow of IPv4, in eight octets.
///
/// Look-ups of IPv4 flows hash and compare these octets alone. A [`Flow`] is the same key for both families.
///
/// ```
/// use mgm::forwarding::{Flow, Ipv4Flow};
/// let flow = Ipv4Flow::new([192, 0, 2, 7].into(), [232, 1, 2, 3].into()).unwrap();
/// assert_eq!(Flow::from(flow).to_string(), "(192.0.2.7, 232.1.2.3)");
/// ```
// The word is the first word of the `Flow`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Flow(u64);

impl Ipv4Flow {
    /// Makes the flow of one source and one group.
    ///
    /// # Errors
    /// [`FlowError`] when the addresses cannot be a source and a group.
    #[inline]
    pub fn new(source: Ipv4Addr, group: Ipv4Addr) -> Result<Ipv4Flow, FlowError> {
        match Flow::of_v4(source, group) {
            Some(flow) => Ok(Ipv4Flow(flow.words()[0])),
            None => Err(Flow::why_not(source.into(), group.into())),
        }
    }

    /// Returns the address of the sender.
    #[inline]
    #[must_use]
    pub const fn source(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0 as u32)
    }

    /// Returns the group that the source sends to.
    #[inline]
    #[must_use]
    pub const fn group(self) -> Ipv4Addr {
        Ipv4Addr::from_bits((self.0 >> 32) as u32)
    }
}

impl From<Ipv4Flow> for Flow {
    #[inline]
    fn from(flow: Ipv4Flow) -> Flow {
        Flow::from_first_word(flow.0)
    }
}

impl fmt::Debug for Ipv4Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Flow::from(*self), f)
    }
}

/// A key that [`lookup`](super::ForwardingReader::lookup) and its burst take: a [`Flow`] or an [`Ipv4Flow`].
///
/// Only this crate implements it.
pub trait FlowKey: Key {}

impl FlowKey for Flow {}
impl FlowKey for Ipv4Flow {}

/// The methods of a key, which other crates neither call nor implement.
pub trait Key: Copy {
    /// Returns the hash of the flow in one table.
    fn hash_with(&self, hash: &FlowHash) -> u64;

    /// Returns whether `flow` is the flow of this key.
    fn is_of(&self, flow: &Flow) -> bool;
}

impl Key for Flow {
    #[inline(always)]
    fn hash_with(&self, hash: &FlowHash) -> u64 {
        hash.of(self)
    }

    #[inline(always)]
    fn is_of(&self, flow: &Flow) -> bool {
        self.is(flow)
    }
}

impl Key for Ipv4Flow {
    #[inline(always)]
    fn hash_with(&self, hash: &FlowHash) -> u64 {
        hash.of_v4(self.0)
    }

    #[inline(always)]
    fn is_of(&self, flow: &Flow) -> bool {
        // No IPv6 flow has this first word: it begins with e, theirs with ff.
        self.0 == flow.words()[0]
    }
}
