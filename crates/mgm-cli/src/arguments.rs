//! Parsers of option values. Their messages name the values that are allowed.

/// Returns a parser of whole numbers in a range.
pub(crate) fn whole<T: TryFrom<u64>>(
    min: u64,
    max: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match max {
            u64::MAX => format!("give a whole number of at least {min}"),
            _ => format!("give a whole number from {min} to {max}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_range_are_refused() {
        let threads = whole::<u16>(1, 256);
        assert_eq!((threads("1"), threads("256")), (Ok(1), Ok(256)));
        for wrong in ["0", "257", "x", "", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(threads(wrong), Err("give a whole number from 1 to 256".to_owned()), "{wrong:?}");
        }
        assert_eq!(whole::<u64>(1, u64::MAX)("0"), Err("give a whole number of at least 1".to_owned()));
    }
}
