//! [`Generations`]: the generation with which each line of a table was last allocated.
//!
//! A worker that meets an identifier of another generation than its line has asks here before it clears the line: only an
//! identifier that this table has allocated may do that. So an identifier of another table, used by mistake, changes no count
//! unless it is equal to one of this table. Each table begins with a generation of its own, so that equal ones are rare.

use super::counter_id::LineId;
use super::counter_shards::FIRST_SEGMENT;
use crate::memory::NoMemory;
use crate::segment::{Element, Pages};
use crate::segmented_array::DoublingArray;
use crate::sync::{AtomicU32, Ordering};

#[derive(Default)]
struct Latest(AtomicU32);

// SAFETY: an empty one is a generation 0, which is zeros, and it has a size.
unsafe impl Element for Latest {
    const ZEROED: bool = true;

    fn empty() -> Self {
        Latest::default()
    }
}

/// The last generation of each line. See the top of this file.
#[derive(Default)]
pub(super) struct Generations {
    lines: DoublingArray<Latest, FIRST_SEGMENT>,
}

impl Generations {
    /// Makes room for this number of lines.
    pub(super) fn make_room(&self, lines: u32) -> Result<(), NoMemory> {
        self.lines.ensure_len(lines, Pages::Small)
    }

    /// Notes an identifier that is about to be given out.
    pub(super) fn note(&self, line: LineId) {
        if let Some(Latest(latest)) = self.lines.get(line.index) {
            // Relaxed: a thread learns the identifier from the caller, and with it this store.
            latest.store(line.generation, Ordering::Relaxed);
        }
    }

    /// Returns whether the line was last allocated with this generation.
    pub(super) fn has(&self, line: LineId) -> bool {
        // Relaxed: as above.
        self.lines
            .get(line.index)
            .is_some_and(|Latest(latest)| latest.load(Ordering::Relaxed) == line.generation)
    }
}
