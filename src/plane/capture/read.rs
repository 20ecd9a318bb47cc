//! [`CaptureReader`]: the frames of a pcap or pcapng file, one after the other.
//!
//! The blocks are parsed by pcap-parser. What is done here is what a reader needs around it: a buffer that grows to the
//! largest block and no further, section by section the interfaces that packets refer to, and an honest answer to
//! "cut short or damaged?": a block is parsed only once it is there as a whole, so whatever fails then is damage.

use super::time::{TimeUnit, since_epoch};
use crate::plane::{Link, MacAddress};
use pcap_parser::nom::IResult;
use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, SimplePacketBlock, UnknownBlock,
    parse_enhancedpacketblock_be, parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_sectionheaderblock, parse_simplepacketblock_be,
    parse_simplepacketblock_le, parse_unknownblock_be, parse_unknownblock_le,
};
use pcap_parser::{EPB_MAGIC, IDB_MAGIC, PcapError, SHB_MAGIC, SPB_MAGIC, parse_pcap_header};
use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

/// The largest block that is believed, the limit Wireshark sets as well.
const LARGEST_BLOCK: usize = 16 << 20;
/// The largest packet that is believed in a pcap file, the limit libpcap sets as well.
const LARGEST_PACKET: usize = 256 << 10;
/// The obsolete Packet Block of early pcapng files.
const PACKET_BLOCK: u32 = 2;
/// As many interfaces are believed, of one section and of all together: each costs whoever forwards between them more than
/// the few octets that describe it.
const MAX_INTERFACES: usize = 1 << 16;
const PCAP_HEADER: usize = 24;
/// Up to where a block says which it is, how long, and, if it begins a section, in which byte order.
const BLOCK_HEAD: usize = 12;

/// Why a capture could not be read on. What was read before stands.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input could not be read.
    #[error("it could not be read on")]
    Io(#[from] io::Error),
    /// It begins as neither kind of capture does.
    #[error("it is no capture: neither pcap nor pcapng begins like this")]
    NotACapture,
    /// It ends in the middle of something.
    #[error("it was cut short: the block at octet {at} is incomplete")]
    CutShort {
        /// Where the incomplete block begins.
        at: u64,
    },
    /// Something in it cannot be right.
    #[error("it is damaged at octet {at}: {what}")]
    Damaged {
        /// Where the block begins that is damaged.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// An interface that packets were captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureInterface {
    /// What the capture calls it; one without a name is called `if` and its number in its section: `if0`, `if1`, ...
    pub name: String,
    /// What its frames begin with, as first described.
    pub link: Link,
    /// Its Ethernet address, if the capture tells it.
    pub mac: Option<MacAddress>,
}

/// A captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'r> {
    /// On which of [`CaptureReader::interfaces`].
    pub interface: u32,
    /// When, since 1970-01-01 UTC. A Simple Packet Block has no time: it has the one of the frame before it.
    pub time: Duration,
    /// How many octets the frame had on the wire; there may be fewer left of it.
    pub length: u32,
    /// What it begins with.
    pub link: Link,
    /// What was captured of it.
    pub octets: &'r [u8],
}

/// Reads a capture, pcap or pcapng, micro- or nanosecond, of either byte order.
///
/// The name is what tells interfaces apart: a later section that describes an interface of the same name, as in
/// captures that were joined, goes on with the same one.
///
/// ```no_run
/// use mgm::plane::capture::CaptureReader;
/// let mut reader = CaptureReader::new(std::fs::File::open("capture.pcapng")?)?;
/// while let Some(frame) = reader.next_frame()? {
///     println!("{:?} {} octets", frame.time, frame.length);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CaptureReader<R> {
    input: R,
    /// What was read and not used yet is `buffer[used..]`.
    buffer: Vec<u8>,
    used: usize,
    /// Where in the input `buffer[used]` lies.
    offset: u64,
    format: Format,
    interfaces: Vec<CaptureInterface>,
    /// Their places, by name.
    by_name: HashMap<String, u32>,
    /// The interfaces of the present section, by the number its packets call them.
    section: Vec<Described>,
    latest: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap { big_endian: bool, record_head: usize, unit: TimeUnit },
    PcapNg { big_endian: bool },
}

