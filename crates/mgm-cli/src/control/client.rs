//! [`ControlClient`]: asks a running router.

use super::protocol::{
    Answer, AnswerLine, Outcome, Page, Refusal, Request, RequestLine, VERSION, What, line,
};
use anyhow::{Context, anyhow, bail};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The time in which the router has to answer. A reload may stop and start protocols meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of an answer in octets.
const MAX_ANSWER: u64 = 16 << 20;

/// The failure of a request.
pub(crate) enum RequestError {
    /// The router refused it.
    Refused(Refusal),
    /// There is no router, or the connection broke.
    Connection(anyhow::Error),
}

/// A connection to a router.
#[derive(Debug)]
pub(crate) struct ControlClient {
    stream: BufReader<UnixStream>,
}

impl ControlClient {
    /// Connects to the router of a control socket.
    pub(crate) fn connect(path: &Path) -> anyhow::Result<ControlClient> {
        let name = path.display();
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow!(
                "no router answers on {name}: start one with mgm run, or name its [router] control with --socket"
            ),
            ErrorKind::PermissionDenied => anyhow!(
                "{name} belongs to another group: run this as root, or as a member of [router] control_group"
            ),
            _ => anyhow!("{name}: {error}"),
        })?;
        stream.set_read_timeout(Some(TIMEOUT)).context("the control socket")?;
        stream.set_write_timeout(Some(TIMEOUT)).context("the control socket")?;
        Ok(ControlClient { stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for its answer, at most 30 seconds.
    pub(crate) fn request(&mut self, request: Request) -> Result<Answer, RequestError> {
        match self.exchange(request) {
            Ok(Outcome::Answer(answer)) => Ok(answer),
            Ok(Outcome::Error(refusal)) => Err(RequestError::Refused(refusal)),
            Err(error) => Err(RequestError::Connection(error)),
        }
    }

    fn exchange(&mut self, request: Request) -> anyhow::Result<Outcome> {
        let line = line(&RequestLine { version: VERSION, request })?;
        self.stream.get_mut().write_all(&line).context("the request cannot be sent")?;
        let mut answer = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_ANSWER);
        limited.read_until(b'\n', &mut answer).context("the router does not answer")?;
        if answer.last() != Some(&b'\n') {
            bail!("the router has closed the connection");
        }
        let AnswerLine { version, outcome } =
            serde_json::from_slice(&answer).context("the answer is none of this version of mgm")?;
        if version != VERSION {
            bail!(
                "the router speaks version {version}, and this program {VERSION}: use the same version of mgm"
            );
        }
        Ok(outcome)
    }

    /// Asks for a list, page by page.
    pub(crate) fn show(&mut self, what: What, after: Option<String>) -> Result<Answer, RequestError> {
        let mut all = self.request(Request::Show { what, after })?;
        while let Some(next) = next(&all) {
            let more = self.request(Request::Show { what, after: Some(next) })?;
            if !append(&mut all, more) {
                return Err(RequestError::Connection(anyhow!("the router has answered another question")));
            }
        }
        Ok(all)
    }
}

/// Returns where the next page of an answer begins. Events go on for ever, and are followed by their numbers.
fn next(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Clients(page) => page.next.clone(),
        Answer::Interfaces(page) => page.next.clone(),
        Answer::Groups(page) => page.next.clone(),
        Answer::Entries(page) => page.next.clone(),
        Answer::Counters(page) => page.next.clone(),
        Answer::Events(page) => page.next.clone(),
        Answer::Changed(_) => None,
    }
}

/// Appends the rows of another page. Returns whether it is of the same list.
fn append(all: &mut Answer, more: Answer) -> bool {
    fn join<T>(all: &mut Page<T>, more: Page<T>) -> bool {
        // A page without rows and with a next one would go on for ever.
        let goes_on = !more.rows.is_empty() || more.next.is_none();
        all.rows.extend(more.rows);
        all.next = more.next;
        goes_on
    }
    match (all, more) {
        (Answer::Clients(all), Answer::Clients(more)) => join(all, more),
        (Answer::Interfaces(all), Answer::Interfaces(more)) => join(all, more),
        (Answer::Groups(all), Answer::Groups(more)) => join(all, more),
        (Answer::Entries(all), Answer::Entries(more)) => join(all, more),
        (Answer::Counters(all), Answer::Counters(more)) => join(all, more),
        (Answer::Events(all), Answer::Events(more)) => join(all, more),
        _ => false,
    }
}
