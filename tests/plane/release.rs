//! Release is instant for a packet path: one thread forwards from memory without pause while another releases
//! interfaces.
//!
//! Before each burst the forwarding thread asks whether the interface has an owner. If it has none until the
//! burst is over, the burst checked every stamp of the interface after the release took effect. The sweep
//! that follows a release, which removes the interface from hundreds of entries, is still running during most
//! such bursts: they find entries that name it.

use crate::support::SetOnDrop;
use crate::support::router::*;
use mgm::forwarding::{Entry, VifIndex};
use mgm::handle::Handle;
use mgm::manager::NewFlowError;
use mgm::plane::ring::{BURST, FrameReceiver, RingTotals, RingWorker, frame_ring};
use mgm::plane::{Link, MacAddress, Port};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Enough flows for a sweep to last several bursts.
const FLOWS: usize = 512;
/// The number of bursts that have to find entries that name a released interface.
const LATE_BURSTS: u64 = 50;
/// The largest number of releases until those bursts have come.
const MAX_RELEASES: u64 = 20_000;

const INCOMING: u32 = 1;
const CHANGING: u32 = 2;
const STEADY: u32 = 3;

fn source(n: usize) -> [u8; 4] {
    [10, 0, (n >> 8) as u8, n as u8]
}

/// Returns a frame of each flow, to 239.1.1.1.
fn frames() -> Vec<Vec<u8>> {
    let frame = |n| {
        let mut datagram =
            [[0x45, 0, 0, 46], [0, 0, 0, 0], [9, 17, 0, 0], source(n), [239, 1, 1, 1]].concat();
        let sum: u32 = datagram.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        datagram[10..12].copy_from_slice(&sum.to_be_bytes());
        datagram.resize(46, 0);
        [&[1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 7, 8, 0][..], &datagram].concat()
    };
    (0..FLOWS).map(frame).collect()
}

struct Setup {
    router: Router,
    /// Odd while an interface is being taken.
    takes: AtomicU64,
    /// The number of finished bursts.
    bursts: AtomicU64,
    done: AtomicBool,
    /// The number of bursts that found an entry that names a released interface.
    late: AtomicU64,
}

impl Setup {
    /// Makes a router where everything arrives on interface 1; another client owns the others, which have
    /// receivers.
    fn new() -> (Setup, [Handle; 2]) {
        let router = Router::new();
        let p = router.client(1, &[INCOMING]);
        let q = router.client(2, &[CHANGING, STEADY]);
        router.join(q, STEADY, "* 239.1.1.1");
        let setup = Setup { router, takes: 0.into(), bursts: 0.into(), done: false.into(), late: 0.into() };
        (setup, [p, q])
    }

    fn build(&self) {
        for n in 0..FLOWS {
            let source = std::net::Ipv4Addr::from(source(n));
            // A stopped worker holds back the slots of withdrawn entries.
            let made = self.router.new_flow(&format!("{source} 239.1.1.1"));
            assert!(matches!(made, Ok(_) | Err(NewFlowError::Full(_))), "{made:?}");
        }
    }

    /// Forwards until `done` is set. `wrong` returns whether copies to an interface are wrong while
    /// `changing` has no owner.
    fn forward(&self, changing: u32, wrong: impl Fn(u32) -> bool) -> (RingTotals, u64) {
        let manager = &self.router.manager;
        let (senders, mut rings): (Vec<_>, Vec<_>) = (0..STEADY).map(|_| frame_ring(BURST).unwrap()).unzip();
        let port = |n| Port {
            name: format!("p{n}"),
            index: n,
            link: Link::Ethernet,
            mac: MacAddress::for_interface(n),
        };
        let mut worker = RingWorker::new(manager.clone(), (1..).map(port).zip(senders));
        let mut reader = manager.forwarding().reader();
        let flows: Vec<_> =
            (0..FLOWS).map(|n| flow(&format!("{} 239.1.1.1", std::net::Ipv4Addr::from(source(n))))).collect();
        let number = manager.vif_index(v4(changing)).unwrap();
        // Entries created meanwhile have no outgoing interfaces.
        let names = |n: VifIndex, entry: &Entry| {
            let incoming = entry.incoming().map(|incoming| incoming.interface);
            entry.outgoing().map(|outgoing| outgoing.interface).any(|o| o == n || incoming == Some(n))
        };
        let frames = frames();
        let mut received = 0;
        for (burst, flows) in frames.chunks(BURST).zip(flows.chunks(BURST)).cycle() {
            if self.done.load(Ordering::SeqCst) {
                break;
            }
            let before = self.takes.load(Ordering::SeqCst);
            let unowned = manager.owner_of(v4(changing)).is_err();
            worker.forward(0, burst.iter().map(Vec::as_slice), |_| ());
            let copies: Vec<usize> = rings.iter_mut().map(FrameReceiver::discard).collect();
            received += copies.iter().sum::<usize>() as u64;
            let late = unowned && reader.lookup_burst(flows).flatten().any(|entry| names(number, entry));
            self.bursts.fetch_add(1, Ordering::SeqCst);
            if unowned && before.is_multiple_of(2) && self.takes.load(Ordering::SeqCst) == before {
                self.late.fetch_add(late.into(), Ordering::SeqCst);
                for (n, copies) in (1..).zip(copies) {
                    assert!(
                        !wrong(n) || copies == 0,
                        "interface {n}: {copies} copied to it after it was released"
                    );
                }
            }
        }
        (worker.totals(), received)
    }