/// An interface as a section describes it.
#[derive(Clone, Copy, Debug)]
struct Described {
    interface: u32,
    link: Link,
    unit: TimeUnit,
    offset_seconds: i64,
    snap_length: u32,
}

/// A packet within the buffer.
struct Found {
    described: Described,
    time: Option<Duration>,
    length: u32,
    octets: Range<usize>,
}

impl<R: Read> CaptureReader<R> {
    /// Starts to read.
    ///
    /// # Errors
    /// [`ReadError::NotACapture`] and others.
    pub fn new(input: R) -> Result<CaptureReader<R>, ReadError> {
        let mut reader = CaptureReader {
            input,
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            format: Format::PcapNg { big_endian: false },
            interfaces: Vec::new(),
            by_name: HashMap::new(),
            section: Vec::new(),
            latest: Duration::ZERO,
        };
        if !reader.have(4)? {
            return Err(ReadError::NotACapture);
        }
        if reader.word(0, false) == SHB_MAGIC {
            return Ok(reader);
        }
        if !reader.have(PCAP_HEADER)? {
            let known = parse_pcap_header(&[&reader.buffer[..4], &[0; 20]].concat()).is_ok();
            return Err(if known { ReadError::CutShort { at: 0 } } else { ReadError::NotACapture });
        }
        let (_, header) = parse_pcap_header(&reader.buffer).map_err(|_| ReadError::NotACapture)?;
        if header.version_major != 2 {
            return Err(ReadError::Damaged { at: 0, what: "a pcap file of a version other than 2" });
        }
        reader.format = Format::Pcap {
            big_endian: header.is_bigendian(),
            record_head: if header.is_modified_format() { 24 } else { 16 },
            unit: TimeUnit::power_of_ten(if header.is_nanosecond_precision() { 9 } else { 6 }),
        };
        // The upper bits tell of frame check sequences.
        let link = Link::from_linktype(header.network.0 as u32 & 0x0fff_ffff);
        reader
            .describe(None, link, None, TimeUnit::power_of_ten(6), 0, 0)
            .map_err(|what| reader.damaged(what))?;
        reader.advance(PCAP_HEADER);
        Ok(reader)
    }

