//! Random calls of the C interface: handles that are live, dead, of the other kind or made up; buffers of any size; keys,
//! addresses, masks and flags of any value. Whatever is passed, a documented code comes back, nothing is written beyond a
//! buffer, sizes change with ERROR_INSUFFICIENT_BUFFER alone, and what comes back is well formed.

#[macro_use]
mod c_stage;

use c_stage::*;
use mgm::capi::*;
use proptest::prelude::*;
use std::ptr::null_mut;

#[derive(Clone, Debug)]
enum Call {
    Register { protocol: u8, component: u8 },
    DeRegister { handle: u8 },
    Take { handle: u8, interface: u8 },
    Release { handle: u8, interface: u8 },
    Owner { interface: u8 },
    Add { handle: u8, of: [u8; 4], interface: u8, flags: u8 },
    Delete { handle: u8, of: [u8; 4], interface: u8, flags: u8 },
    Get { source: u8, group: u8, size: u16, flags: Option<u8> },
    Walk { after: Option<(u8, u8)>, size: u16, flags: Option<u8> },
    Start { handle: u8, kind: u8 },
    Next { handle: u8, size: u16 },
    End { handle: u8 },
    Set { handle: u8, source: u8, group: u8 },
    NewFlow { source: u8, group: u8, size: u16 },
    Forward { source: u8, group: u8, arrival: u8, room: u8 },
    Routes { source: u8, prefix: u8 },
    Restart,
}

fn calls() -> impl Strategy<Value = Call> {
    use Call::*;
    let handle = || 0..12_u8;
    prop_oneof![
        4 => (0..3_u8, 0..3_u8).prop_map(|(protocol, component)| Register { protocol, component }),
        2 => handle().prop_map(|handle| DeRegister { handle }),
        4 => (handle(), 0..6_u8).prop_map(|(handle, interface)| Take { handle, interface }),
        2 => (handle(), 0..6_u8).prop_map(|(handle, interface)| Release { handle, interface }),
        1 => (0..6_u8).prop_map(|interface| Owner { interface }),
        6 => (handle(), any::<[u8; 4]>(), 0..6_u8, 0..5_u8)
            .prop_map(|(handle, of, interface, flags)| Add { handle, of, interface, flags }),
        3 => (handle(), any::<[u8; 4]>(), 0..6_u8, 0..5_u8)
            .prop_map(|(handle, of, interface, flags)| Delete { handle, of, interface, flags }),
        3 => (any::<u8>(), any::<u8>(), 0..300_u16, proptest::option::of(0..4_u8))
            .prop_map(|(source, group, size, flags)| Get { source, group, size, flags }),
        6 => (proptest::option::of(any::<(u8, u8)>()), 0..1500_u16, proptest::option::of(0..4_u8))
            .prop_map(|(after, size, flags)| Walk { after, size, flags }),
        2 => (handle(), 0..4_u8).prop_map(|(handle, kind)| Start { handle, kind }),
        4 => (handle(), 0..100_u16).prop_map(|(handle, size)| Next { handle, size }),
        1 => handle().prop_map(|handle| End { handle }),
        1 => (handle(), any::<u8>(), any::<u8>()).prop_map(|(handle, source, group)| Set { handle, source, group }),
        6 => (any::<u8>(), any::<u8>(), 0..100_u16).prop_map(|(source, group, size)| NewFlow { source, group, size }),
        4 => (any::<u8>(), any::<u8>(), 0..6_u8, 0..4_u8)
            .prop_map(|(source, group, arrival, room)| Forward { source, group, arrival, room }),
        1 => (any::<u8>(), 0..40_u8).prop_map(|(source, prefix)| Routes { source, prefix }),
        1 => Just(Restart),
    ]
}

/// Addresses of all kinds, good ones most often.
fn source(n: u8) -> DWORD {
    match n {
        0..200 => ip(192, 0, 2, 1 + n % 4),
        200..220 => 0,
        220..240 => ip(239, 1, 1, 1),
        _ => ip(n, n, n, n),
    }
}

fn group(n: u8) -> DWORD {
    match n {
        0..200 => ip(239, 1, 1, n % 4),
        200..220 => 0,
        220..240 => ip(224, 0, 0, 5),
        _ => ip(n, 1, 2, 3),
    }
}

