//! Identifiers of counters: [`FlowCounterId`] for a flow and [`OifCounterId`] for one of its outgoing interfaces.
//!
//! Counters are kept in lines (`counter_shards.rs`). A line belongs to one flow for as long as the flow's identifier is
//! allocated. The flow's identifier names its first line, which has places for the copies to a few outgoing interfaces.
//! Further lines have places for more:
//!
//! ```text
//!                          31                        3 2     0   31                        0
//!                         +---------------------------+-------+ +---------------------------+
//! OifCounterId            |       index of the line   | place | |   generation of the line  |
//!                         +---------------------------+-------+ +---------------------------+
//! ```

/// Identifies the counters of one flow. It stays allocated as long as the flow lives, so that no count is lost when the
/// entry is replaced, or withdrawn and published again.
///
/// A freed identifier is allocated again with a new generation. Counts carry the generation too: what was counted under
/// a freed identifier never appears under its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowCounterId {
    pub(in crate::forwarding) line: LineId,
}

/// Identifies the counters of one outgoing interface of a flow. It stays allocated until the flow's [`FlowCounterId`]
/// is freed, so that no count is lost while an entry omits the interface.
///
/// It carries a generation as [`FlowCounterId`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OifCounterId {
    index: u32,
    generation: u32,
}

/// Identifies a line of counters: its index, and the generation of its present use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::forwarding) struct LineId {
    pub(in crate::forwarding) index: u32,
    pub(in crate::forwarding) generation: u32,
}

const PLACE_BITS: u32 = 3;

/// A place that no line has.
pub(in crate::forwarding) const NO_PLACE: u8 = (1 << PLACE_BITS) - 1;

/// The maximum number of lines. It is lower than the number of indexes, so that one index is left for
/// [`OifCounterId::NONE`].
pub(in crate::forwarding) const MAX_LINES: usize = 1 << (u32::BITS - PLACE_BITS - 1);

impl FlowCounterId {
    /// An identifier without counters.
    #[cfg(test)]
    pub(in crate::forwarding) const NONE: FlowCounterId = FlowCounterId { line: OifCounterId::NONE.line() };
}

impl LineId {
    /// Returns the identifier of a place in this line; [`OifCounterId::NONE`] for [`NO_PLACE`].
    #[inline]
    pub(in crate::forwarding) const fn at(self, place: u8) -> OifCounterId {
        if place >= NO_PLACE {
            return OifCounterId::NONE;
        }
        OifCounterId { index: self.index << PLACE_BITS | place as u32, generation: self.generation }
    }
}

impl OifCounterId {
    /// An identifier without counters: what is counted under it is lost.
    pub const NONE: OifCounterId = OifCounterId { index: u32::MAX, generation: 0 };

    /// Returns the line that the counters are in. For [`Self::NONE`] it is a line that does not exist.
    #[inline]
    pub(in crate::forwarding) const fn line(self) -> LineId {
        LineId { index: self.index >> PLACE_BITS, generation: self.generation }
    }

    /// Returns the place in that line. For [`Self::NONE`] it is [`NO_PLACE`].
    #[inline]
    pub(in crate::forwarding) const fn place(self) -> u8 {
        self.index as u8 & NO_PLACE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn line_and_place_survive_the_packing() {
        for index in [0, 1, 77, MAX_LINES as u32 - 1] {
            let line = LineId { index, generation: 5 };
            for place in 0..NO_PLACE {
                let id = line.at(place);
                assert_eq!((id.line(), id.place()), (line, place));
            }
            assert_eq!(line.at(NO_PLACE), OifCounterId::NONE);
        }
        assert_eq!(OifCounterId::NONE.place(), NO_PLACE);
    }
}
