//! One packet of a forwarding plane in C: what is to be done with it.

use super::codes::Code;
use super::ext::{flow, packet};
use super::ext_types::{
    MGM_EXT_FLOW, MGM_EXT_FORWARD, MGM_EXT_INTERFACE, MGM_EXT_NO_ENTRY, MGM_EXT_NO_RECEIVERS,
    MGM_EXT_QUEUE_FULL, MGM_EXT_WRONG_IF, PMGM_EXT_INTERFACE,
};
use super::process::{World, guard, running};
use super::service;
use super::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, PDWORD};
use mgm::forwarding::{
    Counter, Entry, Flow, ForwardingReader, OifCounterId, OutgoingCounter, Verdict, VifIndex, WorkerCounters,
};
use mgm::manager::{Interface, Upcall};
use std::cell::RefCell;

/// What a thread that forwards has of its own.
struct Worker {
    reader: ForwardingReader<'static>,
    counters: WorkerCounters,
    /// Under which numbers the copies of the packet at hand are counted. Kept for its memory.
    copies: Vec<OifCounterId>,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Where the outgoing interfaces go.
struct Outgoing {
    at: PMGM_EXT_INTERFACE,
    room: usize,
}

impl Worker {
    fn new(world: &'static World) -> Worker {
        let forwarding = world.manager().forwarding();
        Worker { reader: forwarding.reader(), counters: forwarding.counters().worker(), copies: Vec::new() }
    }

    /// The verdict, and how many copies are to be made; the packet is counted unless there is no room for them.
    fn judge(
        &mut self,
        world: &World,
        flow: &Flow,
        arrival: Interface,
        octets: DWORD,
        into: &Outgoing,
    ) -> (DWORD, usize) {
        let manager = world.manager();
        // Nobody's packets have to arrive where nobody ever was.
        let arrival = manager.vif_index(arrival).unwrap_or(VifIndex(u32::MAX));
        let Worker { reader, counters, copies } = self;
        let Some(entry) = reader.lookup(flow) else { return (MGM_EXT_NO_ENTRY, 0) };
        let discard = |counters: &mut WorkerCounters, entry: &Entry| {
            counters.add(entry.number(), Counter::NoReceivers, 1);
            (MGM_EXT_NO_RECEIVERS, 0)
        };
        match entry.judge(arrival) {
            Verdict::Miss => (MGM_EXT_NO_ENTRY, 0),
            Verdict::NoReceivers => discard(counters, entry),
            Verdict::WrongInterface => {
                counters.add(entry.number(), Counter::WrongInterface, 1);
                (MGM_EXT_WRONG_IF, 0)
            }
            Verdict::Accept => {
                copies.clear();
                for outgoing in entry.live() {
                    let Some(interface) = manager.interface(outgoing.interface) else { continue };
                    if copies.len() < into.room {
                        // SAFETY: there is room for it, by the promise of the caller of MgmExtForward.
                        unsafe { into.at.wrapping_add(copies.len()).write_unaligned(interface.into()) };
                    }
                    copies.push(outgoing.number);
                }
                if copies.is_empty() {
                    return discard(counters, entry);
                }
                if copies.len() <= into.room {
                    for number in &*copies {
                        counters.add_outgoing(*number, OutgoingCounter::Packets, 1);
                    }
                    counters.add(entry.number(), Counter::Packets, 1);
                    counters.add(entry.number(), Counter::Octets, octets.into());
                    counters.add(entry.number(), Counter::Copies, copies.len() as u64);
                }
                (MGM_EXT_FORWARD, copies.len())
            }
        }
    }
}

/// What to do with a packet (from its IP header on) that arrived on an interface: *pdwVerdict is MGM_EXT_FORWARD, and then
/// rgOutgoing says where to; or MGM_EXT_NO_RECEIVERS, MGM_EXT_WRONG_IF, MGM_EXT_NO_ENTRY or MGM_EXT_QUEUE_FULL.
/// *pdwOutgoing says how many interfaces have room in rgOutgoing, and on return how many there are. The packet is counted
/// accordingly. Takes no lock (but in a thread's first call) and calls nobody: a flow without an entry, and the owner of a wrong interface, are seen to
/// on the manager's thread.
///
/// ERROR_INSUFFICIENT_BUFFER: rgOutgoing, which may be null without room, is too small; the packet is not counted: call
/// again. ERROR_INVALID_PARAMETER: a null pointer, no flow, or no interface. ERROR_CAN_NOT_COMPLETE: the manager does not
/// run.
///
/// # Safety
/// Each pointer is null or leads to what its type says; pbPacket to dwSize bytes, rgOutgoing to *pdwOutgoing of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtForward(
    pFlow: *const MGM_EXT_FLOW,
    pArrival: *const MGM_EXT_INTERFACE,
    pbPacket: *const u8,
    dwSize: DWORD,
    pdwVerdict: PDWORD,
    rgOutgoing: PMGM_EXT_INTERFACE,
    pdwOutgoing: PDWORD,
) -> DWORD {
    guard("MgmExtForward", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        // SAFETY: as above.
        let packet = unsafe { packet(pbPacket, dwSize) }?;
        if pArrival.is_null() || pdwVerdict.is_null() || pdwOutgoing.is_null() {
            return Err(Code::INVALID);
        }
        // SAFETY: not null, and the caller's promise; it may be unaligned, here and below.
        let arrival = unsafe { pArrival.read_unaligned() }.to_interface().ok_or(Code::INVALID)?;
        // SAFETY: as above.
        let room = unsafe { pdwOutgoing.read_unaligned() } as usize;
        if rgOutgoing.is_null() && room > 0 {
            return Err(Code::INVALID);
        }
        let (world, _) = running().ok_or(Code::FAILED)?;
        let into = Outgoing { at: rgOutgoing, room };
        let judged = WORKER.try_with(|worker| {
            let mut worker = worker.borrow_mut();
            let worker = worker.get_or_insert_with(|| Worker::new(world));
            let judged = worker.judge(world, &flow, arrival, dwSize, &into);
            // A thread that has no packet for a long time holds nothing back.
            worker.reader.park();
            judged
        });
        // Its thread is ending.
        let (mut verdict, copies) = judged.map_err(|_| Code::FAILED)?;
        let manager = world.manager();
        match verdict {
            MGM_EXT_NO_ENTRY => match manager.upcall(flow, arrival, packet) {
                Upcall::Queued => service::wake(),
                Upcall::Waiting => {}
                Upcall::Refused => verdict = MGM_EXT_QUEUE_FULL,
                Upcall::NotForwarded => verdict = MGM_EXT_NO_RECEIVERS,
            },
            MGM_EXT_WRONG_IF if manager.wrong_interface(flow, arrival, packet) => service::wake(),
            _ => {}
        }
        // SAFETY: as above.
        unsafe { pdwVerdict.write_unaligned(verdict) };
        // SAFETY: as above.
        unsafe { pdwOutgoing.write_unaligned(DWORD::try_from(copies).unwrap_or(DWORD::MAX)) };
        Ok(if copies > room { Code(ERROR_INSUFFICIENT_BUFFER) } else { Code::DONE })
    })
}
