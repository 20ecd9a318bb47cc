//! [`Events`]: what happened lately, for `mgm show events`. A bounded ring; the numbers of events tell what was dropped.

use crate::control::protocol::{EventRow, MAX_ROWS, Page};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// The number of events that are kept.
const KEPT: usize = 1024;

/// The last events of the router.
#[derive(Debug, Default)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    rows: VecDeque<EventRow>,
    number: u64,
}

impl Events {
    /// Adds an event. The oldest makes room for it.
    pub(crate) fn add(&self, subject: impl Into<String>, event: impl Into<String>) {
        // A clock before 1970 is 0.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut ring = self.ring.lock();
        ring.number += 1;
        let row = EventRow { number: ring.number, time, subject: subject.into(), event: event.into() };
        if ring.rows.len() == KEPT {
            ring.rows.pop_front();
        }
        ring.rows.push_back(row);
    }

    /// Returns the events after a number, the oldest first.
    pub(crate) fn after(&self, number: u64) -> Page<EventRow> {
        let ring = self.ring.lock();
        let mut later = ring.rows.iter().filter(|row| row.number > number);
        let rows: Vec<EventRow> = later.by_ref().take(MAX_ROWS).cloned().collect();
        let next = later.next().and(rows.last()).map(|row| row.number.to_string());
        Page { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_and_paged() {
        let events = Events::default();
        (0..KEPT + 10).for_each(|n| events.add("a", n.to_string()));
        let first = events.after(0);
        assert_eq!((first.rows[0].number, first.rows.len()), (11, MAX_ROWS));
        let next = first.next.unwrap();
        let second = events.after(next.parse().unwrap());
        assert_eq!((second.rows.len(), second.next), (KEPT - MAX_ROWS, None));
        assert_eq!(second.rows.last().unwrap().event, "1033");
        assert!(events.after(1034).rows.is_empty());
    }
}
