//! The blocks of a pcapng file, in either byte order.

use pcap_parser::PcapError;
use pcap_parser::nom::IResult;
use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, SimplePacketBlock, UnknownBlock,
    parse_enhancedpacketblock_be, parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_simplepacketblock_be, parse_simplepacketblock_le,
    parse_unknownblock_be, parse_unknownblock_le,
};

/// Returns the result of parsing a whole block.
pub(super) fn whole<'b, T>(parsed: IResult<&'b [u8], T, PcapError<&'b [u8]>>) -> Option<T> {
    parsed.ok().map(|(_, block)| block)
}

/// A byte order, with the parsers of pcap-parser for it.
#[derive(Clone, Copy)]
pub(super) struct Endian {
    pub(super) big: bool,
}

impl Endian {
    pub(super) fn word(self, octets: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }

    pub(super) fn interface(self, block: &[u8]) -> Option<InterfaceDescriptionBlock<'_>> {
        let parse =
            if self.big { parse_interfacedescriptionblock_be } else { parse_interfacedescriptionblock_le };
        whole(parse(block))
    }

    pub(super) fn packet(self, block: &[u8]) -> Option<EnhancedPacketBlock<'_>> {
        whole(if self.big {
            parse_enhancedpacketblock_be(block)
        } else {
            parse_enhancedpacketblock_le(block)
        })
    }

    pub(super) fn simple_packet(self, block: &[u8]) -> Option<SimplePacketBlock<'_>> {
        whole(if self.big { parse_simplepacketblock_be(block) } else { parse_simplepacketblock_le(block) })
    }

    pub(super) fn unknown(self, block: &[u8]) -> Option<UnknownBlock<'_>> {
        whole(if self.big { parse_unknownblock_be(block) } else { parse_unknownblock_le(block) })
    }
}

/// The flags of a packet (draft-ietf-opsawg-pcapng section 4.3.1); all zero if the block has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PacketFlags(u32);

impl PacketFlags {
    /// Returns whether the system that made the capture sent the packet: bits 0 and 1.
    pub(super) const fn is_outbound(self) -> bool {
        self.0 & 0b11 == 0b10
    }

    /// Returns the octets of the frame check sequence, if the packet tells: bits 5 to 8.
    pub(super) const fn fcs(self) -> Option<u32> {
        match self.0 >> 5 & 0xf {
            0 => None,
            length => Some(length),
        }
    }
}

impl Endian {
    /// Returns the flags among the options of a packet block. Options that are cut short end the search.
    pub(super) fn flags(self, mut options: &[u8]) -> PacketFlags {
        const END: u16 = 0;
        const FLAGS: u16 = 2;
        while let Some((&[a, b, c, d], rest)) = options.split_first_chunk() {
            let half =
                |octets| if self.big { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) };
            let (code, length) = (half([a, b]), usize::from(half([c, d])));
            match (code, rest.first_chunk()) {
                (END, _) => break,
                (FLAGS, Some(flags)) if length == 4 => return PacketFlags(self.word(*flags)),
                _ => options = rest.get(length.next_multiple_of(4)..).unwrap_or_default(),
            }
        }
        PacketFlags::default()
    }
}
