//! The process-wide manager with a client, two interfaces and a membership, for the tests of the C interface.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The routing protocol of the stage.
pub(crate) const PROTOCOL: DWORD = 0x4000_0001;
/// The number of IGMP.
pub(crate) const IGMP: DWORD = 0x4137_000A;

/// The interface towards every source.
pub(crate) const UPSTREAM: DWORD = 1;
/// The interface with receivers.
pub(crate) const LAN: DWORD = 2;
/// An interface without owner, unless a test takes it.
pub(crate) const OTHER: DWORD = 3;
/// Interfaces 1 to this one can be taken even after another test has reached the limit of interfaces.
const KNOWN_INTERFACES: DWORD = 9;

/// The limits of the manager in these tests.
pub(crate) const LIMITS: MGM_EXT_LIMITS = MGM_EXT_LIMITS {
    dwClients: 6,
    dwInterfaces: 16,
    dwMemberships: 8,
    dwEntries: 64,
    dwNegativeEntries: 64,
    dwEnumerations: 2,
    dwEntryLifetime: 0,
};

/// A mask of all ones.
pub(crate) const ONES: DWORD = DWORD::MAX;

/// Returns an address in network byte order.
pub(crate) const fn ip(a: u8, b: u8, c: u8, d: u8) -> DWORD {
    DWORD::from_ne_bytes([a, b, c, d])
}

pub(crate) const GROUP: DWORD = ip(239, 1, 2, 3);
pub(crate) const SOURCE: DWORD = ip(192, 0, 2, 7);

/// Makes a call of the C interface.
macro_rules! c {
    ($call:expr) => {
        // SAFETY: every pointer in these tests is null or points to a local of the type that its parameter has.
        unsafe { $call }
    };
}

/// Returns a configuration without callbacks.
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

/// Returns a set without hooks.
pub(crate) fn no_hooks() -> MGM_EXT_HOOKS {
    MGM_EXT_HOOKS { pvContext: null_mut(), pfnRouteLookup: None, pfnEntryChanged: None }
}

unsafe extern "C" fn route(
    _context: *mut c_void,
    source: *const MGM_EXT_ADDRESS,
    path: PMGM_EXT_PATH,
) -> BOOL {
    // SAFETY: the library passes pointers to its locals, here and below.
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

/// A running manager: a protocol owns two interfaces and has receivers on one of them, and a route leads to every
/// source.
///
/// One stage exists at a time, because the manager belongs to the process.
pub(crate) struct Stage {
    pub(crate) client: HANDLE,
    _exclusive: MutexGuard<'static, ()>,
}

static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// Waits until no stage exists, and keeps others from being made.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    EXCLUSIVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts the manager with the limits of these tests.
pub(crate) fn initialize() {
    let mut limits = LIMITS;
    assert_eq!(c!(MgmExtInitialize(&raw mut limits)), NO_ERROR);
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let mut stage = Stage { client: null_mut(), _exclusive: exclusive() };
        stage.start();
        stage
    }

    /// Stops the manager. It stays stopped until the stage starts it.
    pub(crate) fn stop(&self) {
        assert_eq!(MgmDeInitialize(), NO_ERROR);
    }

    /// Starts the manager again.
    pub(crate) fn start(&mut self) {
        initialize();
        self.begin();
    }

    /// Sets the hooks and registers the protocol in the running manager.
    pub(crate) fn begin(&mut self) {
        let hooks = MGM_EXT_HOOKS { pfnRouteLookup: Some(route), ..no_hooks() };
        assert_eq!(c!(MgmExtSetHooks(&raw const hooks)), NO_ERROR);
        self.client = register(PROTOCOL, 0, no_callbacks());
        // The manager remembers interfaces for the life of the process.
        for interface in 1..=KNOWN_INTERFACES {
            assert_eq!(MgmTakeInterfaceOwnership(self.client, interface, 0), NO_ERROR);
        }
        for interface in OTHER..=KNOWN_INTERFACES {
            assert_eq!(MgmReleaseInterfaceOwnership(self.client, interface, 0), NO_ERROR);
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

/// Registers a client.
pub(crate) fn register(id: DWORD, component: DWORD, mut config: ROUTING_PROTOCOL_CONFIG) -> HANDLE {
    let mut handle = null_mut();
    assert_eq!(c!(MgmRegisterMProtocol(&raw mut config, id, component, &raw mut handle)), NO_ERROR);
    handle
}

/// Opens an enumeration of all sources.
pub(crate) fn enumerate(client: HANDLE) -> HANDLE {
    let mut handle = null_mut();
    assert_eq!(c!(MgmGroupEnumerationStart(client, ALL_SOURCES, &raw mut handle)), NO_ERROR);
    handle
}

/// Makes the entry of a flow.
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

/// Returns the key of a look-up.
pub(crate) fn key(source: DWORD, group: DWORD) -> MIB_IPMCAST_MFE {
    MIB_IPMCAST_MFE { dwSource: source, dwGroup: group, ..Default::default() }
}

/// Returns a HANDLE from its number.
pub(crate) fn handle_from(number: u64) -> HANDLE {
    std::ptr::without_provenance_mut(number as usize)
}

/// Waits until a condition holds, for a minute at most. Any thread may deliver a callback.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "the condition did not hold within a minute");
        std::thread::yield_now();
    }
}

/// The reply of a function that fills a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: DWORD,
    /// The size after the call.
    pub(crate) size: DWORD,
    pub(crate) count: DWORD,
    pub(crate) octets: Vec<u8>,
}

impl Reply {
    /// Calls a function with an unaligned buffer of this size, and checks that it wrote nothing outside.
    pub(crate) fn of(size: usize, call: impl FnOnce(PDWORD, PBYTE, PDWORD) -> DWORD) -> Reply {
        const CANARY: u8 = 0xA5;
        let mut buffer = vec![CANARY; size + 9];
        let (mut after, mut count) = (size as DWORD, DWORD::MAX);
        let code = call(&raw mut after, buffer[1..].as_mut_ptr(), &raw mut count);
        assert!(
            buffer[0] == CANARY && buffer[size + 1..].iter().all(|octet| *octet == CANARY),
            "written outside the buffer"
        );
        assert!(code == ERROR_INSUFFICIENT_BUFFER || after as usize == size, "the size changed with {code}");
        Reply { code, size: after, count, octets: buffer[1..=size].to_vec() }
    }

    /// Returns the DWORD at an offset.
    pub(crate) fn dword(&self, offset: usize) -> DWORD {
        DWORD::from_ne_bytes(self.octets[offset..offset + 4].try_into().unwrap())
    }
}
