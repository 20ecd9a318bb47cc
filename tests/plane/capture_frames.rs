//! The classification of each frame before its flow is looked up, for every capture of `tests/data/captures`
//! and the recorded one. `tests/independent/count.py`, which shares no code with the crate, counted the JSON
//! beside each capture.

use mgm::plane::capture::CaptureReader;
use mgm::plane::{Class, Control, Link, MacAddress, classify_cut};
use mgm::wire::gmp::{parse_igmp, parse_mld};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Returns the counts under the keys of the JSON, and whether the capture was read to its end.
fn count(path: &Path) -> (Value, bool) {
    let mut outcomes = BTreeMap::from(
        ["not_multicast", "control", "link_local", "ttl_expired", "malformed", "truncated", "data"]
            .map(|name| (name, 0_u64)),
    );
    let (mut packets, mut octets, mut received) = (0_u64, 0_u64, Vec::new());
    let mut names = Vec::new();
    let mut whole = false;
    if let Ok(mut reader) = CaptureReader::new(BufReader::new(File::open(path).unwrap())) {
        whole = loop {
            let frame = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break true,
                Err(_) => break false,
            };
            packets += 1;
            octets += u64::from(frame.length);
            let interface = usize::try_from(frame.interface).unwrap();
            received.resize(received.len().max(interface + 1), 0_u64);
            // The router's address in one of the captures.
            let is_own = frame.link.sender(frame.octets) == Some(MacAddress([2, 0, 0, 0, 0, 0xbb]));
            if frame.outgoing || is_own || matches!(frame.link, Link::Unknown(_)) {
                continue;
            }
            received[interface] += 1;
            let outcome = match classify_cut(frame.link, frame.octets, frame.cut as usize) {
                Class::Truncated(Some(_)) => "data",
                Class::Truncated(None) => "truncated",
                Class::NotMulticast => "not_multicast",
                Class::Malformed(_) => "malformed",
                Class::Control(Control::Igmp { message, .. }) if parse_igmp(message).is_err() => "malformed",
                Class::Control(Control::Mld { source, destination, message, .. })
                    if parse_mld(message, source, destination).is_err() =>
                {
                    "malformed"
                }
                Class::Control(_) => "control",
                Class::LinkLocal => "link_local",
                Class::TtlExpired => "ttl_expired",
                Class::Data(_) => "data",
            };
            *outcomes.get_mut(outcome).unwrap() += 1;
        };
        names = reader.interfaces().iter().map(|interface| interface.name.to_string()).collect();
    }
    received.resize(names.len(), 0);
    let interfaces: Vec<(String, u64)> = names.into_iter().zip(received).collect();
    (json!({ "packets": packets, "octets": octets, "received": interfaces, "outcomes": outcomes }), whole)
}

/// Returns the same counts from the JSON, which divides the frames that reach the look-up further.
fn counted(path: &Path) -> Value {
    let report: Value = serde_json::from_reader(BufReader::new(File::open(path).unwrap())).unwrap();
    let reasons = &report["not_forwarded"];
    let mut outcomes: BTreeMap<&str, u64> =
        ["not_multicast", "control", "link_local", "ttl_expired", "malformed", "truncated"]
            .into_iter()
            .map(|name| (name, reasons[name].as_u64().unwrap()))
            .collect();
    let data = [&report["forwarded_packets"], &reasons["wrong_interface"], &reasons["no_receivers"]];
    outcomes.insert("data", data.into_iter().map(|number| number.as_u64().unwrap()).sum());
    let interfaces: Vec<(&str, u64)> = report["interfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| (each["name"].as_str().unwrap(), each["received"].as_u64().unwrap()))
        .collect();
    json!({
        "packets": report["packets"], "octets": report["octets"], "received": interfaces, "outcomes": outcomes,
    })
}

#[test]
fn every_frame_is_classified_as_by_independent_means() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut captures: Vec<(PathBuf, PathBuf)> = std::fs::read_dir(root.join("tests/data/captures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"))
        .map(|path| (path.clone(), PathBuf::from(format!("{}.json", path.display()))))
        .collect();
    assert!(captures.len() >= 40, "only {} captures", captures.len());
    captures.push((root.join("examples/capture/router.pcapng"), root.join("examples/capture/expected.json")));

    for (capture, expected) in captures {
        let name = capture.file_name().unwrap().to_str().unwrap();
        let (found, whole) = count(&capture);
        assert_eq!(found, counted(&expected), "{name}");
        let broken = ["cut", "garbage", "empty"].iter().any(|start| name.starts_with(start));
        assert_eq!(whole, !broken, "{name}: read to its end");
    }
}
