//! [`Connection`]: one client of the control socket, with bounded buffers and a deadline.

use super::protocol::MAX_REQUEST;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The time in which a client has to read some of an answer.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after which a client that asks nothing is dropped.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The octets read at a time.
const CHUNK: usize = 4096;

/// What a client's input has become.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// No whole line yet.
    Partial,
    /// A line, without its line break.
    Line(Vec<u8>),
    /// A line that is too long.
    TooLong,
    /// The client has closed its side, or the connection is broken.
    Closed,
}

/// One client. It sends the next line only after the answer to the one before is read: so it holds one line and one answer.
pub(super) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// Whether the connection ends after the output.
    closing: bool,
    /// The last time that octets were read or written.
    active: Instant,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> std::io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            closing: false,
            active: Instant::now(),
        })
    }

    /// Returns whether an answer waits for the client to read it.
    pub(super) fn is_writing(&self) -> bool {
        self.written < self.output.len()
    }

    /// Returns for how long the client has neither sent nor read anything.
    pub(super) fn idle(&self) -> Duration {
        self.active.elapsed()
    }

    /// Returns whether the client has used up its time.
    pub(super) fn is_overdue(&self) -> bool {
        self.idle() > if self.is_writing() { WRITE_TIMEOUT } else { IDLE_TIMEOUT }
    }

    /// Returns whether a line waits that was read before, while no answer waits to be read.
    pub(super) fn has_line(&self) -> bool {
        !self.is_writing() && self.input.contains(&b'\n')
    }

    /// Returns the next line. Reads what has come, at most one chunk, if none was read before.
    pub(super) fn read(&mut self) -> Input {
        if self.has_line() {
            return self.next_line();
        }
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Input::Closed,
            Ok(length) => {
                self.active = Instant::now();
                self.input.extend_from_slice(&chunk[..length]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Input::Closed,
        }
        self.next_line()
    }

    /// Returns the next line of what was read before.
    fn next_line(&mut self) -> Input {
        match self.input.iter().position(|octet| *octet == b'\n') {
            Some(end) if end <= MAX_REQUEST => {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                Input::Line(line)
            }
            None if self.input.len() <= MAX_REQUEST => Input::Partial,
            _ => Input::TooLong,
        }
    }

    /// Begins an answer. `closes`: the connection ends after it.
    pub(super) fn answer(&mut self, line: Vec<u8>, closes: bool) {
        self.output = line;
        self.written = 0;
        self.closing = closes;
    }

    /// Writes what the socket takes. Returns whether the connection goes on.
    pub(super) fn write(&mut self) -> bool {
        while self.is_writing() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return false,
                Ok(length) => {
                    self.written += length;
                    self.active = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.output = Vec::new();
        self.written = 0;
        !self.closing
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