    /// The interfaces that were described up to here. There can be more once more was read.
    #[must_use]
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    /// How many octets of the input were used.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`], after which there is nothing more to read.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let found = match self.format {
            Format::Pcap { big_endian, record_head, unit } => {
                self.next_record(big_endian, record_head, unit)?
            }
            Format::PcapNg { .. } => self.next_packet_block()?,
        };
        Ok(found.map(|Found { described, time, length, octets }| {
            self.latest = time.unwrap_or(self.latest);
            Frame {
                interface: described.interface,
                time: self.latest,
                length,
                link: described.link,
                octets: &self.buffer[octets],
            }
        }))
    }

    fn next_record(
        &mut self,
        big_endian: bool,
        head: usize,
        unit: TimeUnit,
    ) -> Result<Option<Found>, ReadError> {
        if !self.have_block(head)? {
            return Ok(None);
        }
        let [seconds, fraction, captured, length] = [0, 4, 8, 12].map(|at| self.word(at, big_endian));
        if captured as usize > LARGEST_PACKET {
            return Err(self.damaged("a packet longer than any packet is"));
        }
        self.have_block(head + captured as usize)?;
        let octets = self.used + head..self.used + head + captured as usize;
        self.advance(head + captured as usize);
        let time = Duration::from_secs(seconds.into()) + since_epoch(fraction.into(), unit, 0);
        Ok(Some(Found { described: self.section[0], time: Some(time), length, octets }))
    }

    fn next_packet_block(&mut self) -> Result<Option<Found>, ReadError> {
        while self.have_block(BLOCK_HEAD)? {
            let begins_section = self.word(0, false) == SHB_MAGIC;
            if begins_section {
                let big_endian = match self.word(8, false) {
                    0x1a2b_3c4d => false,
                    0x4d3c_2b1a => true,
                    _ => return Err(self.damaged("a section in no known byte order")),
                };
                self.format = Format::PcapNg { big_endian };
            }
            let Format::PcapNg { big_endian } = self.format else { return Ok(None) };
            let length = self.word(4, big_endian) as usize;
            if !(BLOCK_HEAD..=LARGEST_BLOCK).contains(&length) || !length.is_multiple_of(4) {
                return Err(self.damaged("a block of a length that no block has"));
            }
            self.have_block(length)?;
            let kind = self.word(0, big_endian);
            let found = self.take_block(kind, length, big_endian).map_err(|what| self.damaged(what))?;
            self.advance(length);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Takes in one whole block; a packet, if it is one.
    fn take_block(
        &mut self,
        kind: u32,
        length: usize,
        big_endian: bool,
    ) -> Result<Option<Found>, &'static str> {
        let start = self.used;
        let block = &self.buffer[start..start + length];
        let endian = Endian { big: big_endian };
        match kind {
            SHB_MAGIC => {
                let section = whole(parse_sectionheaderblock(block)).ok_or("a section header in disorder")?;
                if section.major_version != 1 {
                    return Err("a section of a version other than 1");
                }
                self.section.clear();
                Ok(None)
            }
            IDB_MAGIC => {
                let block = endian.interface(block).ok_or("an interface description in disorder")?;
                let option = |code: OptionCode| {
                    block.options.iter().find(|o| o.code == code).and_then(|o| o.as_bytes().ok())
                };
                let name = option(OptionCode::IfName).map(|name| String::from_utf8_lossy(name).into_owned());
                let mac = option(OptionCode::IfMacAddr).and_then(|mac| mac.try_into().ok()).map(MacAddress);
                let offset = option(OptionCode::IfTsoffset).and_then(|offset| offset.try_into().ok());
                let offset =
                    offset.map_or(0, if big_endian { i64::from_be_bytes } else { i64::from_le_bytes });
                let link = Link::from_linktype(block.linktype.0 as u32);
                let (unit, snap_length) = (TimeUnit::from_tsresol(block.if_tsresol), block.snaplen);
                self.describe(name, link, mac, unit, offset, snap_length).map(|()| None)
            }
            EPB_MAGIC => {
                let packet = endian.packet(block).ok_or("a packet block in disorder")?;
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                self.found(packet.if_id, Some(ticks), packet.caplen, packet.origlen, start + 28).map(Some)
            }
            SPB_MAGIC => {
                let packet = endian.simple_packet(block).ok_or("a simple packet block in disorder")?;
                let described = self.section.first().ok_or(UNKNOWN_INTERFACE)?;
                let snap = if described.snap_length == 0 { u32::MAX } else { described.snap_length };
                let captured = packet.origlen.min(snap).min(packet.data.len() as u32);
                self.found(0, None, captured, packet.origlen, start + 12).map(Some)
            }
            PACKET_BLOCK => {
                let body = endian.unknown(block).ok_or("a packet block in disorder")?.data;
                let (head, data) = body.split_at_checked(20).ok_or("a packet block in disorder")?;
                let word = |at: usize| endian.word([head[at], head[at + 1], head[at + 2], head[at + 3]]);
                let interface = if big_endian { [0, 0, head[0], head[1]] } else { [head[0], head[1], 0, 0] };
                let ticks = u64::from(word(4)) << 32 | u64::from(word(8));
                if word(12) as usize > data.len() {
                    return Err("a packet block in disorder");
                }
                self.found(endian.word(interface), Some(ticks), word(12), word(16), start + 28).map(Some)
            }
            // Names, statistics, secrets and what else there may be.
            _ => Ok(None),
        }
    }

    fn found(
        &self,
        interface: u32,
        ticks: Option<u64>,
        captured: u32,
        length: u32,
        at: usize,
    ) -> Result<Found, &'static str> {
        let described = *self.section.get(interface as usize).ok_or(UNKNOWN_INTERFACE)?;
        let time = ticks.map(|ticks| since_epoch(ticks, described.unit, described.offset_seconds));
        Ok(Found { described, time, length, octets: at..at + captured as usize })
    }

    fn describe(
        &mut self,
        name: Option<String>,
        link: Link,
        mac: Option<MacAddress>,
        unit: TimeUnit,
        offset_seconds: i64,
        snap_length: u32,
    ) -> Result<(), &'static str> {
        const TOO_MANY: &str = "more interfaces than a capture has";
        if self.section.len() == MAX_INTERFACES {
            return Err(TOO_MANY);
        }
        let name = name.filter(|n| !n.is_empty()).unwrap_or_else(|| format!("if{}", self.section.len()));
        let interface = match self.by_name.get(&name) {
            Some(known) => *known,
            None if self.interfaces.len() == MAX_INTERFACES => return Err(TOO_MANY),
            None => {
                // Few enough for a u32.
                let new = self.interfaces.len() as u32;
                self.by_name.insert(name.clone(), new);
                self.interfaces.push(CaptureInterface { name, link, mac: None });
                new
            }
        };
        let described = &mut self.interfaces[interface as usize];
        described.mac = described.mac.or(mac);
        self.section.push(Described { interface, link, unit, offset_seconds, snap_length });
        Ok(())
    }

    /// Whether there are `length` octets to use: `false` at the very end.
    fn have_block(&mut self, length: usize) -> Result<bool, ReadError> {
        if self.have(length)? {
            Ok(true)
        } else if self.used == self.buffer.len() {
            Ok(false)
        } else {
            Err(ReadError::CutShort { at: self.offset })
        }
    }

    fn have(&mut self, length: usize) -> Result<bool, ReadError> {
        const AT_ONCE: u64 = 256 << 10;
        while self.buffer.len() - self.used < length {
            self.buffer.drain(..self.used);
            self.used = 0;
            let missing = (length - self.buffer.len()) as u64;
            if self.input.by_ref().take(missing.max(AT_ONCE)).read_to_end(&mut self.buffer)? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn advance(&mut self, length: usize) {
        self.used += length;
        self.offset += length as u64;
    }

    /// The word at an offset; the caller made sure that it is there.
    fn word(&self, at: usize, big_endian: bool) -> u32 {
        let octets = &self.buffer[self.used + at..self.used + at + 4];
        Endian { big: big_endian }.word([octets[0], octets[1], octets[2], octets[3]])
    }

    fn damaged(&self, what: &'static str) -> ReadError {
        ReadError::Damaged { at: self.offset, what }
    }
}

const UNKNOWN_INTERFACE: &str = "a packet of an interface that was not described";

/// What a parser made of a block that was there as a whole.
fn whole<'b, T>(parsed: IResult<&'b [u8], T, PcapError<&'b [u8]>>) -> Option<T> {
    parsed.ok().map(|(_, block)| block)
}

/// pcap-parser has each parser twice.
#[derive(Clone, Copy)]
struct Endian {
    big: bool,
}

impl Endian {
    fn word(self, octets: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }

    fn interface(self, block: &[u8]) -> Option<InterfaceDescriptionBlock<'_>> {
        let parse =
            if self.big { parse_interfacedescriptionblock_be } else { parse_interfacedescriptionblock_le };
        whole(parse(block))
    }

    fn packet(self, block: &[u8]) -> Option<EnhancedPacketBlock<'_>> {
        whole(if self.big {
            parse_enhancedpacketblock_be(block)
        } else {
            parse_enhancedpacketblock_le(block)
        })
    }

    fn simple_packet(self, block: &[u8]) -> Option<SimplePacketBlock<'_>> {
        whole(if self.big { parse_simplepacketblock_be(block) } else { parse_simplepacketblock_le(block) })
    }

    fn unknown(self, block: &[u8]) -> Option<UnknownBlock<'_>> {
        whole(if self.big { parse_unknownblock_be(block) } else { parse_unknownblock_le(block) })
    }
}

#[cfg(test)]
mod tests;
