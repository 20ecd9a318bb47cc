use super::*;
use crate::plane::capture::CaptureWriter;
use proptest::prelude::*;

/// Builds files of a byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const BOTH: [Order; 2] = [Order { big: false }, Order { big: true }];

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|&value| self.u32(value)).collect()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &length, &body, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        self.block(SHB_MAGIC, &[&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut value = [&self.u16(code)[..], &self.u16(value.len() as u16), value].concat();
        value.resize(value.len().next_multiple_of(4), 0);
        value
    }

    /// Returns an interface description: Ethernet, with a snap length of 64.
    fn interface(self, options: &[Vec<u8>]) -> Vec<u8> {
        let fixed = [&self.u16(1)[..], &self.u16(0), &self.u32(64)].concat();
        self.block(IDB_MAGIC, &[fixed, options.concat()].concat())
    }

    fn packet(self, interface: u32, ticks: u64, octets: &[u8], options: &[Vec<u8>]) -> Vec<u8> {
        let length = octets.len() as u32;
        let head = self.words(&[interface, (ticks >> 32) as u32, ticks as u32, length, length + 100]);
        let mut body = [&head[..], octets].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(EPB_MAGIC, &[body, options.concat()].concat())
    }

    fn pcap(self, magic: u32, linktype: u32) -> Vec<u8> {
        [&self.u32(magic)[..], &self.u16(2), &self.u16(4), &self.words(&[0, 0, 65535, linktype])].concat()
    }

    fn record(self, seconds: u32, fraction: u32, octets: &[u8]) -> Vec<u8> {
        let length = octets.len() as u32;
        [&self.words(&[seconds, fraction, length, length + 100])[..], octets].concat()
    }
}

/// A frame without its borrow of the reader: interface, time, length, octets.
type Owned = (u32, Duration, u32, Vec<u8>);

fn read(file: &[u8]) -> (Vec<Owned>, Vec<CaptureInterface>, Result<(), ReadError>) {
    let mut frames = Vec::new();
    let mut reader = match CaptureReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (frames, Vec::new(), Err(error)),
    };
    let end = loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                frames.push((frame.interface, frame.time, frame.length, frame.octets.to_vec()))
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (frames, reader.interfaces().to_vec(), end)
}

#[test]
fn pcap_of_either_order_and_resolution() {
    for order in BOTH {
        for (magic, fraction) in [(0xa1b2_c3d4, 500_001), (0xa1b2_3c4d, 500_001_000)] {
            // The highest bits of the link type describe frame check sequences.
            let file = [order.pcap(magic, 0x5000_0065), order.record(7, fraction, b"abc")].concat();
            let (frames, interfaces, end) = read(&file);
            assert!(end.is_ok());
            assert_eq!(frames, [(0, Duration::new(7, 500_001_000), 103, b"abc".to_vec())]);
            assert_eq!(interfaces, [CaptureInterface { name: "if0".into(), link: Link::Ip, mac: None }]);
        }
    }
}

#[test]
fn pcapng_interfaces_have_their_own_name_address_and_clock() {
    for order in BOTH {
        let zone = order.option(10, &[0, 0, 0, 1]);
        let offset = if order.big { (-3_i64).to_be_bytes() } else { (-3_i64).to_le_bytes() };
        // Without an end-of-options mark: readers must not rely on one (draft-ietf-opsawg-pcapng section 3.5).
        let lan =
            [order.option(2, b"lan0"), order.option(6, &[2, 0, 0, 0, 0, 9]), zone, order.option(9, &[9])];
        let file = [
            order.section(),
            order.interface(&lan),
            order.interface(&[order.option(9, &[0x88]), order.option(14, &offset), order.option(0, &[])]),
            order.packet(0, 5_000_000_007, b"one", &[]),
            order.packet(1, 0x0580, b"four", &[order.option(1, b"\xff not UTF-8"), order.option(2988, b"x")]),
        ]
        .concat();
        let (frames, interfaces, end) = read(&file);
        end.unwrap();
        assert_eq!(
            frames,
            [
                (0, Duration::new(5, 7), 103, b"one".to_vec()),
                (1, Duration::from_millis(2500), 104, b"four".to_vec())
            ]
        );
        let mac = Some(MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(
            interfaces,
            [
                CaptureInterface { name: "lan0".into(), link: Link::Ethernet, mac },
                CaptureInterface { name: "if1".into(), link: Link::Ethernet, mac: None },
            ]
        );
    }
}

#[test]
fn sections_begin_anew_and_interfaces_keep_their_names() {
    let [little, big] = BOTH;
    let file = [
        little.section(),
        little.interface(&[little.option(2, b"a")]),
        little.interface(&[little.option(2, b"b")]),
        little.packet(1, 1_000_000, b"", &[]),
        big.section(),
        big.interface(&[big.option(2, b"b"), big.option(9, &[3])]),
        big.interface(&[big.option(2, b"c")]),
        big.packet(0, 2000, b"", &[]),
        big.packet(1, 3_000_000, b"", &[]),
    ]
    .concat();
    let (frames, interfaces, end) = read(&file);
    end.unwrap();
    assert_eq!(interfaces.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(frames.iter().map(|f| (f.0, f.1.as_secs())).collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 3)]);
}

