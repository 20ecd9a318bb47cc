//! The process-wide manager with something in it, for the tests of the C interface.

#![allow(dead_code, reason = "each test uses a part of it")]

use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard};

/// A routing protocol, and the number of IGMP.
pub(crate) const PROTOCOL: DWORD = 0x4000_0001;
pub(crate) const IGMP: DWORD = 0x4137_000A;

/// Every source is behind this interface.
pub(crate) const UPSTREAM: DWORD = 1;
/// Receivers are here.
pub(crate) const LAN: DWORD = 2;
/// Nobody takes this one, unless a test does.
pub(crate) const OTHER: DWORD = 3;

/// What the process keeps at most, in these tests.
pub(crate) const LIMITS: MGM_EXT_LIMITS = MGM_EXT_LIMITS {
    dwClients: 6,
    dwInterfaces: 16,
    dwMemberships: 8,
    dwEntries: 64,
    dwNegativeEntries: 64,
    dwEnumerations: 2,
    dwEntryLifetime: 0,
};

/// Every one of the mask's bits.
pub(crate) const ONES: DWORD = DWORD::MAX;

/// An address as C has it.
pub(crate) const fn ip(a: u8, b: u8, c: u8, d: u8) -> DWORD {
    DWORD::from_ne_bytes([a, b, c, d])
}

pub(crate) const GROUP: DWORD = ip(239, 1, 2, 3);
pub(crate) const SOURCE: DWORD = ip(192, 0, 2, 7);

/// A call of the C interface.
macro_rules! c {
    ($call:expr) => {
        // SAFETY: every pointer in these tests is null or leads to a local of the type that its parameter has.
        unsafe { $call }
    };
}

/// No callbacks.
pub(crate) fn no_callbacks() -> ROUTING_PROTOCOL_CONFIG {
    ROUTING_PROTOCOL_CONFIG {
        dwCallbackFlags: 0,
        pfnRpfCallback: None,
        pfnCreationAlertCallback: None,
        pfnPruneAlertCallback: None,
        pfnJoinAlertCallback: None,
        pfnWrongIfCallback: None,
        pfnLocalJoinCallback: None,
        pfnLocalLeaveCallback: None,
        pfnDisableIgmpCallback: None,
        pfnEnableIgmpCallback: None,
    }
}

unsafe extern "C" fn route(
    _context: *mut c_void,
    source: *const MGM_EXT_ADDRESS,
    path: PMGM_EXT_PATH,
) -> BOOL {
    // SAFETY: the library hands over pointers to its locals, here and below.
    let source = unsafe { &*source };
    // SAFETY: as above.
    let path = unsafe { &mut *path };
    path.Interface.dwIfIndex = UPSTREAM;
    path.Interface.NextHop.dwFamily = source.dwFamily;
    path.Neighbour = MGM_EXT_ADDRESS { dwFamily: MGM_EXT_IPV4, rgbAddress: [0; 16] };
    path.Neighbour.rgbAddress[..4].copy_from_slice(&[192, 0, 2, 1]);
    path.RouteNetwork = MGM_EXT_ADDRESS { dwFamily: MGM_EXT_IPV4, rgbAddress: [0; 16] };
    path.RouteNetwork.rgbAddress[..3].copy_from_slice(&[192, 0, 2]);
    path.dwRoutePrefix = 24;
    path.dwRouteProtocol = PROTO_IP_OSPF;
    1
}

/// The manager runs, a protocol has two interfaces and receivers on one, and a route leads everywhere. One at a time: the
/// manager is the process's.
pub(crate) struct Stage {
    pub(crate) client: HANDLE,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Stage {
    pub(crate) fn new() -> Stage {
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut stage = Stage { client: null_mut(), _alone: alone };
        stage.start();
        stage
    }

    /// Stops the manager; nobody else starts it before the stage goes.
    pub(crate) fn stop(&self) {
        assert_eq!(MgmDeInitialize(), NO_ERROR);
    }

    /// Starts it again.
    pub(crate) fn start(&mut self) {
        let mut limits = LIMITS;
        assert_eq!(c!(MgmExtInitialize(&raw mut limits)), NO_ERROR);
        let hooks =
            MGM_EXT_HOOKS { pvContext: null_mut(), pfnRouteLookup: Some(route), pfnEntryChanged: None };
        assert_eq!(c!(MgmExtSetHooks(&raw const hooks)), NO_ERROR);
        self.client = register(PROTOCOL, 0, no_callbacks());
        for interface in [UPSTREAM, LAN] {
            assert_eq!(MgmTakeInterfaceOwnership(self.client, interface, 0), NO_ERROR);
        }
        assert_eq!(self.add(0, GROUP, LAN), NO_ERROR);
    }

    pub(crate) fn add(&self, source: DWORD, group: DWORD, interface: DWORD) -> DWORD {
        let mask = |address| if address == 0 { 0 } else { ONES };
        let flags = MGM_JOIN_STATE_FLAG;
        MgmAddGroupMembershipEntry(self.client, source, mask(source), group, mask(group), interface, 0, flags)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        MgmDeInitialize();
    }
}

/// Registers, or fails.
pub(crate) fn register(id: DWORD, component: DWORD, mut config: ROUTING_PROTOCOL_CONFIG) -> HANDLE {
    let mut handle = null_mut();
    assert_eq!(c!(MgmRegisterMProtocol(&raw mut config, id, component, &raw mut handle)), NO_ERROR);
    handle
}

/// A packet of this flow met no entry.
pub(crate) fn new_flow(source: DWORD, group: DWORD) -> DWORD {
    let flow = flow(source, group);
    c!(MgmExtNewFlow(&raw const flow, null(), 0))
}

pub(crate) fn flow(source: DWORD, group: DWORD) -> MGM_EXT_FLOW {
    let address = |dword: DWORD| {
        let mut address = MGM_EXT_ADDRESS { dwFamily: MGM_EXT_IPV4, rgbAddress: [0; 16] };
        address.rgbAddress[..4].copy_from_slice(&dword.to_ne_bytes());
        address
    };
    MGM_EXT_FLOW { Source: address(source), Group: address(group) }
}

/// The key of a look-up.
pub(crate) fn key(source: DWORD, group: DWORD) -> MIB_IPMCAST_MFE {
    MIB_IPMCAST_MFE { dwSource: source, dwGroup: group, ..Default::default() }
}

/// What a function that fills a buffer answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: DWORD,
    /// The size afterwards.
    pub(crate) size: DWORD,
    pub(crate) count: DWORD,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    /// Calls a function with an unaligned buffer of so many bytes, and looks whether it kept within them.
    pub(crate) fn of(size: usize, call: impl FnOnce(PDWORD, PBYTE, PDWORD) -> DWORD) -> Reply {
        const GUARD: u8 = 0xA5;
        let mut buffer = vec![GUARD; size + 9];
        let (mut after, mut count) = (size as DWORD, DWORD::MAX);
        let code = call(&raw mut after, buffer[1..].as_mut_ptr(), &raw mut count);
        assert!(
            buffer[0] == GUARD && buffer[size + 1..].iter().all(|byte| *byte == GUARD),
            "beyond the buffer"
        );
        assert!(code == ERROR_INSUFFICIENT_BUFFER || after as usize == size, "the size changed with {code}");
        Reply { code, size: after, count, bytes: buffer[1..=size].to_vec() }
    }

    /// A field of the first record.
    pub(crate) fn dword(&self, offset: usize) -> DWORD {
        DWORD::from_ne_bytes(self.bytes[offset..offset + 4].try_into().unwrap())
    }
}
