//! The data of the manager that is neither a client's nor a flow's: interfaces, memberships, handovers, quotas, time.

mod by_source;
mod clock;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
pub(super) mod cursor;
mod enumerations;
mod igmp_handover;
mod interface_record;
mod interface_table;
mod latecomers;
mod membership_table;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
pub(super) mod name_index;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
pub(super) mod pending_flow;
mod quota;
mod role;
mod rpf_joins;
mod upcall_queue;

pub(super) use by_source::{BySource, Network};
pub(super) use clock::Clock;
pub(super) use enumerations::{Enumeration, Enumerations};
pub(super) use igmp_handover::{Handover, Handovers};
pub(super) use interface_record::InterfaceRecord;
pub(super) use interface_table::{InterfaceAllocator, InterfaceTable};
pub(super) use latecomers::Latecomers;
pub(super) use membership_table::{Member, MembershipTable, Others};
pub(super) use quota::{EntryQuotas, QuotaKey, UpcallQuota};
pub(super) use role::{Role, RoleKey};
pub(super) use rpf_joins::RpfJoins;
pub(super) use upcall_queue::{KeptPacket, QueuedFlow, Reported, UpcallQueue};