#[test]
fn the_simple_and_the_obsolete_packet_block() {
    for order in BOTH {
        let simple =
            |length: u32, data: &[u8]| order.block(SPB_MAGIC, &[&order.u32(length)[..], data].concat());
        let obsolete =
            [&order.u16(0)[..], &order.u16(9), &order.words(&[0, 2_000_000, 3, 60]), b"old"].concat();
        let file = [
            order.section(),
            order.interface(&[]),
            order.packet(0, 1_000_000, b"x", &[]),
            simple(5, b"fiveE"),
            simple(900, &[1; 64]),
            order.block(PACKET_BLOCK, &obsolete),
            order.block(0x0bad, b"of no known kind"),
        ]
        .concat();
        let (frames, _, end) = read(&file);
        end.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(
            frames[1..],
            [
                (0, second, 5, b"fiveE".to_vec()),
                (0, second, 900, vec![1; 64]),
                (0, 2 * second, 60, b"old".to_vec())
            ]
        );
    }
}

#[test]
fn a_file_cut_anywhere_keeps_the_frames_before_the_cut() {
    let ng = BOTH[0];
    let ng = [ng.section(), ng.interface(&[]), ng.packet(0, 1, b"one", &[]), ng.packet(0, 2, b"two", &[])];
    let old = BOTH[1];
    let old = [old.pcap(0xa1b2_c3d4, 1), old.record(0, 1, b"one"), old.record(0, 2, b"two")];
    for blocks in [&ng[..], &old[..]] {
        let file = blocks.concat();
        let mut ends = blocks
            .iter()
            .scan(0, |end, block| {
                *end += block.len();
                Some(*end)
            })
            .collect::<Vec<_>>();
        ends.reverse();
        for cut in 4..file.len() {
            let (frames, _, end) = read(&file[..cut]);
            let at = ends.iter().find(|&&end| end <= cut).copied().unwrap_or(0);
            if at == cut {
                end.unwrap();
            } else {
                assert!(
                    matches!(end, Err(ReadError::CutShort { at: a }) if a == at as u64),
                    "{cut}: {end:?}"
                );
            }
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(frames.len(), whole.saturating_sub(blocks.len() - 2), "{cut}");
        }
    }
    for nothing in [&b""[..], b"\x0a\x0d", b"GIF89a", &[0; 64]] {
        assert!(matches!(read(nothing).2, Err(ReadError::NotACapture)), "{nothing:?}");
    }
}

