//! [`Interfaces`]: the router interfaces of a capture.
//!
//! Most are those that the capture describes. Two kinds come of the frames themselves:
//!
//! - A VLAN tag names an interface of its own, `eth0.5` for VLAN 5 of `eth0`, and `eth0.5.6` for VLAN 6 within it.
//! - A cooked header of version 2, as of `tcpdump -i any`, has the interface index of the system: `any:3`.
//!
//! A sender chooses the VLANs of its frames, so the number of such interfaces is limited.

use crate::plane::{Link, MacAddress, VlanTags};
use std::collections::HashMap;

/// The maximum number of described interfaces, of one section and of all together. A router spends more memory on an
/// interface than the few octets that describe it.
pub(super) const MAX_DESCRIBED: usize = 1 << 16;

/// An interface of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureInterface {
    /// The name in the capture; without one, `if` and the number in its section: `if0`, `if1`, ...
    ///
    /// It may contain any character but a zero octet, and has to be escaped before a terminal shows it.
    pub name: String,
    /// The link header of its frames, as first described. Frames of a VLAN are returned without their tags.
    pub link: Link,
    /// The Ethernet address, if the capture has it.
    pub mac: Option<MacAddress>,
}

/// An interface as the capture describes it.
#[derive(Debug)]
struct Described {
    name: String,
    link: Link,
    mac: Option<MacAddress>,
    /// The router interface of its frames without tags.
    interface: Option<u32>,
}

/// What a frame names: its described interface, the index in its cooked header, and its VLANs.
pub(super) type FrameKey = (u32, Option<u32>, VlanTags);

/// The interfaces of a capture. Names identify them.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    interfaces: Vec<CaptureInterface>,
    by_name: HashMap<String, u32>,
    described: Vec<Described>,
    described_by_name: HashMap<String, u32>,
    from_frames: HashMap<FrameKey, u32>,
}

impl Interfaces {
    /// The maximum number of interfaces that frames name.
    pub(super) const MAX_FROM_FRAMES: usize = 4096;

