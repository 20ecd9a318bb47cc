//! `MgmExtForward`: the fate of one packet of a forwarding plane in C.

use crate::arguments::{flow, packet};
use crate::boundary::catch_panic;
use crate::codes::Code;
use crate::ext_types::{
    MGM_EXT_FLOW, MGM_EXT_FORWARD, MGM_EXT_INTERFACE, MGM_EXT_NO_ENTRY, MGM_EXT_NO_RECEIVERS,
    MGM_EXT_QUEUE_FULL, MGM_EXT_WRONG_IF, PMGM_EXT_INTERFACE,
};
use crate::instance::Instance;
use crate::process::{Process, running_or};
use crate::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, PDWORD};
use mgm::forwarding::{
    Entry, Flow, FlowCounter, ForwardingReader, OifCounter, OifCounterId, Verdict, VifIndex, WorkerCounters,
};
use mgm::manager::{Interface, Upcall};
use std::cell::RefCell;

/// What a thread that forwards packets keeps from packet to packet.
struct ThreadState {
    /// The instance that the reader belongs to. A child of fork has an instance of its own.
    instance: &'static Instance,
    reader: ForwardingReader<'static>,
    counters: WorkerCounters,
    /// The counters of the present packet's copies. Kept for its memory.
    copies: Vec<OifCounterId>,
}

/// The place of a thread's state.
struct Place(RefCell<Option<ThreadState>>);

impl Place {
    /// Runs `call` with the state of this thread in the running instance, which is made if there is none.
    fn with<R>(&self, instance: &'static Instance, call: impl FnOnce(&mut ThreadState) -> R) -> R {
        let mut place = self.0.borrow_mut();
        let state = match &mut *place {
            Some(state) if std::ptr::eq(state.instance, instance) => state,
            inherited => {
                // The state of the thread that forked this process: its destructor may wait for a thread of the parent.
                std::mem::forget(inherited.take());
                inherited.insert(ThreadState::new(instance))
            }
        };
        let result = call(state);
        // Parks: a thread that has no packet for a long time holds no memory back.
        state.reader.park();
        result
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let state = self.0.take();
        let process = Process::get().map(std::ptr::from_ref);
        if state.as_ref().is_some_and(|state| process != Some(std::ptr::from_ref(state.instance.process))) {
            // In a child of fork: as above.
            std::mem::forget(state);
        }
    }
}

thread_local! {
    static PLACE: Place = const { Place(RefCell::new(None)) };
}

/// The array of the caller that receives the outgoing interfaces.
struct OutgoingArray {
    start: PMGM_EXT_INTERFACE,
    room: usize,
}

impl ThreadState {
    fn new(instance: &'static Instance) -> ThreadState {
        let forwarding = instance.manager().forwarding();
        ThreadState {
            instance,
            reader: forwarding.reader(),
            counters: forwarding.counters().worker(),
            copies: Vec::new(),
        }
    }

    /// Returns the verdict and the number of copies. Counts the packet, unless the array is too small.
    fn process(
        &mut self,
        flow: &Flow,
        arrival: Interface,
        octets: DWORD,
        outgoing_array: &OutgoingArray,
    ) -> (DWORD, usize) {
        let ThreadState { instance, reader, counters, copies } = self;
        let manager = instance.manager();
        // An interface that was never taken is the incoming interface of no entry.
        let arrival = manager.vif_index(arrival).unwrap_or(VifIndex(u32::MAX));
        let Some(entry) = reader.lookup(flow) else { return (MGM_EXT_NO_ENTRY, 0) };
        let discard = |counters: &mut WorkerCounters, entry: &Entry| {
            counters.add(entry.counter(), FlowCounter::NoReceivers, 1);
            (MGM_EXT_NO_RECEIVERS, 0)
        };
        match entry.check(arrival) {
            Verdict::Stale => (MGM_EXT_NO_ENTRY, 0),
            Verdict::NoReceivers => discard(counters, entry),
            Verdict::WrongInterface => {
                counters.add(entry.counter(), FlowCounter::WrongInterface, 1);
                (MGM_EXT_WRONG_IF, 0)
            }
            Verdict::Accept => {
                copies.clear();
                for outgoing in entry.live_outgoing() {
                    let Some(interface) = manager.interface(outgoing.interface) else { continue };
                    if copies.len() < outgoing_array.room {
                        let at = outgoing_array.start.wrapping_add(copies.len());
                        // SAFETY: within the room that the caller of MgmExtForward has promised.
                        unsafe { at.write_unaligned(interface.into()) };
                    }
                    copies.push(outgoing.counter);
                }
                if copies.is_empty() {
                    return discard(counters, entry);
                }
                if copies.len() <= outgoing_array.room {
                    for number in &*copies {
                        counters.add_oif(*number, OifCounter::Packets, 1);
                    }
                    counters.add(entry.counter(), FlowCounter::Packets, 1);
                    counters.add(entry.counter(), FlowCounter::Octets, octets.into());
                    counters.add(entry.counter(), FlowCounter::Copies, copies.len() as u64);
                }
                (MGM_EXT_FORWARD, copies.len())
            }
        }
    }
}

