//! The functions of `mgm_ext.h` that concern the process: version, start with limits, registration with flags, panics.

use crate::boundary::{self, catch_panic};
use crate::callbacks::ClientOptions;
use crate::clients::register;
use crate::codes::Code;
use crate::ext_types::{MGM_EXT_LIMITS, MGM_EXT_WANT_PRESENT_JOINS, MGM_EXT_WANT_WRONG_IF, PMGM_EXT_LIMITS};
use crate::lifecycle::start;
use crate::process::Process;
use crate::protocol_config::PROUTING_PROTOCOL_CONFIG;
use crate::windows::{DWORD, HANDLE};
use mgm::manager::{ManagerConfig, Protocol};
use std::time::Duration;

/// Returns the version of the library: major << 16 | minor << 8 | patch.
#[unsafe(no_mangle)]
pub extern "C" fn MgmExtVersion() -> DWORD {
    const fn number(text: &str) -> DWORD {
        match DWORD::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => panic!("cargo's version numbers are numbers"),
        }
    }
    const VERSION: DWORD = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}

/// Starts the process-wide manager as MgmInitialize does, with limits. A null pointer stands for the default limits.
///
/// The first start of the process fixes the limits for its lifetime.
///
/// - ERROR_ALREADY_EXISTS: the manager runs already.
/// - ERROR_INVALID_PARAMETER: a limit that the manager does not support.
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, or was started with other limits before, or the system
///   refused the thread.
///
/// # Safety
/// pLimits is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtInitialize(pLimits: PMGM_EXT_LIMITS) -> DWORD {
    catch_panic("MgmExtInitialize", || {
        // SAFETY: not null, and the caller's promise; the read may be unaligned.
        let limits = (!pLimits.is_null()).then(|| unsafe { pLimits.read_unaligned() });
        start(limits.map(config))?;
        Ok(Code::SUCCESS)
    })
}

fn config(limits: MGM_EXT_LIMITS) -> ManagerConfig {
    let default = ManagerConfig::default();
    let or = |limit: DWORD, default: u32| if limit == 0 { default } else { limit };
    let memberships = or(limits.dwMemberships, default.memberships);
    let entries = or(limits.dwEntries, default.entries);
    let negative_entries = or(limits.dwNegativeEntries, default.negative_entries);
    // Larger totals raise the limits of one interface, in the proportion of the defaults.
    let memberships_per_interface = default.memberships_per_interface.max(memberships / 16);
    let entries_per_interface = default.entries_per_interface.max(entries / 2);
    let negative_per_interface = default.negative_entries_per_interface.max(negative_entries / 4);
    let entry_lifetime = match limits.dwEntryLifetime {
        0 => default.entry_lifetime,
        seconds => Duration::from_secs(seconds.into()),
    };
    ManagerConfig::default()
        .with_clients(or(limits.dwClients, default.clients))
        .with_interfaces(or(limits.dwInterfaces, default.interfaces))
        .with_memberships(memberships)
        .with_entries(entries)
        .with_negative_entries(negative_entries)
        .with_memberships_per_interface(memberships_per_interface)
        .with_entries_per_interface(entries_per_interface)
        .with_negative_entries_per_interface(negative_per_interface)
        .with_enumerations(or(limits.dwEnumerations, default.enumerations))
        .with_entry_lifetime(entry_lifetime)
}

/// Registers a protocol instance as MgmRegisterMProtocol does, with flags.
///
/// MGM_EXT_WANT_WRONG_IF enables pfnWrongIfCallback, which is not called otherwise: for packets that arrive on an
/// interface of the client which is not the flow's incoming interface. Each flow is reported at most once in a while.
///
/// MGM_EXT_WANT_PRESENT_JOINS has the client told of the memberships that exist: before this function returns,
/// pfnJoinAlertCallback is called for each (*, *) and each (*, group) that has a membership of another client. From then on
/// joins and prunes of a key alternate, beginning with a join. Without the flag the client is told of changes only, and the
/// first alert of a key may be the prune of a membership that was there before.
///
/// - ERROR_INVALID_PARAMETER: other flags as well.
///
/// # Safety
/// As of MgmRegisterMProtocol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtRegisterMProtocol(
    prpiInfo: PROUTING_PROTOCOL_CONFIG,
    dwProtocolId: DWORD,
    dwComponentId: DWORD,
    dwFlags: DWORD,
    phProtocol: *mut HANDLE,
) -> DWORD {
    catch_panic("MgmExtRegisterMProtocol", || {
        let options = options(dwFlags)?;
        // SAFETY: the caller's promise.
        unsafe { register(prpiInfo, options, Protocol::new(dwProtocolId, dwComponentId), phProtocol) }
    })
}

fn options(flags: DWORD) -> Result<ClientOptions, Code> {
    let wants = |flag| flags & flag != 0;
    if wants(!(MGM_EXT_WANT_WRONG_IF | MGM_EXT_WANT_PRESENT_JOINS)) {
        return Err(Code::INVALID_PARAMETER);
    }
    Ok(ClientOptions {
        wants_wrong_interface: wants(MGM_EXT_WANT_WRONG_IF),
        wants_present_joins: wants(MGM_EXT_WANT_PRESENT_JOINS),
    })
}

/// Returns how many panics of the library were caught since the process began. Every panic is a defect of the library.
#[unsafe(no_mangle)]
pub extern "C" fn MgmExtPanics() -> DWORD {
    let instance = Process::get().and_then(|process| process.instance.get());
    let in_callbacks = instance.map_or(0, |instance| instance.manager().client_panics());
    DWORD::try_from(u64::from(boundary::panics()) + in_callbacks).unwrap_or(DWORD::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_asks_for_one_option() {
        let options = |flags| options(flags).map(|o| (o.wants_wrong_interface, o.wants_present_joins));
        assert_eq!(options(0), Ok((false, false)));
        assert_eq!(options(MGM_EXT_WANT_WRONG_IF), Ok((true, false)));
        assert_eq!(options(MGM_EXT_WANT_PRESENT_JOINS), Ok((false, true)));
        assert_eq!(options(3), Ok((true, true)));
        assert_eq!(options(4), Err(Code::INVALID_PARAMETER));
    }
}
