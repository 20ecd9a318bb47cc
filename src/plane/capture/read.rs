//! [`CaptureReader`]: the frames of a pcap or pcapng file, one after the other.
//!
//! pcap-parser parses the blocks. This file adds a buffer that grows to the largest block and no further, the interfaces of
//! each section, and the distinction between a cut and damage. The reader parses a block only once all of it is in the
//! buffer; an error after that is damage.

use super::blocks::{Endian, PacketFlags, whole};
use super::interfaces::{CaptureInterface, Interfaces, MAX_DESCRIBED};
use super::time::{TimeUnit, since_epoch};
use crate::plane::{Link, MacAddress};
use crate::wire::remove_tags;
use pcap_parser::pcapng::{OptionCode, parse_sectionheaderblock};
use pcap_parser::{EPB_MAGIC, IDB_MAGIC, SHB_MAGIC, SPB_MAGIC, parse_pcap_header};
use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

/// The maximum length of a block, which is also the limit of Wireshark.
const MAX_BLOCK: usize = 16 << 20;
/// The maximum length of a packet in a pcap file, which is also the limit of libpcap.
const MAX_PACKET: usize = 256 << 10;
/// The obsolete Packet Block of early pcapng files.
const PACKET_BLOCK: u32 = 2;
/// The maximum length of a frame check sequence: that of Ethernet. Files that name a longer one mean another unit.
const MAX_FCS: u32 = 4;
const PCAP_HEADER: usize = 24;
/// The octets of a block up to its type, its length and, in a section header, the byte order.
const BLOCK_HEADER: usize = 12;

/// The reason why a capture could not be read further. Frames read before are valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input could not be read.
    #[error("the input could not be read further")]
    Io(#[from] io::Error),
    /// The input is neither a pcap nor a pcapng file.
    #[error("the input is not a capture: neither pcap nor pcapng begins like this")]
    NotACapture,
    /// The input ends within a block.
    #[error("the capture was cut short: the block at octet {at} is incomplete")]
    CutShort {
        /// The offset of the incomplete block.
        at: u64,
    },
    /// A block is damaged.
    #[error("the capture is damaged at octet {at}: {what}")]
    Damaged {
        /// The offset of the damaged block.
        at: u64,
        /// A description of the damage.
        what: &'static str,
    },
}

/// A captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'r> {
    /// The position of the interface in [`CaptureReader::interfaces`].
    pub interface: u32,
    /// The time since 1970-01-01 UTC. A Simple Packet Block has no time, and gets that of the frame before it.
    pub time: Duration,
    /// The octets of the frame on the wire. The capture may hold fewer.
    pub length: u32,
    /// The link header.
    pub link: Link,
    /// The captured octets, without VLAN tags and frame check sequence.
    pub octets: &'r [u8],
    /// The number of octets that the capture cut off behind them.
    pub cut: u32,
    /// Whether the capture says that its system sent the frame: by the direction in the flags of the packet, or by the packet
    /// type of a cooked header.
    pub outgoing: bool,
    /// Whether the frame names one more interface than there is room for. `interface` is then the described one.
    pub no_room: bool,
}

/// Reads a capture: pcap or pcapng, in micro- or nanoseconds, of either byte order.
///
/// Interfaces are identified by name. If a later section describes an interface of a known name, as in captures that were
/// joined, it is the same interface.
///
/// A VLAN of an interface is an interface of its own: `eth0.5`, or `eth0.5.6` for nested tags. So is each interface index in
/// cooked headers of version 2: `any:3`. Frames come without VLAN tags and frame check sequences.
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
    /// The octets read; those of `buffer[used..]` are not used yet.
    buffer: Vec<u8>,
    used: usize,
    /// The offset of `buffer[used]` in the input.
    offset: u64,
    format: Format,
    interfaces: Interfaces,
    /// The interfaces of the present section, in the order in which packets number them.
    section: Vec<SectionInterface>,
    latest: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap { big_endian: bool, record_header: usize, unit: TimeUnit },
    PcapNg { big_endian: bool },
}

/// An interface as a section describes it.
#[derive(Clone, Copy, Debug)]
struct SectionInterface {
    /// The position among the described interfaces.
    described: u32,
    link: Link,
    unit: TimeUnit,
    offset_seconds: i64,
    snap_length: u32,
    /// The octets of the frame check sequence at the end of each frame.
    fcs: u32,
}

/// A packet within the buffer.
struct BufferedPacket {
    described: SectionInterface,
    time: Option<Duration>,
    length: u32,
    octets: Range<usize>,
    flags: PacketFlags,
}