#[test]
fn damage_is_distinguished_from_a_cut() {
    let order = BOTH[0];
    let damages: [(Vec<u8>, &str); 8] = [
        (order.packet(1, 0, b"x", &[]), UNKNOWN_INTERFACE),
        (order.words(&[EPB_MAGIC, 33, 0]), "a block with an impossible length"),
        (order.words(&[EPB_MAGIC, 8, 0]), "a block with an impossible length"),
        (order.words(&[0x0bad, u32::MAX - 3, 0]), "a block with an impossible length"),
        (order.words(&[SHB_MAGIC, 28, 7]), "a section in an unknown byte order"),
        (order.block(EPB_MAGIC, &order.words(&[0, 0, 0, 1000, 1000])), "a packet block that is malformed"),
        (order.block(PACKET_BLOCK, &order.words(&[0, 0, 0, 1000, 1000])), "a packet block that is malformed"),
        (
            {
                let mut b = order.packet(0, 0, b"x", &[]);
                *b.last_mut().unwrap() = 1;
                b
            },
            "a packet block that is malformed",
        ),
    ];
    let before = [order.section(), order.interface(&[]), order.packet(0, 0, b"good", &[])].concat();
    for (damage, expected) in damages {
        let (frames, _, end) = read(&[&before[..], &damage, &before].concat());
        let Err(ReadError::Damaged { at, what }) = end else { panic!("{expected}: {end:?}") };
        assert_eq!((frames.len(), at, what), (1, before.len() as u64, expected));
    }
    let record = [order.pcap(0xa1b2_c3d4, 1), order.words(&[0, 0, 1 << 20, 1 << 20])].concat();
    assert!(matches!(read(&record).2, Err(ReadError::Damaged { at: 24, .. })));
}

/// A description of an interface takes 20 octets. A file must not make the reader compare each with all others, nor a user
/// of the reader keep millions.
#[test]
fn the_number_of_interfaces_is_limited() {
    let order = BOTH[0];
    let many = order.interface(&[]).repeat(MAX_DESCRIBED);
    let packet = order.packet(7, 0, &[1; 4], &[]);
    let (frames, interfaces, end) = read(&[order.section(), many.clone(), packet.clone()].concat());
    assert!(end.is_ok() && frames.len() == 1);
    assert_eq!((interfaces.len(), &*interfaces[MAX_DESCRIBED - 1].name), (MAX_DESCRIBED, "if65535"));

    let one_more = [order.section(), many.clone(), packet.clone(), order.interface(&[])].concat();
    let (frames, interfaces, end) = read(&one_more);
    assert_eq!(
        (frames.len(), interfaces.len()),
        (1, MAX_DESCRIBED),
        "frames and interfaces before the damage are valid"
    );
    assert!(matches!(end, Err(ReadError::Damaged { what: "more than 65536 interfaces", .. })), "{end:?}");

    // A later section describes the same interfaces again. A new name adds one.
    let named = order.interface(&[order.option(2, b"new")]);
    let again = [order.section(), many.clone(), order.section(), many, packet].concat();
    let (frames, interfaces, end) = read(&again);
    assert!(end.is_ok() && frames.len() == 1 && interfaces.len() == MAX_DESCRIBED);
    let (_, _, end) = read(&[again, order.section(), named].concat());
    assert!(matches!(end, Err(ReadError::Damaged { .. })));
}

#[test]
fn many_large_blocks_pass_through_the_buffer() {
    let order = BOTH[0];
    let large = vec![7; 300_000];
    let mut file = [order.section(), order.interface(&[])].concat();
    for length in (0..300_000).step_by(9973) {
        file.extend(order.packet(0, 0, &large[..length], &[]));
    }
    let (frames, _, end) = read(&file);
    end.unwrap();
    assert!(frames.iter().map(|f| f.3.len()).eq((0..300_000).step_by(9973)));
}

proptest! {
    #[test]
    fn written_packets_are_read_back(packets in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..70)), 0..20), name in "\\PC{1,20}") {
        let mac = MacAddress::for_interface(7);
        let mut writer = CaptureWriter::new(Vec::new(), &name, Link::Loopback, Some(mac)).unwrap();
        for (time, octets) in &packets {
            writer.write(Duration::from_nanos(*time), octets).unwrap();
        }
        let (frames, interfaces, end) = read(&writer.finish().unwrap());
        end.unwrap();
        prop_assert_eq!(interfaces, [CaptureInterface { name, link: Link::Ip, mac: Some(mac) }]);
        let written = packets.iter().map(|(time, octets)| (0, Duration::from_nanos(*time), octets.len() as u32, octets.clone()));
        prop_assert!(frames.into_iter().eq(written));
    }

    #[test]
    fn any_octets_are_read_without_a_panic(start in 0_usize..3, octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let order = BOTH[0];
        let start = [Vec::new(), [order.section(), order.interface(&[])].concat(), order.pcap(0xa1b2_c3d4, 1)][start].clone();
        let _ = read(&[start, octets].concat());
    }
}
