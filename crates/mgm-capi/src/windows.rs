//! The types, codes and constants of the Windows SDK that `mgm.h` has, from `mgm.h`, `routprot.h`, `iprtrmib.h` and
//! `winerror.h`.
//!
//! Names and values are those of the SDK.

use std::ffi::c_void;

// The header defines the types below, and MGM_ENUM_TYPES, in C: see include/mgm.toml.

/// An unsigned integer of 32 bits.
///
/// cbindgen:ignore
pub type DWORD = u32;
/// An unsigned integer of 32 bits.
///
/// cbindgen:ignore
pub type ULONG = u32;
/// A character of UTF-16.
///
/// cbindgen:ignore
pub type WCHAR = u16;
/// An octet.
///
/// cbindgen:ignore
pub type BYTE = u8;
/// A truth value: FALSE is 0, every other value is true.
///
/// cbindgen:ignore
pub type BOOL = i32;
/// A pointer to a DWORD.
///
/// cbindgen:ignore
pub type PDWORD = *mut DWORD;
/// A pointer to octets.
///
/// cbindgen:ignore
pub type PBYTE = *mut BYTE;
/// A registration or an enumeration. A number in the place of an address: it is never dereferenced.
///
/// cbindgen:ignore
pub type HANDLE = *mut c_void;
/// The kind of an enumeration: `ANY_SOURCE` or `ALL_SOURCES`.
///
/// cbindgen:ignore
pub type MGM_ENUM_TYPES = u32;
/// Enumerates each group that has a member, without its sources.
///
/// cbindgen:ignore
pub const ANY_SOURCE: MGM_ENUM_TYPES = 0;
/// Enumerates each (source, group) and each (*, group) that has a member.
///
/// cbindgen:ignore
pub const ALL_SOURCES: MGM_ENUM_TYPES = 1;

/// Success.
pub const NO_ERROR: DWORD = 0;
/// Success.
pub const ERROR_SUCCESS: DWORD = 0;
/// Not returned by any function of this library: a bad handle is ERROR_INVALID_PARAMETER.
pub const ERROR_INVALID_HANDLE: DWORD = 6;
/// A limit is reached, or there is no memory.
pub const ERROR_NOT_ENOUGH_MEMORY: DWORD = 8;
/// Not returned by any function of this library.
pub const ERROR_NOT_SUPPORTED: DWORD = 50;
/// A stale handle, a null pointer, or a value that the function does not accept.
pub const ERROR_INVALID_PARAMETER: DWORD = 87;
/// No record fits into the buffer; the size now says how many octets one needs.
pub const ERROR_INSUFFICIENT_BUFFER: DWORD = 122;
/// The protocol is registered already, or the interface has an owner.
pub const ERROR_ALREADY_EXISTS: DWORD = 183;
/// Records were returned, and there are more.
pub const ERROR_MORE_DATA: DWORD = 234;
/// No more records follow; records may have been returned.
pub const ERROR_NO_MORE_ITEMS: DWORD = 259;
/// The present state does not allow the operation.
pub const ERROR_CAN_NOT_COMPLETE: DWORD = 1003;
/// The entry does not exist, or the interface has no owner.
pub const ERROR_NOT_FOUND: DWORD = 1168;

/// Changes the membership itself, and every entry that it affects.
pub const MGM_JOIN_STATE_FLAG: DWORD = 1;
/// Changes only the entries that exist.
pub const MGM_FORWARD_STATE_FLAG: DWORD = 2;
/// Asks for MIB_IPMCAST_MFE_STATS records.
pub const MGM_MFE_STATS_0: DWORD = 1;
/// Asks for MIB_IPMCAST_MFE_STATS_EX records.
pub const MGM_MFE_STATS_1: DWORD = 2;

