//! The floating-point codes of times: RFC 3376 sections 4.1.1 and 4.1.7, RFC 3810 sections 5.1.3 and 5.1.9.

/// The protocol: IGMP or MLD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Igmp,
    Mld,
}

/// Returns the value of a code with an exponent of three bits and a mantissa of `bits` bits.
fn float(code: u64, bits: u32) -> u64 {
    let top = 1 << (bits + 3);
    if code < top {
        return code;
    }
    let mantissa = code % (1 << bits);
    let exponent = (code >> bits) % 8;
    (mantissa + (1 << bits)) << (exponent + 3)
}

/// Returns the value of a QQIC or of IGMP's Max Resp Code (four bits of mantissa), or of MLD's Maximum Response Code (twelve).
pub(crate) fn from_code(code: u16, bits: u32) -> u64 {
    float(code.into(), bits)
}

/// Returns the code of a value, or of the next lower value that has a code. Looks at every code.
pub(crate) fn to_code(value: u64, bits: u32) -> u16 {
    let codes = 0..=u16::MAX >> (12 - bits);
    let best = codes.filter(|code| from_code(*code, bits) <= value).max_by_key(|code| from_code(*code, bits));
    best.unwrap_or(0)
}
