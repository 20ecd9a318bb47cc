//! Interfaces that come and go, each with an index of its own.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;

/// More interfaces than `ManagerConfig::interfaces` has places by default (4,096).
const INTERFACES: DWORD = 10_000;

#[test]
fn an_interface_that_no_client_owns_uses_no_place() {
    alone("churn::an_interface_that_no_client_owns_uses_no_place", || {
        assert_eq!(MgmInitialize(), NO_ERROR);
        let client = register(PROTOCOL, 0, no_callbacks());
        let come_and_go = |client: HANDLE, interface: DWORD| {
            assert_eq!(MgmTakeInterfaceOwnership(client, interface, 0), NO_ERROR, "interface {interface}");
            let group = ip(239, 7, (interface >> 8) as u8, interface as u8);
            assert_eq!(MgmAddGroupMembershipEntry(client, 0, 0, group, ONES, interface, 0, 1), NO_ERROR);
            assert_eq!(new_flow(SOURCE, group), NO_ERROR);
            assert_eq!(MgmReleaseInterfaceOwnership(client, interface, 0), NO_ERROR);
        };
        (1..=INTERFACES).for_each(|interface| come_and_go(client, interface));
        // One that was there before, and a new one after a restart.
        come_and_go(client, 7);
        assert_eq!(MgmDeRegisterMProtocol(client), NO_ERROR);
        assert_eq!((MgmDeInitialize(), MgmInitialize()), (NO_ERROR, NO_ERROR));
        let client = register(PROTOCOL, 0, no_callbacks());
        come_and_go(client, INTERFACES + 1);
        assert_eq!(MgmDeInitialize(), NO_ERROR);
    });
}
