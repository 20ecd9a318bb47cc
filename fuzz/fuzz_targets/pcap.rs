//! pcap files: any octets are read to an end. See `reading.rs`.
#![no_main]

mod reading;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    // As it is, or behind a valid header: random octets seldom have the magic number.
    let mut file = Vec::new();
    if let [first @ 0..4, rest @ ..] = octets {
        let magic: u32 = if first & 1 == 0 { 0xa1b2_c3d4 } else { 0xa1b2_3c4d };
        let fields = [magic, 4 << 16 | 2, 0, 0, 65535, 1].into_iter();
        if first & 2 == 0 {
            file.extend(fields.flat_map(u32::to_le_bytes));
        } else {
            let fields = fields.map(|field| if field == (4 << 16 | 2) { 2 << 16 | 4 } else { field });
            file.extend(fields.flat_map(u32::to_be_bytes));
        }
        file.extend(rest);
    }
    reading::check(if file.is_empty() { octets } else { &file });
});
