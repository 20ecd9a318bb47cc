//! [`ControlServer`]: one thread that serves every client of the control socket.
//!
//! The number of clients, the length of a line and the time of a client are bounded. A client that does not read its answer gets
//! no further one, and is dropped after five seconds. The thread holds nothing that the packet path or the protocols wait for.

use super::connection::{Connection, Input};
use super::protocol::{
    Answer, AnswerLine, MAX_REQUEST, Outcome, Refusal, Request, VERSION, line, parse_request,
};
use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The maximum number of clients at a time.
pub(crate) const MAX_CLIENTS: usize = 32;

/// The time after which an idle client gives its place to a new one when all places are taken.
const YIELD_AFTER: Duration = Duration::from_secs(1);

/// Carries out requests. Runs on the server's thread.
pub(crate) trait Handler: Send + 'static {
    /// Carries out a request.
    fn handle(&mut self, request: Request) -> Result<Answer, Refusal>;
}

/// What the server counted.
#[derive(Debug, Default)]
pub(crate) struct ControlCounters {
    pub(crate) accepted: AtomicU64,
    pub(crate) requests: AtomicU64,
    /// Lines that are no request.
    pub(crate) malformed: AtomicU64,
    /// Clients dropped because they were too slow, idle, or too many.
    pub(crate) dropped: AtomicU64,
}

/// A listening control socket. Its file is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Makes the socket with mode 0660 and this group. Replaces a socket that an ended router left.
    pub(crate) fn bind(path: &Path, group: Option<u32>) -> anyhow::Result<ControlSocket> {
        let name = path.display();
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                bail!("[router] control: {name} exists and is no socket: choose another path")
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                bail!("a router answers on {name} already: end it, or choose another [router] control")
            }
            Ok(_) => fs::remove_file(path).with_context(|| format!("{name}: the old socket stays"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("[router] control: {name}")),
        }
        // No other user may connect between the making of the socket and the change of its mode.
        let before = rustix::process::umask(Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener
            .with_context(|| format!("[router] control: {name} cannot be made; does its directory exist?"))?;
        let socket = ControlSocket { listener, path: path.to_owned() };
        chown(path, None, group).with_context(|| format!("{name}: its group cannot be set"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))
            .with_context(|| format!("{name}: its mode cannot be set"))?;
        socket.listener.set_nonblocking(true).context("the control socket")?;
        Ok(socket)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the control socket stays");
        }
    }
}

/// The thread that serves a control socket. Dropping it ends the thread and its connections.
#[derive(Debug)]
pub(crate) struct ControlServer {
    counters: Arc<ControlCounters>,
    /// Closing it wakes and ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Starts the thread.
    pub(crate) fn start(socket: ControlSocket, handler: impl Handler) -> anyhow::Result<ControlServer> {
        let (stop, stopped) = UnixStream::pair().context("the control socket")?;
        let counters = Arc::new(ControlCounters::default());
        let server = Server { socket, stopped, handler, counters: counters.clone(), clients: Vec::new() };
        let thread = thread::Builder::new()
            .name("mgm-control".to_owned())
            .spawn(move || server.run())
            .context("the thread of the control socket")?;
        Ok(ControlServer { counters, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn counters(&self) -> Arc<ControlCounters> {
        self.counters.clone()
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the control socket panicked");
        }
    }
}

struct Server<H> {
    socket: ControlSocket,
    stopped: UnixStream,
    handler: H,
    counters: Arc<ControlCounters>,
    clients: Vec<Connection>,
}

impl<H: Handler> Server<H> {
    fn run(mut self) {
        while let Some(ready) = self.wait() {
            let (new, ready) = ready;
            let before = std::mem::take(&mut self.clients);
            for (mut client, ready) in before.into_iter().zip(ready) {
                let stays = !ready || self.serve(&mut client);
                if stays && client.is_overdue() {
                    self.counters.dropped.fetch_add(1, Relaxed);
                } else if stays {
                    self.clients.push(client);
                }
            }
            if new {
                self.accept();
            }
        }
    }

    /// Waits for something to do. Returns whether a client wants to connect, and which clients are ready; `None` at the end.
    fn wait(&self) -> Option<(bool, Vec<bool>)> {
        let mut fds = vec![
            PollFd::new(&self.stopped, PollFlags::IN),
            PollFd::new(&self.socket.listener, PollFlags::IN),
        ];
        fds.extend(self.clients.iter().map(|client| {
            PollFd::new(client, if client.is_writing() { PollFlags::OUT } else { PollFlags::IN })
        }));
        // For the deadlines of clients; at once for lines that were read already.
        let lines: Vec<bool> = self.clients.iter().map(Connection::has_line).collect();
        let seconds = if lines.contains(&true) { 0 } else { 1 };
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let timeout = (!self.clients.is_empty()).then_some(&timeout);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "the control socket cannot be waited for, and ends");
                return None;
            }
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let [stopped, new, clients @ ..] = &*ready else { return None };
        let clients = clients.iter().zip(lines).map(|(ready, line)| *ready || line);
        (!stopped).then(|| (*new, clients.collect()))
    }

    /// Accepts one client. When all places are taken, the client that was idle longest makes room.
    fn accept(&mut self) {
        let stream = match self.socket.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(error) => {
                tracing::warn!(%error, "a client of the control socket cannot be accepted");
                // Without descriptors the socket stays ready: no busy loop.
                thread::sleep(Duration::from_millis(100));
                return;
            }
        };
        self.counters.accepted.fetch_add(1, Relaxed);
        if self.clients.len() >= MAX_CLIENTS {
            self.counters.dropped.fetch_add(1, Relaxed);
            let idle = self.clients.iter().enumerate().max_by_key(|(_, client)| client.idle());
            match idle {
                Some((place, client)) if client.idle() > YIELD_AFTER => drop(self.clients.swap_remove(place)),
                _ => return,
            }
        }
        match Connection::new(stream) {
            Ok(client) => self.clients.push(client),
            Err(error) => tracing::warn!(%error, "a client of the control socket cannot be served"),
        }
    }

    /// Reads from a client or writes to it. Returns whether its connection goes on.
    fn serve(&mut self, client: &mut Connection) -> bool {
        if client.is_writing() {
            // A line that was read meanwhile has its turn in the next round.
            return client.write();
        }
        let (answer, closes) = match client.read() {
            Input::Partial => return true,
            Input::Closed => return false,
            Input::Line(line) => (self.answer(&line), false),
            Input::TooLong => {
                self.counters.malformed.fetch_add(1, Relaxed);
                let message = format!("the line is longer than {MAX_REQUEST} octets: send shorter ones");
                (Outcome::Error(Refusal::malformed(message)), true)
            }
        };
        match line(&AnswerLine { version: VERSION, outcome: answer }) {
            Ok(line) => client.answer(line, closes),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                return false;
            }
        }
        client.write()
    }

    fn answer(&mut self, line: &[u8]) -> Outcome {
        self.counters.requests.fetch_add(1, Relaxed);
        match parse_request(line) {
            Ok(request) => match self.handler.handle(request) {
                Ok(answer) => Outcome::Answer(answer),
                Err(refusal) => Outcome::Error(refusal),
            },
            Err(refusal) => {
                self.counters.malformed.fetch_add(1, Relaxed);
                Outcome::Error(refusal)
            }
        }
    }
}
