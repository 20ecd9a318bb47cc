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
