//! Calls of the C interface with handles, buffers, keys, addresses, masks and flags of every kind, decoded from octets.
//!
//! The tests and the fuzz target share them. Each call has to return a documented code, to write nothing outside its
//! buffer, to change sizes with ERROR_INSUFFICIENT_BUFFER only, and to return well-formed records.

#![allow(non_snake_case, reason = "fields have the names of the SDK")]

use crate::stage::*;
use mgm_capi::*;
use std::ptr::null_mut;

#[derive(Clone, Debug)]
pub(crate) enum Call {
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
    TakeAny { handle: u8, interface: [u8; 3] },
    ReleaseAny { handle: u8, interface: [u8; 3] },
    AddAny { handle: u8, of: [u8; 2], interface: [u8; 3], flags: u8 },
    DeleteAny { handle: u8, of: [u8; 2], interface: [u8; 3], flags: u8 },
    Entry { source: u8, group: u8, room: u8 },
    Null { which: u8 },
    Restart,
}

/// The octets that encode one call.
pub(crate) type Octets = [u8; 8];

impl Call {
    pub(crate) fn decode([what, a, b, c, d, e, f, g]: Octets) -> Call {
        use Call::*;
        let (handle, interface) = (a % 12, b % 6);
        let size = |limit: u16| u16::from_le_bytes([c, d]) % limit;
        let flags = (e & 1 != 0).then_some(f % 4);
        let any = [b, c, d];
        match what % 64 {
            0..=5 => Register { protocol: a % 3, component: b % 3 },
            6..=8 => DeRegister { handle },
            9..=13 => Take { handle, interface },
            14..=16 => Release { handle, interface },
            17 => Owner { interface },
            18..=23 => Add { handle, of: [c, d, e, f], interface, flags: g % 5 },
            24..=26 => Delete { handle, of: [c, d, e, f], interface, flags: g % 5 },
            27..=29 => Get { source: a, group: b, size: size(300), flags },
            30..=35 => Walk { after: (g & 1 != 0).then_some((a, b)), size: size(1500), flags },
            36..=37 => Start { handle, kind: b % 4 },
            38..=40 => Next { handle, size: size(100) },
            41 => End { handle },
            42 => Set { handle, source: b, group: c },
            43..=47 => NewFlow { source: a, group: b, size: size(100) },
            48..=51 => Forward { source: a, group: b, arrival: c % 6, room: d % 4 },
            52 => Routes { source: a, prefix: b % 40 },
            53 => TakeAny { handle, interface: any },
            54 => ReleaseAny { handle, interface: any },
            55..=56 => AddAny { handle, of: [e, f], interface: any, flags: g % 5 },
            57 => DeleteAny { handle, of: [e, f], interface: any, flags: g % 5 },
            58..=60 => Entry { source: a, group: b, room: c % 6 },
            61 | 62 => Null { which: a },
            _ => Restart,
        }
    }
}

/// Returns a source: valid most often, but also any kind of address.
fn source(n: u8) -> DWORD {
    match n {
        0..200 => ip(192, 0, 2, 1 + n % 4),
        200..220 => 0,
        220..240 => ip(239, 1, 1, 1),
        _ => ip(n, n, n, n),
    }
}

/// Returns a group: valid most often, but also any kind of address.
fn group(n: u8) -> DWORD {
    match n {
        0..200 => ip(239, 1, 1, n % 4),
        200..220 => 0,
        220..240 => ip(224, 0, 0, 5),
        _ => ip(n, 1, 2, 3),
    }
}

/// Returns a mask: the one that fits the address most often.
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

/// A sequence of calls.
pub(crate) struct Run {
    stage: Stage,
    /// Every handle that was returned, of clients and of enumerations.
    handles: Vec<HANDLE>,
}

impl Run {
    pub(crate) fn new() -> Run {
        Run { stage: Stage::new(), handles: Vec::new() }
    }

