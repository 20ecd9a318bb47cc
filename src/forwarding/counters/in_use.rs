//! Which lines are in use, and for what.

use crate::faults;
use crate::forwarding::numbers::{FlowCounterId, LineId, MAX_LINES, OifCounterId};
use crate::forwarding::points;
use crate::forwarding::shares::{LINE, OFTEN};
use crate::memory::{self, NoMemory};

/// The lines that workers have, each in use by a flow or by none.
#[derive(Default)]
pub(super) struct Lines {
    all: Vec<Line>,
    /// Indexes of those that are in use by none.
    free: Vec<u32>,
}

#[derive(Default)]
struct Line {
    /// The latest; 0 of a line that was never used.
    generation: u32,
    open: bool,
    /// Whether it is a flow's first, which names the flow.
    is_first: bool,
    /// The next place to give. Each is given only once, so that its count begins with the line's generation.
    next_place: u8,
    /// A bit for each place that was given and not given back.
    places: u8,
    /// Of a flow's first line, the newest of its further lines; of that the one before, and so on. Itself if it is the last.
    further: u32,
}

impl Lines {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Makes room for one more in use, for good: neither opening nor closing it needs memory then. How many there are then.
    fn make_room(&mut self) -> Result<usize, NoMemory> {
        let len = self.all.len() + usize::from(self.free.is_empty());
        memory::reserve(&mut self.all, usize::from(self.free.is_empty()))?;
        let more = len - self.free.len();
        memory::reserve(&mut self.free, more)?;
        Ok(len)
    }

    /// A line that was not in use, after `make_room` has made workers' room for so many lines; `None` when there are as many as
    /// there can be.
    fn open(
        &mut self,
        is_first: bool,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<Option<LineId>, NoMemory> {
        let len = self.make_room()?;
        if len > MAX_LINES {
            return Ok(None);
        }
        make_room(len)?;
        faults::point(points::COUNTER_UNALLOCATED);
        let index = self.free.pop().unwrap_or(self.all.len() as u32);
        if index as usize == self.all.len() {
            self.all.push(Line::default());
        }
        let line = &mut self.all[index as usize];
        let generation = line.generation + 1;
        let next_place = if is_first { OFTEN as u8 } else { 0 };
        *line = Line { generation, open: true, is_first, next_place, places: 0, further: index };
        Ok(Some(LineId { index, generation }))
    }

    fn get(&mut self, number: LineId) -> Option<&mut Line> {
        let line = self.all.get_mut(number.index as usize)?;
        (line.open && line.generation == number.generation).then_some(line)
    }

    /// The first line of a flow.
    fn first(&mut self, flow: FlowCounterId) -> Option<&mut Line> {
        self.get(flow.line).filter(|line| line.is_first)
    }

    /// A first line for a new flow.
    pub(super) fn open_flow(
        &mut self,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<Option<FlowCounterId>, NoMemory> {
        Ok(self.open(true, make_room)?.map(|line| FlowCounterId { line }))
    }

    /// A place for an outgoing interface of a flow, in a further line if those it has are full. None for a flow that is gone.
    pub(super) fn open_outgoing(
        &mut self,
        flow: FlowCounterId,
        make_room: impl FnOnce(usize) -> Result<(), NoMemory>,
    ) -> Result<OifCounterId, NoMemory> {
        let Some(first) = self.first(flow) else { return Ok(OifCounterId::NONE) };
        let newest = first.further;
        if let Some(place) = self.open_place(newest) {
            return Ok(place);
        }
        let Some(further) = self.open(false, make_room)? else { return Ok(OifCounterId::NONE) };
        // Of the first line itself there is no line before it.
        if newest != flow.line.index {
            self.all[further.index as usize].further = newest;
        }
        self.all[flow.line.index as usize].further = further.index;
        Ok(self.open_place(further.index).unwrap_or(OifCounterId::NONE))
    }

    /// The next place of a line in use.
    fn open_place(&mut self, index: u32) -> Option<OifCounterId> {
        let line = &mut self.all[index as usize];
        let place = line.next_place;
        if usize::from(place) >= LINE {
            return None;
        }
        line.next_place += 1;
        line.places |= 1 << place;
        Some(LineId { index, generation: line.generation }.at(place))
    }

    /// Gives a place back; whether it was in use.
    pub(super) fn close_outgoing(&mut self, number: OifCounterId) -> bool {
        let Some(line) = self.get(number.line()) else { return false };
        let bit = 1 << number.place();
        let was_open = line.places & bit != 0;
        line.places &= !bit;
        was_open
    }

    /// Gives all lines of a flow back; whether they were in use.
    pub(super) fn close_flow(&mut self, flow: FlowCounterId) -> bool {
        if self.first(flow).is_none() {
            return false;
        }
        let mut index = self.close(flow.line.index);
        while self.all[index as usize].open {
            index = self.close(index);
        }
        true
    }

    /// Gives a line back. The next one of the flow's, or itself.
    fn close(&mut self, index: u32) -> u32 {
        let line = &mut self.all[index as usize];
        line.open = false;
        // A generation must never come back: a line that has used all of them is left alone.
        if line.generation < u32::MAX {
            self.free.push(index);
        }
        line.further
    }

    #[cfg(test)]
    pub(super) fn set_generation(&mut self, index: u32, generation: u32) {
        self.all[index as usize].generation = generation;
    }
}
