//! Numbers under which packets are counted: [`FlowCounterId`], and [`OifCounterId`] for the copies.
//!
//! What is counted stands in lines (`shares.rs`), each of which is one flow's for as long as the flow has a number. The first
//! is named by the flow's number itself; it has places for the copies to a few outgoing interfaces, and further lines have
//! places for more:
//!
//! ```text
//!                          31                        3 2     0   31                        0
//!                         +---------------------------+-------+ +---------------------------+
//! an outgoing interface   |       index of the line   | place | |   generation of the line  |
//!                         +---------------------------+-------+ +---------------------------+
//! ```

/// Under which number a flow's packets are counted. Lives as long as the flow, so that replacing an entry, or making it
/// anew after a timeout, loses no count.
///
/// Numbers are used again. Each carries a generation, and whatever is counted carries it too: counts made under a number
/// that was given back never show up under the one that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowCounterId {
    pub(super) line: LineId,
}

/// Under which number the packets are counted that are copied to one outgoing interface of a flow. Lives as long as the
/// flow's own number, so that an interface that is left out of the entry for a while loses no count.
///
/// Used again as [`FlowCounterId`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OifCounterId {
    index: u32,
    generation: u32,
}

/// A line, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LineId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

const PLACE_BITS: u32 = 3;

/// A place that no line has.
pub(super) const NOWHERE: u8 = (1 << PLACE_BITS) - 1;

/// So many lines there can be: fewer than indexes, which nobody uses up.
pub(super) const MAX_LINES: usize = 1 << (u32::BITS - PLACE_BITS - 1);

impl FlowCounterId {
    /// Nothing is counted under it.
    #[cfg(test)]
    pub(super) const NONE: FlowCounterId = FlowCounterId { line: OifCounterId::NONE.line() };
}

impl LineId {
    /// The number of a place in this line.
    #[inline]
    pub(super) const fn at(self, place: u8) -> OifCounterId {
        if place >= NOWHERE {
            return OifCounterId::NONE;
        }
        OifCounterId { index: self.index << PLACE_BITS | place as u32, generation: self.generation }
    }
}

impl OifCounterId {
    /// Nothing is counted under it.
    pub const NONE: OifCounterId = OifCounterId { index: u32::MAX, generation: 0 };

    /// In which line copies are counted under it. Of [`Self::NONE`], in none.
    #[inline]
    pub(super) const fn line(self) -> LineId {
        LineId { index: self.index >> PLACE_BITS, generation: self.generation }
    }

    /// At which place there. Of [`Self::NONE`], [`NOWHERE`].
    #[inline]
    pub(super) const fn place(self) -> u8 {
        self.index as u8 & NOWHERE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_its_lines() {
        for index in [0, 1, 77, MAX_LINES as u32 - 1] {
            let line = LineId { index, generation: 5 };
            for place in 0..NOWHERE {
                let number = line.at(place);
                assert_eq!((number.line(), number.place()), (line, place));
            }
            assert_eq!(line.at(NOWHERE), OifCounterId::NONE);
        }
        assert_eq!(OifCounterId::NONE.place(), NOWHERE);
    }
}
