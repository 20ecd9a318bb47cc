//! [`CaptureWriter`]: writes the packets of one interface into a pcapng file.

use crate::wire::{Link, MacAddress};
use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SectionHeaderBlock,
};
use pcap_parser::{Linktype, ToVec};
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

/// Writes the packets of one interface into a pcapng file, with times in nanoseconds.
///
/// ```
/// use mgm::plane::{Link, capture::{CaptureReader, CaptureWriter}};
/// use std::time::Duration;
/// let mut file = Vec::new();
/// let mut writer = CaptureWriter::new(&mut file, "eth0", Link::Ethernet, None)?;
/// writer.write(Duration::from_secs(7), &[0xff; 60])?;
/// let mut reader = CaptureReader::new(&file[..])?;
/// assert_eq!(reader.next_frame()?.unwrap().time, Duration::from_secs(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CaptureWriter<W> {
    output: W,
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a file. Its packets begin with an Ethernet header if the link [has one](Link::has_ethernet_header), otherwise
    /// with their IP header.
    ///
    /// # Errors
    /// An error of the output.
    pub fn new(
        mut output: W,
        name: &str,
        link: Link,
        mac: Option<MacAddress>,
    ) -> io::Result<CaptureWriter<W>> {
        let mut section = SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 1,
            minor_version: 0,
            section_len: -1,
            options: vec![option(
                OptionCode::ShbUserAppl,
                concat!("mgm ", env!("CARGO_PKG_VERSION")).as_bytes(),
            )],
            block_len2: 0,
        };
        output.write_all(&octets(&mut section)?)?;
        let mut options = vec![option(OptionCode::IfName, name.as_bytes())];
        if let Some(MacAddress(mac)) = &mac {
            options.push(option(OptionCode::IfMacAddr, mac));
        }
        let mut interface = InterfaceDescriptionBlock {
            block_type: 0,
            block_len1: 0,
            linktype: if link.has_ethernet_header() { Linktype::ETHERNET } else { Linktype::RAW },
            reserved: 0,
            snaplen: 0,
            options,
            block_len2: 0,
            if_tsresol: 9,
            if_tsoffset: 0,
        };
        output.write_all(&octets(&mut interface)?)?;
        Ok(CaptureWriter { output })
    }

    /// Writes a packet.
    ///
    /// # Errors
    /// An error of the output.
    pub fn write(&mut self, time: Duration, packet: &[u8]) -> io::Result<()> {
        let length = u32::try_from(packet.len()).map_err(io::Error::other)?;
        // 2^64 nanoseconds after 1970 is the year 2554.
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut block = EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high: (nanoseconds >> 32) as u32,
            ts_low: nanoseconds as u32,
            caplen: length,
            origlen: length,
            data: packet,
            options: Vec::new(),
            block_len2: 0,
        };
        self.output.write_all(&octets(&mut block)?)
    }

    /// Ends the file: flushes the output and returns it.
    ///
    /// # Errors
    /// An error of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

fn option(code: OptionCode, value: &[u8]) -> PcapNGOption<'_> {
    // Interface names are the longest values. A name that does not fit is cut.
    let value = &value[..value.len().min(1024)];
    PcapNGOption { code, len: value.len() as u16, value: Cow::Borrowed(value) }
}

fn octets(block: &mut impl ToVec) -> io::Result<Vec<u8>> {
    block.to_vec().map_err(|error| io::Error::other(format!("a block could not be written: {error:?}")))
}
