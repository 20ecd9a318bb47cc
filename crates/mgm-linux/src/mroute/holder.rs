//! Finds the processes that may own the multicast routing socket (proc(5)).
//!
//! The kernel does not tell which process owns it. It is a raw socket of protocol IGMP or ICMPv6 in the same network
//! namespace, so each process with such a socket is a candidate.

use mgm::forwarding::Family;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the name and the id of each process with a raw socket of the family's protocol, in order. The socket with the
/// inode `own` does not count. Finds only what this process may read.
pub(super) fn candidates(family: Family, own: u64) -> Vec<(String, u32)> {
    let (table, protocol) = match family {
        Family::V4 => ("/proc/thread-self/net/raw", libc::IPPROTO_IGMP),
        Family::V6 => ("/proc/thread-self/net/raw6", libc::IPPROTO_ICMPV6),
    };
    let Ok(table) = fs::read_to_string(table) else { return Vec::new() };
    let mut inodes = raw_sockets(&table, protocol);
    inodes.remove(&own);
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found: Vec<_> = processes
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .filter(|(_, path)| has_one_of(path, &inodes))
        .map(|(id, path)| {
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            (name.trim_end().to_owned(), id)
        })
        .collect();
    found.sort_by_key(|(_, id)| *id);
    found
}

/// Returns the inodes of the sockets of a protocol. The column behind the colon of the local address is the protocol.
fn raw_sockets(table: &str, protocol: i32) -> BTreeSet<u64> {
    let inode = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let local = columns.nth(1)?.rsplit(':').next()?;
        let matches = i32::from_str_radix(local, 16).ok()? == protocol;
        matches.then(|| columns.nth(7)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Returns whether a process has one of these sockets open.
fn has_one_of(process: &Path, inodes: &BTreeSet<u64>) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        let inode =
            target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_protocol_are_found_by_their_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
    2: 00000000:0002 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
   58: 00000000:003A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
  bad line";
        assert_eq!(raw_sockets(table, libc::IPPROTO_IGMP), BTreeSet::from([4711]));
        assert_eq!(raw_sockets(table, libc::IPPROTO_ICMPV6), BTreeSet::from([4712]));
        assert_eq!(raw_sockets("", 2), BTreeSet::new());
    }
}