fn mask(n: u8, address: DWORD) -> DWORD {
    match n {
        0..230 => {
            if address == 0 {
                0
            } else {
                ONES
            }
        }
        230..240 => 0,
        240..250 => ONES,
        _ => ip(255, 255, n, 0),
    }
}

struct Run {
    stage: Stage,
    /// Handles that were once given out, of clients and of enumerations.
    handles: Vec<HANDLE>,
}

impl Run {
    fn handle(&self, n: u8) -> HANDLE {
        match n {
            0 => null_mut(),
            1 => std::ptr::without_provenance_mut(usize::MAX),
            2 | 3 => self.stage.client,
            _ => self.handles.iter().rev().nth(usize::from(n) - 4).copied().unwrap_or(null_mut()),
        }
    }

    fn run(&mut self, call: &Call) -> (DWORD, &'static [DWORD]) {
        match *call {
            Call::Register { protocol, component } => {
                let id = [PROTOCOL, IGMP, PROTOCOL + 1][usize::from(protocol)];
                let (mut config, mut handle) = (no_callbacks(), null_mut());
                let code = c!(MgmRegisterMProtocol(&raw mut config, id, component.into(), &raw mut handle));
                assert_eq!(code == NO_ERROR, !handle.is_null());
                self.handles.extend((code == NO_ERROR).then_some(handle));
                (code, &[0, 8, 183])
            }
            Call::DeRegister { handle } => (MgmDeRegisterMProtocol(self.handle(handle)), &[0, 87, 1003]),
            Call::Take { handle, interface } => {
                (MgmTakeInterfaceOwnership(self.handle(handle), interface.into(), 0), &[0, 8, 87, 183])
            }
            Call::Release { handle, interface } => {
                (MgmReleaseInterfaceOwnership(self.handle(handle), interface.into(), 0), &[0, 87])
            }
            Call::Owner { interface } => {
                let (mut id, mut component) = (0, 0);
                let owner = MgmGetProtocolOnInterface;
                (c!(owner(interface.into(), 0, &raw mut id, &raw mut component)), &[0, 1168])
            }
            Call::Add { handle, of: [s, sm, g, gm], interface, flags } => {
                let (s, g) = (source(s), group(g));
                let handle = self.handle(handle);
                let (sm, gm) = (mask(sm, s), mask(gm, g));
                let code =
                    MgmAddGroupMembershipEntry(handle, s, sm, g, gm, interface.into(), 0, flags.into());
                (code, &[0, 8, 87, 1003])
            }
            Call::Delete { handle, of: [s, sm, g, gm], interface, flags } => {
                let (s, g) = (source(s), group(g));
                let handle = self.handle(handle);
                let (sm, gm) = (mask(sm, s), mask(gm, g));
                let code =
                    MgmDeleteGroupMembershipEntry(handle, s, sm, g, gm, interface.into(), 0, flags.into());
                (code, &[0, 87, 1003, 1168])
            }
            Call::Get { source: s, group: g, size, flags } => {
                let mut key = key(source(s), group(g));
                let reply = Reply::of(size.into(), |size, buffer, _| match flags {
                    None => c!(MgmGetMfe(&raw mut key, size, buffer)),
                    Some(flags) => c!(MgmGetMfeStats(&raw mut key, size, buffer, flags.into())),
                });
                if reply.code == NO_ERROR {
                    assert_eq!((reply.dword(0), reply.dword(4)), (group(g), source(s)));
                }
                (reply.code, if flags.is_some() { &[0, 87, 122, 1168] } else { &[0, 122, 1168] })
            }
            Call::Walk { after, size, flags } => (walk(after, size, flags), &[87, 122, 234, 259]),
            Call::Start { handle, kind } => {
                let mut enumeration = null_mut();
                let start = MgmGroupEnumerationStart;
                let code = c!(start(self.handle(handle), kind.into(), &raw mut enumeration));
                self.handles.extend((code == NO_ERROR).then_some(enumeration));
                (code, &[0, 8, 87])
            }
            Call::Next { handle, size } => {
                let handle = self.handle(handle);
                let reply = Reply::of(size.into(), |s, b, n| c!(MgmGroupEnumerationGetNext(handle, s, b, n)));
                match reply.code {
                    ERROR_MORE_DATA | ERROR_NO_MORE_ITEMS => assert!(reply.count <= u32::from(size) / 16),
                    ERROR_INSUFFICIENT_BUFFER => assert_eq!((reply.size, size < 16), (16, true)),
                    _ => {}
                }
                (reply.code, &[87, 122, 234, 259])
            }
            Call::End { handle } => (MgmGroupEnumerationEnd(self.handle(handle)), &[0, 87]),
            Call::Set { handle, source: s, group: g } => {
                let mut entry = key(source(s), group(g));
                (c!(MgmSetMfe(self.handle(handle), &raw mut entry)), &[0, 87, 1168])
            }
            Call::NewFlow { source: s, group: g, size } => {
                let flow = flow(source(s), group(g));
                let packet = vec![0x45; size.into()];
                (c!(MgmExtNewFlow(&raw const flow, packet.as_ptr(), size.into())), &[0, 8, 87, 1003])
            }
            Call::Forward { source: s, group: g, arrival, room } => {
                let flow = flow(source(s), group(g));
                let arrival = MGM_EXT_INTERFACE { dwIfIndex: arrival.into(), ..Default::default() };
                let untouched = MGM_EXT_INTERFACE { dwIfIndex: 0xA5A5, ..Default::default() };
                let mut outgoing = [untouched; 5];
                let (mut verdict, mut count) = (0, u32::from(room));
                let packet = [0x45; 20];
                let code = c!(MgmExtForward(
                    &raw const flow,
                    &raw const arrival,
                    packet.as_ptr(),
                    20,
                    &raw mut verdict,
                    outgoing.as_mut_ptr(),
                    &raw mut count
                ));
                assert!(outgoing[usize::from(room)..].iter().all(|interface| *interface == untouched));
                assert!(code != ERROR_INSUFFICIENT_BUFFER || count > u32::from(room));
                (code, &[0, 87, 122])
            }
            Call::Routes { source: s, prefix } => {
                let network = flow(source(s), 0).Source;
                (c!(MgmExtRoutesChanged(&raw const network, prefix.into())), &[0])
            }
            Call::Restart => {
                self.stage.stop();
                self.stage.start();
                (NO_ERROR, &[0])
            }
        }
    }
}

