//! The round trip over a real socket, and clients that mean harm.

use super::client::{ControlClient, RequestError};
use super::protocol::*;
use super::server::{ControlCounters, ControlServer, ControlSocket, Handler, MAX_CLIENTS};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Answers with many events, or with the request itself as a sentence.
struct Echo;

impl Handler for Echo {
    fn handle(&mut self, request: Request) -> Result<Answer, Refusal> {
        match request {
            Request::Show { what: What::Events, after } => {
                let from: u64 = after.map_or(0, |after| after.parse().unwrap());
                let row =
                    |number| EventRow { number, time: 1, subject: "x".repeat(500), event: String::new() };
                let next = (from < 5000).then(|| (from + 1000).to_string());
                Ok(Answer::Events(Page { rows: (from..from + 1000).map(row).collect(), next }))
            }
            Request::Reload => Err(Refusal::refused("not now")),
            request => Ok(Answer::Changed(vec![serde_json::to_string(&request).unwrap()])),
        }
    }
}

struct Running {
    path: PathBuf,
    counters: Arc<ControlCounters>,
    server: Option<ControlServer>,
}

impl Running {
    fn start(test: &str) -> Running {
        let path = std::env::temp_dir().join(format!("mgm-control-{test}-{}.sock", std::process::id()));
        let server = ControlServer::start(ControlSocket::bind(&path, None).unwrap(), Echo).unwrap();
        Running { path, counters: server.counters(), server: Some(server) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Asks as `mgm show` does, and returns the time that it took.
    fn assert_serves(&self) -> Duration {
        let began = Instant::now();
        let mut client = ControlClient::connect(&self.path).unwrap();
        let answer = client.request(Request::RouteRemove { prefix: network() });
        assert!(matches!(answer, Ok(Answer::Changed(lines)) if lines[0].contains("10.0.0.0/8")));
        began.elapsed()
    }
}

fn network() -> Network {
    Network("10.0.0.0/8".parse().unwrap())
}

/// Sends octets and returns the answer's line, or nothing if the connection was closed.
fn answer(stream: &mut UnixStream, octets: &[u8]) -> String {
    stream.write_all(octets).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn requests_are_written_as_the_page_says() {
    let receiver = Receiver {
        interface: "eth1".to_owned(),
        group: "239.1.1.1".parse().unwrap(),
        source: Some("192.0.2.1".parse().unwrap()),
    };
    let written = [
        (Request::Show { what: What::Clients, after: None }, r#"{"show":{"what":"clients"}}"#),
        (
            Request::Join(receiver.clone()),
            r#"{"join":{"interface":"eth1","group":"239.1.1.1","source":"192.0.2.1"}}"#,
        ),
        (
            Request::Leave(Receiver { source: None, ..receiver }),
            r#"{"leave":{"interface":"eth1","group":"239.1.1.1"}}"#,
        ),
        (
            Request::RouteAdd { prefix: network(), interface: "eth0".to_owned() },
            r#"{"route_add":{"prefix":"10.0.0.0/8","interface":"eth0"}}"#,
        ),
        (Request::RouteRemove { prefix: network() }, r#"{"route_remove":{"prefix":"10.0.0.0/8"}}"#),
        (Request::Reload, r#""reload""#),
    ];
    let page = include_str!("../../../../docs/control-socket.md");
    for (request, text) in written {
        let text = format!(r#"{{"version":1,"request":{text}}}"#);
        assert_eq!(parse_request(text.as_bytes()).unwrap(), request);
        let line = line(&RequestLine { version: VERSION, request }).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("{text}\n"));
        assert!(page.contains(&text), "docs/control-socket.md does not show {text}");
    }
}

#[test]
fn lists_come_in_pages_and_refusals_as_errors() {
    let running = Running::start("pages");
    let mut client = ControlClient::connect(&running.path).unwrap();
    let Ok(Answer::Events(page)) = client.show(What::Events, None) else { panic!("no events") };
    assert!(page.rows.iter().map(|row| row.number).eq(0..6000), "{}", page.rows.len());
    let refused = client.request(Request::Reload);
    assert!(matches!(refused, Err(RequestError::Refused(refusal)) if refusal.message == "not now"));
    running.assert_serves();
}

#[test]
fn garbage_is_answered_and_the_connection_goes_on() {
    let running = Running::start("garbage");
    let mut stream = running.connect();
    for (octets, expected) in [
        (&b"garbage\n"[..], "no request"),
        (b"\n", "no request"),
        (b"\xff\xfe\0\n", "no request"),
        (b"{\"version\":2,\"request\":\"dance\"}\n", "version 2 is not known here: send version 1"),
        (b"{\"version\":1,\"request\":\"dance\"}\n", "unknown variant `dance`"),
        (b"{\"version\":1,\"request\":\"reload\",\"more\":1}\n", "unknown field `more`"),
        (b"{\"version\":1,\"request\":{\"route_remove\":{\"prefix\":\"10.0.0.0/99\"}}}\n", "at most 32 bits"),
    ] {
        let answer = answer(&mut stream, octets);
        assert!(answer.contains("\"kind\":\"malformed\"") && answer.contains(expected), "{answer}");
    }
    assert_eq!(running.counters.malformed.load(Relaxed), 7);
    // A list nested deeper than the parser goes.
    let deep = format!("{}\n", "[".repeat(10_000));
    assert!(answer(&mut stream, deep.as_bytes()).contains("malformed"));
    running.assert_serves();
}

#[test]
fn lines_may_come_in_pieces_and_several_at_once() {
    let running = Running::start("pieces");
    let mut stream = running.connect();
    let text = b"{\"version\":1,\"request\":{\"route_remove\":{\"prefix\":\"10.0.0.0/8\"}}}\n";
    for octet in &text[..text.len() - 1] {
        stream.write_all(&[*octet]).unwrap();
    }
    running.assert_serves();
    assert!(answer(&mut stream, b"\n").contains("10.0.0.0/8"));
    stream.write_all(&text.repeat(50)).unwrap();
    let lines = BufReader::new(stream).lines().take(50).map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.contains("10.0.0.0/8")).count(), 50);
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let running = Running::start("long");
    let mut stream = running.connect();
    // The router may close before everything is sent.
    _ = stream.write_all(&vec![b'x'; MAX_REQUEST + 4096]);
    let mut answer = String::new();
    _ = BufReader::new(&stream).read_line(&mut answer);
    assert!(answer.contains("longer than 16384 octets"), "{answer}");
    assert!(stream.read(&mut [0; 10]).map_or(true, |length| length == 0), "the connection ends");
    running.assert_serves();
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_harms_no_other() {
    let running = Running::start("slow");
    let mut slow = running.connect();
    // Each answer has 500 kB, more than a socket holds.
    let events = b"{\"version\":1,\"request\":{\"show\":{\"what\":\"events\"}}}\n";
    slow.write_all(&events.repeat(20)).unwrap();
    for _ in 0..5 {
        let took = running.assert_serves();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    while running.counters.dropped.load(Relaxed) == 0 {
        assert!(Instant::now() < deadline, "the slow client stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(running.counters.requests.load(Relaxed) < 10, "one answer at a time");
}

#[test]
fn more_clients_than_places_give_way_to_new_ones() {
    let running = Running::start("many");
    let idle: Vec<UnixStream> = (0..MAX_CLIENTS).map(|_| running.connect()).collect();
    // The places are taken, and their clients are not idle for long enough yet.
    std::thread::sleep(Duration::from_millis(1500));
    for _ in 0..5 {
        running.assert_serves();
    }
    drop(idle);
    for _ in 0..200 {
        drop(running.connect());
    }
    running.assert_serves();
}

#[test]
fn the_socket_is_for_its_group_and_goes_with_the_server() {
    let mut running = Running::start("mode");
    let metadata = fs::metadata(&running.path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let again = ControlSocket::bind(&running.path, Some(metadata.gid())).unwrap_err();
    assert!(again.to_string().contains("a router answers on"), "{again}");
    drop(running.server.take());
    assert!(!running.path.exists());
    let error = ControlClient::connect(&running.path).unwrap_err();
    assert!(error.to_string().contains("start one with mgm run"), "{error}");
    // What a killed router leaves is replaced; another file is not.
    drop(std::os::unix::net::UnixListener::bind(&running.path).unwrap());
    drop(ControlSocket::bind(&running.path, None).unwrap());
    fs::write(&running.path, "a file").unwrap();
    let error = ControlSocket::bind(&running.path, None).unwrap_err();
    assert!(error.to_string().contains("is no socket"), "{error}");
    fs::remove_file(&running.path).unwrap();
}