/// Returns in *pdwVerdict what to do with a packet (from its IP header on) that arrived on an interface, and counts it.
///
/// The verdict is MGM_EXT_FORWARD, and then rgOutgoing has the interfaces to copy the packet to; or
/// MGM_EXT_NO_RECEIVERS, MGM_EXT_WRONG_IF, MGM_EXT_NO_ENTRY or MGM_EXT_QUEUE_FULL. *pdwOutgoing says how many
/// interfaces rgOutgoing has room for, and on return how many there are. rgOutgoing may be null if *pdwOutgoing is 0.
///
/// The call takes no lock, except in a thread's first call and in the destructors of a thread (pthread_key_create), and
/// runs no callback or hook. The manager's thread makes
/// the entry of a flow that has none, and calls the owner of an interface on which packets arrived wrongly.
///
/// - ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small. The packet was not counted: call again with more room.
/// - ERROR_INVALID_PARAMETER: a null pointer, addresses that form no flow, or no interface.
/// - ERROR_CAN_NOT_COMPLETE: the manager does not run.
///
/// # Safety
/// Each pointer is null or points to a value of its type, pbPacket to dwSize octets, rgOutgoing to *pdwOutgoing values.
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
    catch_panic("MgmExtForward", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        // SAFETY: as above.
        let packet = unsafe { packet(pbPacket, dwSize) }?;
        if pArrival.is_null() || pdwVerdict.is_null() || pdwOutgoing.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: not null, and the caller's promise; accesses may be unaligned, here and below.
        let arrival = unsafe { pArrival.read_unaligned() }.to_interface().ok_or(Code::INVALID_PARAMETER)?;
        // SAFETY: as above.
        let room = unsafe { pdwOutgoing.read_unaligned() } as usize;
        if rgOutgoing.is_null() && room > 0 {
            return Err(Code::INVALID_PARAMETER);
        }
        let instance = running_or(Code::CAN_NOT_COMPLETE)?;
        let outgoing = OutgoingArray { start: rgOutgoing, room };
        let process = |state: &mut ThreadState| state.process(&flow, arrival, dwSize, &outgoing);
        // An error: the thread is ending, and its place is gone. Such a call makes a state for itself.
        let (mut verdict, copies) = PLACE
            .try_with(|place| place.with(instance, process))
            .unwrap_or_else(|_| process(&mut ThreadState::new(instance)));
        let manager = instance.manager();
        match verdict {
            MGM_EXT_NO_ENTRY => match manager.upcall(flow, arrival, packet) {
                Upcall::Queued => instance.process.waker.wake(),
                Upcall::Waiting => {}
                Upcall::Refused => verdict = MGM_EXT_QUEUE_FULL,
                Upcall::NotForwarded => verdict = MGM_EXT_NO_RECEIVERS,
            },
            MGM_EXT_WRONG_IF if manager.wrong_interface(flow, arrival, packet) => {
                instance.process.waker.wake();
            }
            _ => {}
        }
        // SAFETY: as above.
        unsafe { pdwVerdict.write_unaligned(verdict) };
        // SAFETY: as above.
        unsafe { pdwOutgoing.write_unaligned(DWORD::try_from(copies).unwrap_or(DWORD::MAX)) };
        Ok(if copies > room { Code(ERROR_INSUFFICIENT_BUFFER) } else { Code::SUCCESS })
    })
}
