//! Memberships that exist when a client registers.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ptr::null_mut;
use std::sync::Mutex;

/// The alerts, with their source and group; a prune has `false`.
static ALERTS: Mutex<Vec<(bool, DWORD, DWORD)>> = Mutex::new(Vec::new());

unsafe extern "C" fn joined(s: DWORD, _: DWORD, g: DWORD, _: DWORD, member: BOOL) -> DWORD {
    assert_eq!(member, 1);
    ALERTS.lock().unwrap().push((true, s, g));
    NO_ERROR
}

unsafe extern "C" fn pruned(
    s: DWORD,
    _: DWORD,
    g: DWORD,
    _: DWORD,
    _: DWORD,
    _: DWORD,
    member: BOOL,
    _: PDWORD,
) -> DWORD {
    assert_eq!(member, 1);
    ALERTS.lock().unwrap().push((false, s, g));
    NO_ERROR
}

fn take_alerts() -> Vec<(bool, DWORD, DWORD)> {
    std::mem::take(&mut *ALERTS.lock().unwrap())
}

#[test]
fn a_client_that_asks_is_told_of_present_memberships() {
    alone("present_joins::a_client_that_asks_is_told_of_present_memberships", || {
        // Has a membership of GROUP.
        let stage = Stage::new();
        assert_eq!(stage.add(0, 0, LAN), NO_ERROR);
        let mut config = ROUTING_PROTOCOL_CONFIG {
            pfnJoinAlertCallback: Some(joined),
            pfnPruneAlertCallback: Some(pruned),
            ..no_callbacks()
        };
        let register = |component, flags, config: &mut ROUTING_PROTOCOL_CONFIG| {
            let mut client = null_mut();
            let (config, at) = (std::ptr::from_mut(config), &raw mut client);
            assert_eq!(c!(MgmExtRegisterMProtocol(config, PROTOCOL, component, flags, at)), NO_ERROR);
            client
        };
        let silent = register(1, 0, &mut config);
        assert!(take_alerts().is_empty());
        assert_eq!(MgmDeRegisterMProtocol(silent), NO_ERROR);
        register(2, MGM_EXT_WANT_PRESENT_JOINS, &mut config);
        assert_eq!(take_alerts(), [(true, 0, 0), (true, 0, GROUP)]);
        // From then on joins and prunes of a key alternate.
        for (source, group) in [(0, GROUP), (0, 0)] {
            let mask = if group == 0 { 0 } else { ONES };
            let delete = MgmDeleteGroupMembershipEntry(stage.client, source, 0, group, mask, LAN, 0, 1);
            assert_eq!(delete, NO_ERROR);
            assert_eq!(take_alerts(), [(false, source, group)]);
            assert_eq!(stage.add(source, group, LAN), NO_ERROR);
            assert_eq!(take_alerts(), [(true, source, group)]);
        }
    });
}
