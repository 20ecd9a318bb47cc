//! [`Defect`]: why a frame is malformed.

/// The reason why a frame is malformed. Nothing in such a frame is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The frame ends within its link header.
    #[error("the frame ends within its link header")]
    LinkHeader,
    /// The frame ends within its IP header.
    #[error("the frame ends within its IP header")]
    Header,
    /// The version of the IP header is not the one that the link header announces.
    #[error("the IP version is not the one that the link header announces")]
    Version,
    /// The IPv4 header length is less than 20, or exceeds the frame.
    #[error("the IPv4 header length is less than 20 octets, or exceeds the frame")]
    HeaderLength,
    /// The datagram is longer than its captured part, or shorter than its own header.
    #[error("the datagram is cut short, or shorter than its own header")]
    Length,
    /// The IPv4 header checksum is wrong.
    #[error("the IPv4 header checksum is wrong")]
    HeaderChecksum,
    /// The source address is not the address of a sender.
    #[error("the source address is not the address of a sender")]
    Source,
    /// An IPv6 extension header runs beyond the datagram.
    #[error("an IPv6 extension header runs beyond the datagram")]
    ExtensionHeader,
    /// The datagram is a fragment of an IGMP or MLD message.
    #[error("the datagram is a fragment of an IGMP or MLD message")]
    Fragment,
}

impl Defect {
    /// Returns the name under which reports count this defect.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Defect::LinkHeader => "link_header",
            Defect::Header => "ip_header",
            Defect::Version => "ip_version",
            Defect::HeaderLength => "header_length",
            Defect::Length => "datagram_length",
            Defect::HeaderChecksum => "header_checksum",
            Defect::Source => "source_address",
            Defect::ExtensionHeader => "extension_header",
            Defect::Fragment => "fragmented_message",
        }
    }
}
