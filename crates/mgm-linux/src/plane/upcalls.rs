//! The thread that receives the kernel's upcalls.

use super::counters::count;
use super::entries::{Occasion, Shared};
use crate::mroute::{Message, MrouteSocket, Upcall as KernelUpcall, UpcallKind};
use crate::sys::{Datagram, Receiver, wait_readable};
use mgm::forwarding::{Flow, ForwardingReader};
use mgm::manager::Upcall;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The number of messages that are received before their entries are made.
const BURST: usize = 128;
/// The pause after a system call that fails again and again.
const PAUSE: Duration = Duration::from_millis(100);

/// Receives upcalls until the plane stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut reader = shared.manager.forwarding().reader();
    let mut receiver = MrouteSocket::receiver();
    // Acquire: pairs with the store of `stop`.
    while !shared.stop.load(Ordering::Acquire) {
        if receive_burst(shared, &mut reader, &mut receiver) {
            continue;
        }
        // A parked reader holds no removed entry back.
        reader.park();
        if let Err(error) = wait_readable([shared.socket.as_fd(), shared.upcalls.as_fd()], None) {
            tracing::error!(%error, "poll");
            std::thread::sleep(PAUSE);
        }
    }
}

/// Receives some messages, and makes the entries that they ask for. Returns whether more messages may wait.
fn receive_burst(shared: &Shared, reader: &mut ForwardingReader<'_>, receiver: &mut Receiver) -> bool {
    let mut missing: Vec<(Flow, u16)> = Vec::new();
    let mut wrong: Vec<(Flow, u16)> = Vec::new();
    let mut received = 0;
    while received < BURST {
        match shared.socket.receive(receiver) {
            Ok(Some(datagram)) => handle(shared, &datagram, &mut missing, &mut wrong),
            Ok(None) => break,
            Err(error) => {
                count(&shared.counters.receive_errors);
                tracing::warn!(%error, "the multicast routing socket");
                std::thread::sleep(PAUSE);
                break;
            }
        }
        received += 1;
    }
    if !missing.is_empty() || !wrong.is_empty() {
        // Both planes of a manager share its queue, so that there may be more to process than this burst queued.
        while shared.manager.process_upcalls(BURST) == BURST {}
    }
    for (flow, vif) in missing {
        shared.update(reader, flow, Occasion::Missing(vif));
    }
    for (flow, vif) in wrong {
        shared.update(reader, flow, Occasion::Arrived(vif));
    }
    received == BURST
}

fn handle(
    shared: &Shared,
    datagram: &Datagram<'_>,
    missing: &mut Vec<(Flow, u16)>,
    wrong: &mut Vec<(Flow, u16)>,
) {
    let counters = &shared.counters;
    let interface = |vif| shared.state.lock().vifs.interface(vif);
    match Message::parse(shared.family, datagram.payload) {
        Ok(Message::Upcall(KernelUpcall { kind, vif, flow })) => {
            // A vif that was deleted meanwhile: the packet cannot be forwarded any more.
            let Some(arrival) = interface(vif) else { return };
            match kind {
                UpcallKind::NoEntry => {
                    count(&counters.no_entry);
                    match shared.manager.upcall(flow, arrival, &[]) {
                        Upcall::Queued | Upcall::Waiting => missing.push((flow, vif)),
                        Upcall::Refused => count(&counters.refused),
                        Upcall::NotForwarded => {}
                    }
                }
                UpcallKind::WrongInterface => {
                    count(&counters.wrong_interface);
                    _ = shared.manager.wrong_interface(flow, arrival, &[]);
                    wrong.push((flow, vif));
                }
                UpcallKind::WholePacket => {}
            }
        }
        Ok(Message::Igmp(packet)) => hand_on(shared, datagram.ifindex(), packet),
        Err(_) => count(&counters.malformed),
    }
}

/// Hands an IGMP packet on, with the interface that has the index where it arrived.
fn hand_on(shared: &Shared, ifindex: Option<u32>, packet: &[u8]) {
    let Some(handler) = &shared.igmp else { return };
    let arrival = {
        let state = shared.state.lock();
        state.vifs.iter().find(|(_, given)| Some(given.ifindex) == ifindex).map(|(interface, _)| interface)
    };
    if let Some(interface) = arrival {
        count(&shared.counters.igmp);
        handler(interface, packet);
    }
}