    /// Makes a call.
    ///
    /// # Panics
    /// If the call returns a code that its page does not list, or writes where it must not.
    pub(crate) fn call(&mut self, call: &Call) {
        let (code, documented) = self.run(call);
        assert!(documented.contains(&code), "{call:?} returned {code}");
    }

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
                let canary = MGM_EXT_INTERFACE { dwIfIndex: 0xA5A5, ..Default::default() };
                let mut outgoing = [canary; 5];
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
                assert!(outgoing[usize::from(room)..].iter().all(|interface| *interface == canary));
                assert!(code != ERROR_INSUFFICIENT_BUFFER || count > u32::from(room));
                (code, &[0, 87, 122])
            }
            Call::Routes { source: s, prefix } => {
                let network = flow(source(s), 0).Source;
                let code = c!(MgmExtRoutesChanged(&raw const network, prefix.into()));
                (code, if prefix > 32 { &[87] } else { &[0] })
            }
            Call::TakeAny { handle, interface } => {
                let interface = any_interface(interface);
                let code = c!(MgmExtTakeInterfaceOwnership(self.handle(handle), &raw const interface));
                (code, &[0, 8, 87, 183])
            }
            Call::ReleaseAny { handle, interface } => {
                let interface = any_interface(interface);
                (c!(MgmExtReleaseInterfaceOwnership(self.handle(handle), &raw const interface)), &[0, 87])
            }
            Call::AddAny { handle, of: [s, g], interface, flags } => {
                let (flow, interface) = (any_flow(s, g), any_interface(interface));
                let (add, handle) = (MgmExtAddGroupMembershipEntry, self.handle(handle));
                let code = c!(add(handle, &raw const flow, &raw const interface, flags.into()));
                (code, &[0, 8, 87, 1003])
            }
            Call::DeleteAny { handle, of: [s, g], interface, flags } => {
                let (flow, interface) = (any_flow(s, g), any_interface(interface));
                let (delete, handle) = (MgmExtDeleteGroupMembershipEntry, self.handle(handle));
                let code = c!(delete(handle, &raw const flow, &raw const interface, flags.into()));
                (code, &[0, 87, 1003, 1168])
            }
            Call::Entry { source: s, group: g, room } => {
                let flow = any_flow(s, g);
                let canary = MGM_EXT_INTERFACE { dwIfIndex: 0xA5A5, ..Default::default() };
                let mut outgoing = [canary; 6];
                let (mut incoming, mut count) = (canary, u32::from(room));
                let code = c!(MgmExtGetEntry(
                    &raw const flow,
                    &raw mut incoming,
                    outgoing.as_mut_ptr(),
                    &raw mut count
                ));
                let written = if code == NO_ERROR { count as usize } else { 0 };
                assert!(written <= room.into());
                assert!(outgoing[written..].iter().all(|interface| *interface == canary));
                assert_eq!(code == ERROR_INSUFFICIENT_BUFFER, count > u32::from(room));
                (code, &[0, 87, 122, 1168])
            }
            Call::Null { which } => (null(self.stage.client, which), &[87]),
            Call::Restart => {
                self.stage.stop();
                self.stage.start();
                (NO_ERROR, &[0])
            }
        }
    }
}

/// Reads entries, checks their records, and returns the code.
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

/// Returns an interface of any family, known or unknown.
fn any_interface([index, family, octet]: [u8; 3]) -> MGM_EXT_INTERFACE {
    let dwFamily = [MGM_EXT_NONE, MGM_EXT_IPV4, MGM_EXT_IPV6, 5, DWORD::MAX][usize::from(family % 5)];
    let mut rgbAddress = [0; 16];
    rgbAddress[usize::from(octet % 16)] = octet & 0x30;
    MGM_EXT_INTERFACE { dwIfIndex: (index % 8).into(), NextHop: MGM_EXT_ADDRESS { dwFamily, rgbAddress } }
}

/// Returns a flow of any families, valid or not, with MGM_EXT_NONE for any.
fn any_flow(s: u8, g: u8) -> MGM_EXT_FLOW {
    let v6 = |first: [u8; 2], last: u8| {
        let mut rgbAddress = [0; 16];
        rgbAddress[..2].copy_from_slice(&first);
        rgbAddress[15] = last;
        MGM_EXT_ADDRESS { dwFamily: MGM_EXT_IPV6, rgbAddress }
    };
    let mut any = flow(source(s), group(g));
    match s % 8 {
        0 => any.Source = v6([0xfe, 0x80], s),
        1 => any.Source = v6([0x20, 1], s),
        2 => any.Source.dwFamily = s.into(),
        3 => any.Source.dwFamily = MGM_EXT_NONE,
        _ => {}
    }
    match g % 8 {
        0 => any.Group = v6([0xff, 2], g),
        1 => any.Group = v6([0xff, 0x0e], g),
        2 => any.Group.dwFamily = g.into(),
        3 => any.Group.dwFamily = MGM_EXT_NONE,
        _ => {}
    }
    any
}

/// Makes a call with a null pointer where a pointer is required.
fn null(client: HANDLE, which: u8) -> DWORD {
    let (mut handle, mut size, mut count, mut config) = (null_mut(), 16, 0, no_callbacks());
    let (mut entry, flow) = (key(SOURCE, GROUP), flow(SOURCE, GROUP));
    let buffer = null_mut();
    c!(match which % 14 {
        0 => MgmRegisterMProtocol(null_mut(), PROTOCOL, 9, &raw mut handle),
        1 => MgmRegisterMProtocol(&raw mut config, PROTOCOL, 9, null_mut()),
        2 => MgmGetProtocolOnInterface(1, 0, null_mut(), &raw mut count),
        3 => MgmGetFirstMfe(&raw mut size, buffer, &raw mut count),
        4 => MgmGetFirstMfe(null_mut(), buffer, &raw mut count),
        5 => MgmGetNextMfe(null_mut(), &raw mut size, buffer, &raw mut count),
        6 => MgmGetMfe(null_mut(), &raw mut size, buffer),
        7 => MgmGetNextMfeStats(&raw mut entry, null_mut(), buffer, &raw mut count, 1),
        8 => MgmSetMfe(client, null_mut()),
        9 => MgmGroupEnumerationStart(client, 0, null_mut()),
        10 => MgmExtNewFlow(std::ptr::null(), std::ptr::null(), 0),
        11 => MgmExtNewFlow(&raw const flow, std::ptr::null(), 7),
        12 => MgmExtGetEntry(&raw const flow, null_mut(), null_mut(), &raw mut count),
        _ => MgmExtTakeInterfaceOwnership(client, std::ptr::null()),
    })
}