/// A reply of a walk: its code, after a look at its records.
fn walk(after: Option<(u8, u8)>, size: u16, flags: Option<u8>) -> DWORD {
    let start = after.map(|(s, g)| (source(s), group(g)));
    let mut at = start.map(|(s, g)| key(s, g));
    let reply = Reply::of(size.into(), |size, buffer, count| match (&mut at, flags) {
        (None, None) => c!(MgmGetFirstMfe(size, buffer, count)),
        (None, Some(flags)) => c!(MgmGetFirstMfeStats(size, buffer, count, flags.into())),
        (Some(at), None) => c!(MgmGetNextMfe(at, size, buffer, count)),
        (Some(at), Some(flags)) => c!(MgmGetNextMfeStats(at, size, buffer, count, flags.into())),
    });
    let (count_at, basic, each) = match flags {
        None => (48, 60, 16),
        Some(1) => (44, 64, 28),
        Some(_) => (44, 84, 28),
    };
    if matches!(reply.code, ERROR_MORE_DATA | ERROR_NO_MORE_ITEMS) {
        let mut last = start.map(|(s, g)| (u32::from_be(g), u32::from_be(s)));
        let mut at = 0;
        for _ in 0..reply.count {
            let here = (u32::from_be(reply.dword(at)), u32::from_be(reply.dword(at + 4)));
            assert!(last.is_none_or(|last| last < here), "{last:x?} before {here:x?}");
            assert_eq!(reply.dword(at + 8), ONES);
            last = Some(here);
            at += basic + each * reply.dword(at + count_at) as usize;
        }
        assert!(at <= usize::from(size));
        assert!(reply.code == ERROR_NO_MORE_ITEMS || reply.count > 0);
    } else if reply.code == ERROR_INSUFFICIENT_BUFFER {
        assert!(reply.size > size.into() && reply.count == 0);
    }
    reply.code
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_get_documented_codes(calls in proptest::collection::vec(calls(), 1..120)) {
        let mut run = Run { stage: Stage::new(), handles: Vec::new() };
        for call in &calls {
            let (code, documented) = run.run(call);
            prop_assert!(documented.contains(&code), "{call:?} returned {code}");
        }
        prop_assert_eq!(MgmExtPanics(), 0);
    }
}
