//! [`LineAllocator`]: allocates lines of counters to flows, and their places to outgoing interfaces.

use super::counter_id::{FlowCounterId, LineId, MAX_LINES, OifCounterId};
use super::counter_line::{HOT, LINE};
use crate::faults;
use crate::forwarding::points;
use crate::memory::{self, NoMemory};
use std::hash::{BuildHasher, RandomState};

/// The state of every line, each of which is free or belongs to one flow.
#[derive(Default)]
pub(super) struct LineAllocator {
    lines: Vec<Line>,
    /// The indexes of the free lines.
    free: Vec<u32>,
    /// The generation of lines that were never used.
    unused: u32,
}

#[derive(Default)]
struct Line {
    /// The generation of the present or the last use; 0 before the first.
    generation: u32,
    in_use: bool,
    /// Whether the line is a flow's first line, which identifies the flow.
    is_first: bool,
    /// The next place to allocate. Each place is allocated once in a generation, so that its count begins with the
    /// generation.
    next_place: u8,
    /// A bit for each allocated place.
    places: u8,
    /// Links the lines of a flow: the first line to the newest further line, and each further line to the one before
    /// it. The last one is linked to itself.
    further: u32,
}

impl LineAllocator {
    /// Makes an allocator of lines that begin with a generation of their own, so that the identifiers of two tables differ. (In
    /// unit tests and models they begin with 1.)
    pub(super) fn new() -> LineAllocator {
        let unused = if cfg!(any(test, loom)) {
            0
        } else {
            // Half of the generations are left for the line.
            RandomState::new().hash_one(0) as u32 >> 1
        };
        LineAllocator { unused, ..LineAllocator::default() }
    }

    /// Returns the number of lines, free ones included.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Reserves memory for one more line, so that neither allocating nor freeing it can fail. Returns the number of
    /// lines with it.
    fn reserve_one(&mut self) -> Result<usize, NoMemory> {
        let len = self.lines.len() + usize::from(self.free.is_empty());
        memory::reserve(&mut self.lines, usize::from(self.free.is_empty()))?;
        let in_use = len - self.free.len();
        memory::reserve(&mut self.free, in_use)?;
        Ok(len)
    }

    /// Allocates a free line, after `make_room` has made room for that number of lines in each shard. Returns `None`
    /// when [`MAX_LINES`] are in use.
    fn alloc_line(
        &mut self,
        is_first: bool,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<Option<LineId>, NoMemory> {
        let len = self.reserve_one()?;
        if len > MAX_LINES {
            return Ok(None);
        }
        make_room(len)?;
        faults::point(points::COUNTER_UNALLOCATED);
        let index = self.free.pop().unwrap_or(self.lines.len() as u32);
        if index as usize == self.lines.len() {
            self.lines.push(Line { generation: self.unused, ..Line::default() });
        }
        let line = &mut self.lines[index as usize];
        let generation = line.generation + 1;
        let next_place = if is_first { HOT as u8 } else { 0 };
        *line = Line { generation, in_use: true, is_first, next_place, places: 0, further: index };
        Ok(Some(LineId { index, generation }))
    }

    fn get(&mut self, id: LineId) -> Option<&mut Line> {
        let line = self.lines.get_mut(id.index as usize)?;
        (line.in_use && line.generation == id.generation).then_some(line)
    }

    /// Returns the first line of a flow, if its identifier is in use.
    fn first_line(&mut self, flow: FlowCounterId) -> Option<&mut Line> {
        self.get(flow.line).filter(|line| line.is_first)
    }

    /// Allocates the first line of a new flow. `make_room` is as in [`Self::alloc_line`].
    pub(super) fn alloc_flow(
        &mut self,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<Option<FlowCounterId>, NoMemory> {
        Ok(self.alloc_line(true, make_room)?.map(|line| FlowCounterId { line }))
    }

    /// Allocates a place for an outgoing interface of a flow, in a new line if the newest one is full. Returns
    /// [`OifCounterId::NONE`] for a flow that is not in use.
    pub(super) fn alloc_oif(
        &mut self,
        flow: FlowCounterId,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<OifCounterId, NoMemory> {
        let Some(first) = self.first_line(flow) else { return Ok(OifCounterId::NONE) };
        let newest = first.further;
        if let Some(id) = self.alloc_place(newest) {
            return Ok(id);
        }
        let Some(further) = self.alloc_line(false, make_room)? else { return Ok(OifCounterId::NONE) };
        // The first further line stays linked to itself, which ends the list.
        if newest != flow.line.index {
            self.lines[further.index as usize].further = newest;
        }
        self.lines[flow.line.index as usize].further = further.index;
        Ok(self.alloc_place(further.index).unwrap_or(OifCounterId::NONE))
    }

    /// Allocates the next place of a line in use, unless the line is full.
    fn alloc_place(&mut self, index: u32) -> Option<OifCounterId> {
        let line = &mut self.lines[index as usize];
        let place = line.next_place;
        if usize::from(place) >= LINE {
            return None;
        }
        line.next_place += 1;
        line.places |= 1 << place;
        Some(LineId { index, generation: line.generation }.at(place))
    }

    /// Frees a place. Returns `false` if it was free already. It is allocated again only after its line was freed.
    pub(super) fn free_oif(&mut self, id: OifCounterId) -> bool {
        let Some(line) = self.get(id.line()) else { return false };
        let bit = 1 << id.place();
        let was_allocated = line.places & bit != 0;
        line.places &= !bit;
        was_allocated
    }

    /// Frees all lines of a flow. Returns `false` if they were free already.
    pub(super) fn free_flow(&mut self, flow: FlowCounterId) -> bool {
        if self.first_line(flow).is_none() {
            return false;
        }
        let mut index = self.free_line(flow.line.index);
        while self.lines[index as usize].in_use {
            index = self.free_line(index);
        }
        true
    }

    /// Frees a line, and returns the next line of its flow, or the line itself if it is the last.
    fn free_line(&mut self, index: u32) -> u32 {
        let line = &mut self.lines[index as usize];
        line.in_use = false;
        // A generation must never recur: a line that has used all of them is never allocated again.
        if line.generation < u32::MAX {
            self.free.push(index);
        }
        line.further
    }

    #[cfg(test)]
    pub(super) fn set_generation(&mut self, index: u32, generation: u32) {
        self.lines[index as usize].generation = generation;
    }
}
