//! [`VlanTags`]: the VLANs that a frame's tags name.

use super::Link;
use std::fmt;

/// Octets of a tag: priority and VLAN, then the type of what follows.
pub(super) const TAG: usize = 4;

/// The VLANs that the tags of a frame name, the outermost first: none, one or two.
///
/// A tag with VLAN 0 carries a priority alone. It names no VLAN (IEEE 802.1Q-2022 section 9.6), and is not kept here.
///
/// ```
/// use mgm::wire::VlanTags;
/// let tags = VlanTags::new([7, 9]).unwrap();
/// assert_eq!(tags.to_string(), ".7.9");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VlanTags {
    /// The number of each VLAN; 0 for none.
    vlans: [u16; VlanTags::MAX],
}

impl VlanTags {
    /// The maximum number of VLANs: a customer's within a provider's (IEEE 802.1ad).
    pub const MAX: usize = 2;

    /// Makes the tags of these VLANs. Returns `None` for more than two VLANs, or a number outside 1 to 4095.
    #[must_use]
    pub fn new(vlans: impl IntoIterator<Item = u16>) -> Option<VlanTags> {
        let mut tags = VlanTags::default();
        for vlan in vlans {
            tags = tags.with(vlan).filter(|_| (1..=0xfff).contains(&vlan))?;
        }
        Some(tags)
    }

    fn with(mut self, vlan: u16) -> Option<VlanTags> {
        *self.vlans.iter_mut().find(|known| **known == 0)? = vlan;
        Some(self)
    }

    /// Returns whether the tags name no VLAN.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.vlans[0] == 0
    }

    /// Returns the VLANs, the outermost first.
    pub fn vlans(&self) -> impl DoubleEndedIterator<Item = u16> + use<> {
        self.vlans.into_iter().filter(|vlan| *vlan != 0)
    }

    /// Returns the octets of the tags between the addresses and the EtherType of a frame.
    ///
    /// A single tag has the type of IEEE 802.1Q. The outer one of two has the type of IEEE 802.1ad.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let types = if self.vlans[1] == 0 { [CUSTOMER, CUSTOMER] } else { [PROVIDER, CUSTOMER] };
        let tags = types.into_iter().zip(self.vlans());
        tags.flat_map(|(kind, vlan)| [kind.to_be_bytes(), vlan.to_be_bytes()].concat()).collect()
    }

    /// Reads the tags before a payload of this type: the VLANs, the type behind the tags, and the octets of the tags.
    ///
    /// Leaves the tag of a third VLAN and a tag that is cut short to the payload, with what follows.
    pub(super) fn read(mut kind: u16, octets: &[u8]) -> (VlanTags, u16, usize) {
        let (mut tags, mut at) = (VlanTags::default(), 0);
        while is_tag(kind) {
            let Some(tag) = octets.get(at..).and_then(|rest| rest.first_chunk::<TAG>()) else { break };
            let [high, low, next @ ..] = *tag;
            let vlan = u16::from_be_bytes([high, low]) & 0xfff;
            if vlan != 0 {
                match tags.with(vlan) {
                    Some(more) => tags = more,
                    None => break,
                }
            }
            (kind, at) = (u16::from_be_bytes(next), at + TAG);
        }
        (tags, kind, at)
    }
}

/// Formats the tags as the end of an interface name: `.7` or `.7.9`.
impl fmt::Display for VlanTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vlans().try_for_each(|vlan| write!(f, ".{vlan}"))
    }
}

const CUSTOMER: u16 = 0x8100;
const PROVIDER: u16 = 0x88a8;

/// Returns whether an EtherType announces a tag: IEEE 802.1Q, IEEE 802.1ad, or the type that switches used before it.
pub(super) const fn is_tag(kind: u16) -> bool {
    matches!(kind, CUSTOMER | PROVIDER | 0x9100)
}

/// Removes the tags of a frame. Returns their VLANs, and the number of octets at the beginning that the frame no longer has.
///
/// Moves the link header behind the tags.
pub(crate) fn remove_tags(link: Link, frame: &mut [u8]) -> (VlanTags, usize) {
    let none = (VlanTags::default(), 0);
    let Some((type_at, length)) = link.type_field() else { return none };
    let Some((header, rest)) = frame.split_at_checked(length) else { return none };
    let kind = u16::from_be_bytes([header[type_at], header[type_at + 1]]);
    let (tags, kind, removed) = VlanTags::read(kind, rest);
    if removed > 0 {
        frame[type_at..type_at + 2].copy_from_slice(&kind.to_be_bytes());
        frame.copy_within(..length, removed);
    }
    (tags, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a frame with these tags, each a type and control information.
    fn frame(tags: &[(u16, u16)]) -> Vec<u8> {
        let mut frame = vec![7; 12];
        for (kind, vlan) in tags {
            frame.extend([kind.to_be_bytes(), vlan.to_be_bytes()].concat());
        }
        frame.extend([8, 0, 0x45]);
        frame
    }

    #[test]
    fn removed_tags_leave_a_frame_without_tags() {
        let cases: [(&[(u16, u16)], &str); 5] = [
            (&[], ""),
            (&[(0x8100, 0xa000)], ""),
            (&[(0x8100, 0xa005)], ".5"),
            (&[(0x88a8, 5), (0x8100, 6)], ".5.6"),
            (&[(0x9100, 5), (0x8100, 0), (0x8100, 4095)], ".5.4095"),
        ];
        for (tags, name) in cases {
            let mut tagged = frame(tags);
            let (found, removed) = remove_tags(Link::Ethernet, &mut tagged);
            assert_eq!((found.to_string().as_str(), removed), (name, TAG * tags.len()));
            assert_eq!(tagged[removed..], frame(&[]));
        }
    }

    #[test]
    fn a_third_vlan_and_a_cut_tag_stay_in_the_frame() {
        let mut deep = frame(&[(0x8100, 1), (0x8100, 2), (0x8100, 3)]);
        let (tags, removed) = remove_tags(Link::Ethernet, &mut deep);
        assert_eq!((tags, removed), (VlanTags::new([1, 2]).unwrap(), 8));
        assert_eq!(deep[8..], frame(&[(0x8100, 3)]));
        let mut cut = frame(&[(0x8100, 1)])[..17].to_vec();
        let before = cut.clone();
        assert_eq!(remove_tags(Link::Ethernet, &mut cut), (VlanTags::default(), 0));
        assert_eq!(cut, before);
        assert_eq!(remove_tags(Link::Ip, &mut frame(&[(0x8100, 1)])).1, 0);
    }

    #[test]
    fn tags_are_written_as_they_are_read() {
        assert_eq!(VlanTags::new([5]).unwrap().octets(), [0x81, 0, 0, 5]);
        let two = VlanTags::new([5, 0x123]).unwrap();
        assert_eq!(two.octets(), [0x88, 0xa8, 0, 5, 0x81, 0, 1, 0x23]);
        assert_eq!((VlanTags::new([0]), VlanTags::new([4096]), VlanTags::new([1, 2, 3])), (None, None, None));
        assert!(VlanTags::new([]).unwrap().octets().is_empty());
    }
}
