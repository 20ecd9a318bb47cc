//! The rings of frames: a slot belongs to the sender or to the receiver, never to both.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::plane::ring::parts::{Receiver, Sender, ring};

fn send(sender: &mut Sender<u32>, value: u32) -> bool {
    let Some(mut free) = sender.free() else { return false };
    free.slot().write(value);
    // SAFETY: the whole slot is initialized.
    unsafe { free.written() };
    true
}

fn receive(receiver: &mut Receiver<u32>, most: usize) -> Vec<u32> {
    let mut seen = Vec::new();
    receiver.receive(most, |slots| {
        // SAFETY: published slots are initialized; loom reports a slot that is still being written.
        seen.extend(slots.map(|slot| unsafe { slot.assume_init() }));
    });
    seen
}

/// The receiver gets every value whole and in order. Values published together may be received together. The ring has fewer
/// slots than values are sent, and the sender overwrites a slot only after the receiver has released it.
#[test]
fn hand_over() {
    explore("hand_over", 20, || {
        let (mut sender, mut receiver) = ring(2).unwrap();
        let sending = thread::spawn(move || {
            let mut sent = 0;
            for pair in [[0, 1], [2, 3]] {
                for value in pair {
                    sent += u32::from(value == sent && send(&mut sender, value));
                }
                sender.publish();
            }
            sent
        });
        let mut seen = receive(&mut receiver, 1);
        seen.extend(receive(&mut receiver, 2));
        let sent = sending.join().unwrap();
        seen.extend(receive(&mut receiver, 2));
        seen.extend(receive(&mut receiver, 2));
        assert_eq!(seen, (0..sent).collect::<Vec<_>>());
        assert!(sent >= 2);
    });
}
