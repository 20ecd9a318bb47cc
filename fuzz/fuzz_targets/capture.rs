//! Captures: a file of any octets is read, classified and forwarded without a panic. Every packet is counted once. The
//! transmitted packets can be read again, and are packets that a router may forward.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, ManagerConfig};
use mgm::plane::capture::{CaptureReader, CaptureRouter, CaptureWriter, Recording, Run};
use mgm::plane::{Class, classify};
use mgm::protocol::gmp::{GmpConfig, GroupMembership};
use mgm::rpf::LearnedRoutes;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

fuzz_target!(|octets: &[u8]| {
    let recording = Recording::read(octets);
    if recording.interfaces().len() > 8 {
        return;
    }
    let ports = recording.ports();
    let learned = Arc::new(LearnedRoutes::new());
    let config = ManagerConfig::default().with_entries(1 << 12);
    let manager = Arc::new(GroupManager::new(config, learned.clone()).unwrap());
    let listeners = [Family::V4, Family::V6]
        .map(|family| GroupMembership::new(manager.clone(), family, GmpConfig::default()).unwrap());
    for port in &ports {
        for listener in &listeners {
            listener.take(port.interface(listener.family())).unwrap();
        }
    }
    let router = CaptureRouter::new(manager, listeners, ports, Some(learned));
    let mut files: Vec<_> = (router.ports().iter())
        .map(|port| CaptureWriter::new(Vec::new(), &port.name, port.link, Some(port.mac)).unwrap())
        .collect();
    let passes = 2;
    let totals = router
        .run(
            &recording,
            Run {
                passes: NonZeroU64::new(passes).unwrap(),
                threads: NonZeroUsize::MIN,
                transmit: Some(&mut |port, time, packet: &[u8]| files[port].write(time, packet)),
                progress: &mut |_| (),
            },
        )
        .unwrap();
    let reasons: u64 = totals.not_forwarded.reasons().iter().map(|(_, packets)| packets).sum();
    assert_eq!(totals.packets, passes * recording.frames());
    assert_eq!(totals.packets, totals.forwarded_packets + reasons);
    assert_eq!(totals.copies, totals.transmitted.iter().sum::<u64>());
    assert_eq!(totals.not_forwarded.queue_full, 0);
    for (file, transmitted) in files.into_iter().zip(&totals.transmitted) {
        let file = file.finish().unwrap();
        let mut reader = CaptureReader::new(&file[..]).unwrap();
        let mut packets = 0;
        while let Some(frame) = reader.next_frame().unwrap() {
            // A hop limit of 2 was lowered to 1.
            assert!(matches!(classify(frame.link, frame.octets), Class::Data(_) | Class::TtlExpired));
            packets += passes;
        }
        assert_eq!(packets, *transmitted);
    }
});