impl<R: Read> CaptureReader<R> {
    /// Begins to read a capture.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn new(input: R) -> Result<CaptureReader<R>, ReadError> {
        let mut reader = CaptureReader {
            input,
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            format: Format::PcapNg { big_endian: false },
            interfaces: Interfaces::default(),
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
            record_header: if header.is_modified_format() { 24 } else { 16 },
            unit: TimeUnit::power_of_ten(if header.is_nanosecond_precision() { 9 } else { 6 }),
        };
        // The link type is the lower half. The highest four bits count the words of two octets of the frame check sequence, if
        // the bit P is set (draft-ietf-opsawg-pcap section 4).
        const FCS_LENGTH_PRESENT: u32 = 1 << 26;
        let network = header.network.0 as u32;
        let fcs = if network & FCS_LENGTH_PRESENT == 0 { 0 } else { 2 * (network >> 28) };
        let link = Link::from_linktype(network & 0xffff);
        let described = reader.interfaces.describe(None, 0, link, None).unwrap_or_default();
        let unit = TimeUnit::power_of_ten(6);
        reader.section.push(SectionInterface {
            described,
            link,
            unit,
            offset_seconds: 0,
            snap_length: 0,
            fcs,
        });
        reader.advance(PCAP_HEADER);
        Ok(reader)
    }

    /// Returns the interfaces described so far. Blocks that follow may add more.
    #[must_use]
    pub fn interfaces(&self) -> &[CaptureInterface] {
        self.interfaces.all()
    }

    /// Returns the number of octets of the input used so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// Returns the next frame; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`]; no frame follows it.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let found = match self.format {
            Format::Pcap { big_endian, record_header, unit } => {
                self.next_record(big_endian, record_header, unit)?
            }
            Format::PcapNg { .. } => self.next_packet_block()?,
        };
        Ok(found.map(|packet| self.frame(packet)))
    }

    /// Returns the frame of a packet, without its tags and frame check sequence.
    fn frame(&mut self, packet: BufferedPacket) -> Frame<'_> {
        let BufferedPacket { described: SectionInterface { described, link, fcs, .. }, flags, .. } = packet;
        self.latest = packet.time.unwrap_or(self.latest);
        let fcs = flags.fcs().unwrap_or(fcs).min(MAX_FCS);
        let whole = packet.length.checked_sub(fcs).unwrap_or(packet.length) as usize;
        let Range { start, end } = packet.octets;
        let end = if fcs > 0 { end.min(start + whole) } else { end };
        let octets = &mut self.buffer[start..end];
        let cut = whole.saturating_sub(octets.len()) as u32;
        let outgoing = flags.is_outbound() || link.is_outgoing(octets);
        let index = link.interface_index(octets);
        let (tags, removed) = remove_tags(link, octets);
        let (interface, no_room) = self.interfaces.of_frame((described, index, tags));
        let octets = &self.buffer[start + removed..end];
        Frame { interface, time: self.latest, length: packet.length, link, octets, cut, outgoing, no_room }
    }

    fn next_record(
        &mut self,
        big_endian: bool,
        head: usize,
        unit: TimeUnit,
    ) -> Result<Option<BufferedPacket>, ReadError> {
        if !self.have_block(head)? {
            return Ok(None);
        }
        let [seconds, fraction, captured, length] = [0, 4, 8, 12].map(|at| self.word(at, big_endian));
        if captured as usize > MAX_PACKET {
            return Err(self.damaged("a packet longer than 256 KiB"));
        }
        self.have_block(head + captured as usize)?;
        let octets = self.used + head..self.used + head + captured as usize;
        self.advance(head + captured as usize);
        let time = Duration::from_secs(seconds.into()) + since_epoch(fraction.into(), unit, 0);
        let (described, flags) = (self.section[0], PacketFlags::default());
        Ok(Some(BufferedPacket { described, time: Some(time), length, octets, flags }))
    }

    fn next_packet_block(&mut self) -> Result<Option<BufferedPacket>, ReadError> {
        while self.have_block(BLOCK_HEADER)? {
            let begins_section = self.word(0, false) == SHB_MAGIC;
            if begins_section {
                let big_endian = match self.word(8, false) {
                    0x1a2b_3c4d => false,
                    0x4d3c_2b1a => true,
                    _ => return Err(self.damaged("a section in an unknown byte order")),
                };
                self.format = Format::PcapNg { big_endian };
            }
            let Format::PcapNg { big_endian } = self.format else { return Ok(None) };
            let length = self.word(4, big_endian) as usize;
            if !(BLOCK_HEADER..=MAX_BLOCK).contains(&length) || !length.is_multiple_of(4) {
                return Err(self.damaged("a block with an impossible length"));
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

    /// Processes one whole block. Returns the packet, if the block is one.
    fn take_block(
        &mut self,
        kind: u32,
        length: usize,
        big_endian: bool,
    ) -> Result<Option<BufferedPacket>, &'static str> {
        let start = self.used;
        let block = &self.buffer[start..start + length];
        let endian = Endian { big: big_endian };
        match kind {
            SHB_MAGIC => {
                let section =
                    whole(parse_sectionheaderblock(block)).ok_or("a section header that is malformed")?;
                if section.major_version != 1 {
                    return Err("a section of a version other than 1");
                }
                self.section.clear();
                Ok(None)
            }
            IDB_MAGIC => {
                let block = endian.interface(block).ok_or("an interface description that is malformed")?;
                let option = |code: OptionCode| {
                    block.options.iter().find(|o| o.code == code).and_then(|o| o.as_bytes().ok())
                };
                // Of the same length as the numbers of other options, or left out.
                let fcs = option(IF_FCSLEN)
                    .and_then(|length| length.first())
                    .map_or(0, |length| u32::from(*length));
                let mac = option(OptionCode::IfMacAddr).and_then(|mac| mac.try_into().ok()).map(MacAddress);
                let offset = option(OptionCode::IfTsoffset).and_then(|offset| offset.try_into().ok());
                let offset_seconds =
                    offset.map_or(0, if big_endian { i64::from_be_bytes } else { i64::from_le_bytes });
                let link = Link::from_linktype(block.linktype.0 as u32);
                let number = self.section.len();
                let described = self
                    .interfaces
                    .describe(option(OptionCode::IfName), number, link, mac)
                    .filter(|_| number < MAX_DESCRIBED)
                    .ok_or("more than 65536 interfaces")?;
                let unit = TimeUnit::from_tsresol(block.if_tsresol);
                let snap_length = block.snaplen;
                self.section.push(SectionInterface {
                    described,
                    link,
                    unit,
                    offset_seconds,
                    snap_length,
                    fcs,
                });
                Ok(None)
            }
            EPB_MAGIC => {
                let packet = endian.packet(block).ok_or("a packet block that is malformed")?;
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let options = (16 + 12_usize).saturating_add((packet.caplen as usize).next_multiple_of(4));
                let flags = endian.flags(block.get(options..length - 4).unwrap_or_default());
                self.packet(packet.if_id, Some(ticks), packet.caplen, packet.origlen, start + 28, flags)
                    .map(Some)
            }
            SPB_MAGIC => {
                let packet = endian.simple_packet(block).ok_or("a simple packet block that is malformed")?;
                let described = self.section.first().ok_or(UNKNOWN_INTERFACE)?;
                let snap = if described.snap_length == 0 { u32::MAX } else { described.snap_length };
                let captured = packet.origlen.min(snap).min(packet.data.len() as u32);
                self.packet(0, None, captured, packet.origlen, start + 12, PacketFlags::default()).map(Some)
            }
            PACKET_BLOCK => {
                let body = endian.unknown(block).ok_or("a packet block that is malformed")?.data;
                let (head, data) = body.split_at_checked(20).ok_or("a packet block that is malformed")?;
                let word = |at: usize| endian.word([head[at], head[at + 1], head[at + 2], head[at + 3]]);
                let interface = if big_endian { [0, 0, head[0], head[1]] } else { [head[0], head[1], 0, 0] };
                let ticks = u64::from(word(4)) << 32 | u64::from(word(8));
                if word(12) as usize > data.len() {
                    return Err("a packet block that is malformed");
                }
                let flags =
                    endian.flags(data.get((word(12) as usize).next_multiple_of(4)..).unwrap_or_default());
                let interface = endian.word(interface);
                self.packet(interface, Some(ticks), word(12), word(16), start + 28, flags).map(Some)
            }
            // Names, statistics, secrets and other blocks.
            _ => Ok(None),
        }
    }

    fn packet(
        &self,
        interface: u32,
        ticks: Option<u64>,
        captured: u32,
        length: u32,
        at: usize,
        flags: PacketFlags,
    ) -> Result<BufferedPacket, &'static str> {
        let described = *self.section.get(interface as usize).ok_or(UNKNOWN_INTERFACE)?;
        let time = ticks.map(|ticks| since_epoch(ticks, described.unit, described.offset_seconds));
        Ok(BufferedPacket { described, time, length, octets: at..at + captured as usize, flags })
    }

    /// Fills the buffer with `length` octets. Returns `false` at the end of the input.
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

    /// Returns the word at an offset. The caller has filled the buffer that far.
    fn word(&self, at: usize, big_endian: bool) -> u32 {
        let octets = &self.buffer[self.used + at..self.used + at + 4];
        Endian { big: big_endian }.word([octets[0], octets[1], octets[2], octets[3]])
    }

    fn damaged(&self, what: &'static str) -> ReadError {
        ReadError::Damaged { at: self.offset, what }
    }
}

/// The option with the octets of the frame check sequence (draft-ietf-opsawg-pcapng section 4.2).
const IF_FCSLEN: OptionCode = OptionCode(13);
const UNKNOWN_INTERFACE: &str = "a packet of an undescribed interface";

#[cfg(test)]
mod tests;
