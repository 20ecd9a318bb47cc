//! The index of names: a number that is there all the time is found, while others are removed and listed.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::manager::parts::NameIndex;
use std::sync::Arc;

/// All numbers have the same hash, so that each removal moves those behind it.
const HASH: usize = 1;

fn list(index: &NameIndex, number: u32, count: usize) {
    index.reserve(count, std::iter::empty()).unwrap().list(number, HASH);
}

fn finds(index: &NameIndex, number: u32) -> bool {
    index.find(HASH, |n| (n == number).then_some(())).is_some()
}

/// An array of four places has room for two numbers. The second is moved to the place of the first when that is removed.
#[test]
fn name_index() {
    explore("name_index", 3, || {
        let index = Arc::new(NameIndex::default());
        list(&index, 0, 0);
        list(&index, 1, 1);
        let writer = index.clone();
        let writing = thread::spawn(move || {
            writer.remove(0, |_| HASH);
            list(&writer, 2, 1);
        });
        assert!(finds(&index, 1), "it is listed all the time");
        writing.join().unwrap();
        assert!(!finds(&index, 0) && finds(&index, 1) && finds(&index, 2));
    });
}
