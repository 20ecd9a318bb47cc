//! [`MrouteError`]: why the kernel refused a change of its multicast routing.

use super::MAX_VIFS;
use mgm::forwarding::{Family, Flow};
use std::io;

/// The reason why the kernel's multicast routing refused a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MrouteError {
    /// Another process, or another plane of this one, owns the multicast routing of the table.
    #[error(
        "another program owns the kernel's {family:?} multicast routing of {}{}: stop it, or set another `table`",
        table_name(*.table),
        holder_name(.holders)
    )]
    InUse {
        /// The address family.
        family: Family,
        /// The routing table; `None` for the default one.
        table: Option<u32>,
        /// The processes that may be the owner, each as name and process id. Empty when none could be found.
        holders: Vec<(String, u32)>,
    },
    /// The process may not change the multicast routing.
    #[error(
        "the {0:?} multicast routing socket needs CAP_NET_ADMIN and CAP_NET_RAW: run as root, or grant both"
    )]
    Permission(Family),
    /// The kernel has no multicast routing of this family.
    #[error(
        "this kernel has no {0:?} multicast routing: it needs CONFIG_IP_MROUTE, or CONFIG_IPV6_MROUTE for IPv6"
    )]
    NotSupported(Family),
    /// The kernel does not know routing tables for multicast.
    #[error(
        "this kernel has no multicast routing table {0}: it needs CONFIG_IP_MROUTE_MULTIPLE_TABLES; leave `table` out"
    )]
    NoTables(u32),
    /// Every number of a virtual interface is in use.
    #[error(
        "the kernel forwards multicast between at most {MAX_VIFS} interfaces of a routing table, and all are in use: give the \
         plane fewer interfaces, or run a second router with another `table`"
    )]
    TooManyVifs,
    /// The interface index is unknown or cannot be used.
    #[error("interface index {0} does not exist, or cannot carry multicast: check `ip link`")]
    NoSuchInterface(u32),
    /// The interface index does not fit the kernel's IPv6 structure, which has 16 bits for it.
    #[error(
        "interface index {0} exceeds 65535, the greatest that IPv6 multicast routing can name: create the interface anew"
    )]
    IndexTooLarge(u32),
    /// The flow is of another family than the socket.
    #[error("{0} is a flow of the other address family")]
    OtherFamily(Flow),
    /// Another system call failed.
    #[error("{call}: {error}")]
    System {
        /// What failed.
        call: &'static str,
        /// The system's error.
        #[source]
        error: io::Error,
    },
}

impl MrouteError {
    /// Returns a function that names the failed call.
    pub(crate) fn at(call: &'static str) -> impl FnOnce(io::Error) -> MrouteError {
        move |error| MrouteError::System { call, error }
    }
}

fn table_name(table: Option<u32>) -> String {
    table.map_or("the default table".to_owned(), |table| format!("table {table}"))
}

fn holder_name(holders: &[(String, u32)]) -> String {
    let names: Vec<String> = holders.iter().map(|(name, id)| format!("{name} (process {id})")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(", probably {one}"),
        several => format!(", one of {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_the_socket_is_named_where_it_is_known() {
        let error = |holders: &[(&str, u32)], table| {
            let holders = holders.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
            MrouteError::InUse { family: Family::V4, table, holders }.to_string()
        };
        assert!(error(&[], None).contains("of the default table: stop it"));
        assert!(error(&[("pimd", 7)], Some(9)).contains("of table 9, probably pimd (process 7): stop it"));
        assert!(error(&[("a", 1), ("b", 2)], None).contains("one of a (process 1), b (process 2)"));
    }
}
