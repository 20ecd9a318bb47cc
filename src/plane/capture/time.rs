//! Time in captures: ticks of the unit of an interface.

use std::time::Duration;

/// The number of ticks in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeUnit {
    /// `None` for a number beyond any count of ticks.
    per_second: Option<u128>,
}

impl TimeUnit {
    pub(super) const fn power_of_ten(exponent: u32) -> TimeUnit {
        TimeUnit { per_second: 10_u128.checked_pow(exponent) }
    }

    /// Returns the unit of a pcapng if_tsresol: a power of ten, or of two if the highest bit is set.
    pub(super) const fn from_tsresol(octet: u8) -> TimeUnit {
        let exponent = (octet & 0x7f) as u32;
        if octet & 0x80 == 0 {
            TimeUnit::power_of_ten(exponent)
        } else {
            TimeUnit { per_second: 1_u128.checked_shl(exponent) }
        }
    }
}

/// Returns the time of a number of ticks and seconds since 1970, clamped to the years 1970 to 2554.
pub(super) fn since_epoch(ticks: u64, unit: TimeUnit, offset_seconds: i64) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // Less than 2^64 * 2^30: fits an i128 as well.
    let nanoseconds = unit.per_second.map_or(0, |per_second| u128::from(ticks) * SECOND / per_second) as i128;
    let nanoseconds = nanoseconds + i128::from(offset_seconds) * SECOND as i128;
    Duration::from_nanos(nanoseconds.clamp(0, u64::MAX.into()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_any_unit_become_time() {
        let at = |ticks, octet, offset| since_epoch(ticks, TimeUnit::from_tsresol(octet), offset);
        assert_eq!(at(1_500_000, 6, 0), Duration::from_millis(1500));
        assert_eq!(at(1_500_000_001, 9, 0), Duration::new(1, 500_000_001));
        assert_eq!(at(3, 0, 7), Duration::from_secs(10));
        assert_eq!(at(0x180, 0x88, 0), Duration::from_millis(1500));
        assert_eq!(at(5, 6, -1), Duration::ZERO);
        assert_eq!(at(u64::MAX, 0, i64::MAX), Duration::from_nanos(u64::MAX));
        assert_eq!(at(u64::MAX, 127, 1), Duration::from_secs(1));
        assert_eq!(at(u64::MAX, 0xff, 1), Duration::from_secs(1));
    }
}