/// The type of a unicast routing protocol, for PROTOCOL_ID.
pub const PROTO_TYPE_UCAST: DWORD = 0;
/// The type of a multicast routing protocol.
pub const PROTO_TYPE_MCAST: DWORD = 1;
/// A type reserved for Microsoft.
pub const PROTO_TYPE_MS0: DWORD = 2;
/// A type reserved for Microsoft.
pub const PROTO_TYPE_MS1: DWORD = 3;
/// A vendor number reserved for Microsoft.
pub const PROTO_VENDOR_MS0: DWORD = 0x0000;
/// The vendor number of Microsoft's own protocols.
pub const PROTO_VENDOR_MS1: DWORD = 0x0137;
/// A vendor number reserved for Microsoft.
pub const PROTO_VENDOR_MS2: DWORD = 0x3FFF;
// The protocols of routprot.h. Values: the page "Protocol identifiers" of the RRAS documentation names them, and
// routprot.h of mingw-w64 (public domain) has the numbers, which tests/c/layout.c compares.
/// The origin of a route, for dwRouteProtocol: a protocol that is not listed here.
pub const PROTO_IP_OTHER: DWORD = 1;
/// The origin of a route: a directly attached network.
pub const PROTO_IP_LOCAL: DWORD = 2;
/// The origin of a route: static configuration.
pub const PROTO_IP_NETMGMT: DWORD = 3;
/// The origin of a route: an ICMP redirect.
pub const PROTO_IP_ICMP: DWORD = 4;
/// The origin of a route: EGP.
pub const PROTO_IP_EGP: DWORD = 5;
/// The origin of a route: GGP.
pub const PROTO_IP_GGP: DWORD = 6;
/// The origin of a route: HELLO.
pub const PROTO_IP_HELLO: DWORD = 7;
/// The origin of a route: RIP.
pub const PROTO_IP_RIP: DWORD = 8;
/// The origin of a route: IS-IS.
pub const PROTO_IP_IS_IS: DWORD = 9;
/// The origin of a route: ES-IS.
pub const PROTO_IP_ES_IS: DWORD = 10;
/// The origin of a route: IGRP of Cisco.
pub const PROTO_IP_CISCO: DWORD = 11;
/// The origin of a route: the SPF protocol of BBN.
pub const PROTO_IP_BBN: DWORD = 12;
/// The origin of a route: OSPF.
pub const PROTO_IP_OSPF: DWORD = 13;
/// The origin of a route: BGP.
pub const PROTO_IP_BGP: DWORD = 14;
/// The origin of a route: a static route that a routing protocol has added.
pub const PROTO_IP_NT_AUTOSTATIC: DWORD = 10002;
/// The origin of a route: a static route of the router's user interface.
pub const PROTO_IP_NT_STATIC: DWORD = 10006;
/// The origin of a route: a static route that causes no dialling on demand.
pub const PROTO_IP_NT_STATIC_NON_DOD: DWORD = 10007;
/// The number of MSDP within PROTOCOL_ID.
pub const PROTO_IP_MSDP: DWORD = 9;
/// The number of IGMP within PROTOCOL_ID.
pub const PROTO_IP_IGMP: DWORD = 10;
/// The number of BGMP within PROTOCOL_ID.
pub const PROTO_IP_BGMP: DWORD = 11;
/// The number of VRRP within PROTOCOL_ID.
pub const PROTO_IP_VRRP: DWORD = 112;
/// The number of BOOTP within PROTOCOL_ID.
pub const PROTO_IP_BOOTP: DWORD = 9999;
/// The number of the DNS proxy within PROTOCOL_ID.
pub const PROTO_IP_DNS_PROXY: DWORD = 10003;
/// The number of the DHCP allocator within PROTOCOL_ID.
pub const PROTO_IP_DHCP_ALLOCATOR: DWORD = 10004;
/// The number of NAT within PROTOCOL_ID.
pub const PROTO_IP_NAT: DWORD = 10005;
/// The number of differentiated services within PROTOCOL_ID.
pub const PROTO_IP_DIFFSERV: DWORD = 10008;
/// The number of this manager within PROTOCOL_ID.
pub const PROTO_IP_MGM: DWORD = 10009;
/// The number of the application layer gateway within PROTOCOL_ID.
pub const PROTO_IP_ALG: DWORD = 10010;
/// The number of the H.323 proxy within PROTOCOL_ID.
pub const PROTO_IP_H323: DWORD = 10011;
/// The number of the FTP proxy within PROTOCOL_ID.
pub const PROTO_IP_FTP: DWORD = 10012;
/// The number of DTP within PROTOCOL_ID.
pub const PROTO_IP_DTP: DWORD = 10013;

// The numbers of iprtrmib.h by which a router's MIB is asked for multicast (the MCAST_ ids). This library has no MIB; the
// names are there for programs that contain both.
/// The number in a MIB of: MIB_IPMCAST_MFE records.
pub const MCAST_MFE: DWORD = 18;
/// The number in a MIB of: MIB_IPMCAST_MFE_STATS records.
pub const MCAST_MFE_STATS: DWORD = 19;
/// The number in a MIB of: MIB_IPMCAST_IF_ENTRY records.
pub const MCAST_IF_ENTRY: DWORD = 23;
/// The number in a MIB of: The MIB_IPMCAST_GLOBAL.
pub const MCAST_GLOBAL: DWORD = 24;
/// The number in a MIB of: MIB_IPMCAST_BOUNDARY records.
pub const MCAST_BOUNDARY: DWORD = 26;
/// The number in a MIB of: MIB_IPMCAST_SCOPE records.
pub const MCAST_SCOPE: DWORD = 27;
/// The number in a MIB of: MIB_IPMCAST_MFE_STATS_EX records.
pub const MCAST_MFE_STATS_EX: DWORD = 35;
/// The characters of a scope's name, without the terminating 0.
pub const MAX_SCOPE_NAME_LEN: DWORD = 255;