    pub(super) fn all(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    /// Records a description, the one of this number in its section. Returns its position among the described interfaces.
    pub(super) fn describe(
        &mut self,
        name: Option<&[u8]>,
        number: usize,
        link: Link,
        mac: Option<MacAddress>,
    ) -> Option<u32> {
        let name = name.map(until_zero).filter(|name| !name.is_empty()).unwrap_or_else(|| match link {
            // Cooked headers number the interfaces of captures of all interfaces.
            Link::LinuxCooked2 => "any".to_owned(),
            _ => format!("if{number}"),
        });
        if let Some(&known) = self.described_by_name.get(&name) {
            let described = &mut self.described[known as usize];
            described.mac = described.mac.or(mac);
            if let Some(interface) = described.interface {
                self.interfaces[interface as usize].mac = described.mac;
            }
            return Some(known);
        }
        if self.described.len() == MAX_DESCRIBED {
            return None;
        }
        // At most MAX_DESCRIBED: fits a u32.
        let new = self.described.len() as u32;
        self.described_by_name.insert(name.clone(), new);
        self.described.push(Described { name, link, mac, interface: None });
        if link != Link::LinuxCooked2 {
            self.untagged(new);
        }
        Some(new)
    }

    /// Returns the interface of a frame.
    ///
    /// Beyond the limit, returns the described interface instead, and `true`.
    pub(super) fn of_frame(&mut self, key: FrameKey) -> (u32, bool) {
        let (described, index, tags) = key;
        if index.is_none() && tags.is_empty() {
            return (self.untagged(described), false);
        }
        if let Some(known) = self.from_frames.get(&key) {
            return (*known, false);
        }
        if self.from_frames.len() == Self::MAX_FROM_FRAMES {
            return (self.untagged(described), true);
        }
        let Described { name, link, mac, .. } = &self.described[described as usize];
        let numbered = index.map_or_else(|| name.clone(), |index| format!("{name}:{index}"));
        let (link, mac) = (link.within(tags), *mac);
        let interface = self.named(format!("{numbered}{tags}"), link, mac);
        self.from_frames.insert(key, interface);
        (interface, false)
    }

    /// Returns the interface of frames without tags and index.
    fn untagged(&mut self, described: u32) -> u32 {
        let Described { name, link, mac, interface } = &self.described[described as usize];
        if let Some(known) = interface {
            return *known;
        }
        let (name, link, mac) = (name.clone(), *link, *mac);
        let interface = self.named(name, link, mac);
        self.described[described as usize].interface = Some(interface);
        interface
    }

    fn named(&mut self, name: String, link: Link, mac: Option<MacAddress>) -> u32 {
        // At most MAX_DESCRIBED and MAX_FROM_FRAMES together: fits a u32.
        let new = self.interfaces.len() as u32;
        let interface = *self.by_name.entry(name.clone()).or_insert(new);
        if interface == new {
            self.interfaces.push(CaptureInterface { name, link, mac });
        }
        interface
    }
}

/// Returns the text before the first zero octet: some writers count the end of a C string into its length.
fn until_zero(octets: &[u8]) -> String {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    String::from_utf8_lossy(&octets[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan(vlan: u16) -> VlanTags {
        VlanTags::new([vlan]).unwrap()
    }

    fn names(interfaces: &Interfaces) -> Vec<&str> {
        interfaces.all().iter().map(|interface| interface.name.as_str()).collect()
    }

    #[test]
    fn a_name_ends_at_its_zero_octet() {
        let mut interfaces = Interfaces::default();
        for (number, name) in [&b"eth0\0"[..], b"eth0", b"eth\0\0x", b"\0x", b""].into_iter().enumerate() {
            interfaces.describe(Some(name), number, Link::Ethernet, None).unwrap();
        }
        assert_eq!(names(&interfaces), ["eth0", "eth", "if3", "if4"]);
    }

    #[test]
    fn tags_and_indices_name_interfaces() {
        let mut interfaces = Interfaces::default();
        let mac = Some(MacAddress([2, 0, 0, 0, 0, 7]));
        let eth0 = interfaces.describe(Some(b"eth0"), 0, Link::Ethernet, mac).unwrap();
        let any = interfaces.describe(Some(b"any"), 1, Link::LinuxCooked2, None).unwrap();
        let none = VlanTags::default();
        let nested = VlanTags::new([5, 6]).unwrap();
        let keys = [
            (any, Some(3), none),
            (eth0, None, vlan(5)),
            (eth0, None, nested),
            (eth0, None, none),
            (any, Some(3), vlan(9)),
            (any, Some(3), none),
        ];
        let found = keys.map(|key| interfaces.of_frame(key));
        assert_eq!(found, [1, 2, 3, 0, 4, 1].map(|interface| (interface, false)));
        assert_eq!(names(&interfaces), ["eth0", "any:3", "eth0.5", "eth0.5.6", "any:3.9"]);
        let tagged = &interfaces.all()[3];
        assert_eq!((tagged.link, tagged.mac), (Link::Vlan(nested), mac));
        assert_eq!(interfaces.all()[1].link, Link::LinuxCooked2);
        assert_eq!(interfaces.all()[4].link, Link::Vlan(vlan(9)));
    }

    #[test]
    fn frames_name_a_limited_number_of_interfaces() {
        let mut interfaces = Interfaces::default();
        let any = interfaces.describe(None, 0, Link::LinuxCooked2, None).unwrap();
        let max = Interfaces::MAX_FROM_FRAMES as u32;
        for index in 0..max {
            assert_eq!(interfaces.of_frame((any, Some(index), VlanTags::default())), (index, false));
        }
        for index in [max, u32::MAX] {
            assert_eq!(interfaces.of_frame((any, Some(index), VlanTags::default())), (max, true));
        }
        assert_eq!(interfaces.of_frame((any, Some(7), VlanTags::default())), (7, false));
        assert_eq!(interfaces.all().last().unwrap().name, "any");
    }
}
