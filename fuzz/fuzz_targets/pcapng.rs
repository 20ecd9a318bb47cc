//! pcapng files: any octets are read to an end. See `reading.rs`.
#![no_main]

mod reading;

use libfuzzer_sys::fuzz_target;

/// Builds blocks from octets: for each a kind, a length and the body, in one byte order. Their lengths are consistent, which
/// lengths at random seldom are. Unknown kinds are kept.
fn built(octets: &[u8]) -> Vec<u8> {
    let Some((first, mut rest)) = octets.split_first() else { return Vec::new() };
    let big = first & 2 != 0;
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = word(12 + body.len().next_multiple_of(4) as u32);
        file.extend(word(kind).into_iter().chain(length));
        file.extend(body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend(length);
    };
    let version = if big { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
    let section = [&word(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &section);
    while let [kind, length, behind @ ..] = rest {
        let (body, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        match kind {
            0 => block(0x0a0d_0d0a, &section),
            1..=6 => block((*kind).into(), body),
            // An interface and a packet with valid fixed fields.
            7 => block(1, &[if big { &[0, 1, 0, 0][..] } else { &[1, 0, 0, 0] }, &[0; 4], body].concat()),
            8 => {
                let length = word(body.len() as u32);
                block(6, &[&word(0)[..], &[0, 0, 0, 1, 2, 3, 4, 5], &length, &length, body].concat());
            }
            other => block(u32::from(*other) << 24, body),
        }
        rest = behind;
    }
    file
}

fuzz_target!(|octets: &[u8]| match octets {
    [first, ..] if first & 1 == 1 => reading::check(&built(octets)),
    _ => reading::check(octets),
});