    /// Lets one thread forward while this one calls `take` and `release` in turn.
    fn run(
        &self,
        changing: u32,
        wrong: impl Fn(u32) -> bool + Sync + Send,
        take: impl Fn(),
        release: impl Fn(),
    ) -> (RingTotals, u64) {
        thread::scope(|scope| {
            let forwarding = scope.spawn(|| {
                let _done = SetOnDrop(&self.done);
                self.forward(changing, wrong)
            });
            {
                let _done = SetOnDrop(&self.done);
                for _ in 0..MAX_RELEASES {
                    if self.late.load(Ordering::SeqCst) >= LATE_BURSTS || self.done.load(Ordering::SeqCst) {
                        break;
                    }
                    // Waits for two whole bursts before each release, so that the other thread is forwarding.
                    let bursts = self.bursts.load(Ordering::SeqCst) + 2;
                    while self.bursts.load(Ordering::SeqCst) < bursts && !self.done.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    release();
                    self.router.manager.process_upcalls(usize::MAX);
                    self.takes.fetch_add(1, Ordering::SeqCst);
                    take();
                    self.takes.fetch_add(1, Ordering::SeqCst);
                    self.build();
                }
            }
            forwarding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn check_totals(&self, (totals, received): (RingTotals, u64)) {
        assert!(
            self.late.load(Ordering::SeqCst) >= LATE_BURSTS,
            "too few bursts ran during the sweep of a release"
        );
        let RingTotals {
            packets, forwarded_packets, copies, not_forwarded, no_entry, no_room, ports, ..
        } = totals;
        let discarded: u64 = not_forwarded.reasons().iter().map(|(_, count)| count).sum();
        assert_eq!(packets, forwarded_packets + discarded + no_entry + no_room);
        assert_eq!(copies, ports.iter().map(|port| port.sent).sum::<u64>());
        assert_eq!(copies, received);
        assert_eq!((no_room, not_forwarded.malformed, not_forwarded.not_multicast), (0, 0, 0));
        assert!(forwarded_packets > 0 && ports[CHANGING as usize - 1].sent > 0);
    }
}

#[test]
fn nothing_is_copied_to_a_released_interface() {
    let (setup, [_, q]) = Setup::new();
    let join = || setup.router.join(q, CHANGING, "* 239.1.1.1");
    join();
    setup.build();
    let take = || {
        setup.router.manager.take(q, v4(CHANGING)).unwrap();
        join();
    };
    let release = || setup.router.manager.release(q, v4(CHANGING)).unwrap();
    let forwarded = setup.run(CHANGING, |n| n == CHANGING, take, release);
    setup.check_totals(forwarded);
}

#[test]
fn nothing_that_arrives_on_a_released_interface_is_copied() {
    let (setup, [p, q]) = Setup::new();
    setup.router.join(q, CHANGING, "* 239.1.1.1");
    setup.build();
    let take = || setup.router.manager.take(p, v4(INCOMING)).unwrap();
    let release = || setup.router.manager.release(p, v4(INCOMING)).unwrap();
    let forwarded = setup.run(INCOMING, |_| true, take, release);
    setup.check_totals(forwarded);
}
