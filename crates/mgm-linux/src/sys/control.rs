//! Control messages beside a datagram (cmsg(3)), read from octets and written to octets.
//!
//! ```text
//! +---------------+---------------+-------+------+----------------------+
//! | length, 8 octets, with header | level | type | data, padded to 8    |
//! +---------------+---------------+-------+------+----------------------+
//! ```

/// The length of a header on 64-bit processors.
const HEADER: usize = 16;
const _: () = assert!(size_of::<libc::cmsghdr>() == HEADER);

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlMessage<'a> {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: &'a [u8],
}

impl ControlMessage<'_> {
    /// Returns the octets from `offset` on as an integer of the machine; `None` if they are too few.
    pub(crate) fn int(&self, offset: usize) -> Option<i32> {
        Some(i32::from_ne_bytes(*self.data.get(offset..)?.first_chunk()?))
    }
}

/// Iterates over the control messages in a buffer. Ends at the first one that does not fit.
#[derive(Clone, Debug)]
pub(crate) struct ControlMessages<'a> {
    rest: &'a [u8],
}

impl<'a> ControlMessages<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> ControlMessages<'a> {
        ControlMessages { rest: octets }
    }
}

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let length = usize::from_ne_bytes(*length);
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let data = self.rest.get(HEADER..length)?;
        let (level, kind) = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind));
        self.rest = self.rest.get(length.next_multiple_of(8)..).unwrap_or_default();
        Some(ControlMessage { level, kind, data })
    }
}

/// Appends a control message.
pub(crate) fn push_control(buffer: &mut Vec<u8>, level: i32, kind: i32, data: &[u8]) {
    buffer.extend((HEADER + data.len()).to_ne_bytes());
    buffer.extend(level.to_ne_bytes());
    buffer.extend(kind.to_ne_bytes());
    buffer.extend(data);
    buffer.resize(buffer.len().next_multiple_of(8), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut buffer = Vec::new();
        push_control(&mut buffer, 0, 8, &[1, 2, 3]);
        push_control(&mut buffer, 41, 52, &7_i32.to_ne_bytes());
        let read: Vec<_> = ControlMessages::new(&buffer).collect();
        assert_eq!(read[0], ControlMessage { level: 0, kind: 8, data: &[1, 2, 3] });
        assert_eq!((read[1].level, read[1].kind, read[1].int(0)), (41, 52, Some(7)));
        assert_eq!((read.len(), read[1].int(1)), (2, None));
    }

    #[test]
    fn truncated_messages_end_the_list() {
        let mut buffer = Vec::new();
        push_control(&mut buffer, 1, 2, &[9; 12]);
        for length in 0..28 {
            assert_eq!(ControlMessages::new(&buffer[..length]).next(), None, "{length} octets");
        }
        assert!(ControlMessages::new(&buffer[..28]).next().is_some(), "the padding may be missing");
        for length in [0_usize, 15, usize::MAX] {
            buffer[..8].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(ControlMessages::new(&buffer).next(), None, "a length of {length}");
        }
    }
}
