//! Checks that many passes count a multiple of one pass.

use super::Finding;
use crate::report::grouped;
use serde_json::Value;

/// The keys that depend only on the capture and on the number of passes.
const KEYS: [&str; 8] = [
    "packets",
    "octets",
    "forwarded_packets",
    "copies",
    "not_forwarded",
    "interfaces",
    "entries",
    "memberships",
];

/// Compares the counts of a run with those of one pass without churn.
pub(super) fn check(one_pass: &Value, counted: &Value, packets: u64, passes: u64) -> Finding {
    let what = "every count is a multiple of one pass";
    let difference = KEYS.iter().find_map(|key| difference(key, &one_pass[*key], &counted[*key], passes));
    match difference {
        None => {
            let found =
                format!("{} packets in {} passes, all with equal counts", grouped(packets), grouped(passes));
            Finding { what, holds: true, found }
        }
        Some(found) => Finding { what, holds: false, found },
    }
}

/// Returns the first count that is not `passes` times that of one pass.
fn difference(place: &str, one_pass: &Value, counted: &Value, passes: u64) -> Option<String> {
    match (one_pass, counted) {
        (Value::Number(once), Value::Number(counted)) => {
            let expected = once.as_u64()?.saturating_mul(passes);
            (counted.as_u64() != Some(expected))
                .then(|| format!("{place}: {counted} instead of {passes} × {once} = {expected}"))
        }
        (Value::Array(one_pass), Value::Array(counted)) if one_pass.len() == counted.len() => {
            (one_pass.iter().zip(counted)).enumerate().find_map(|(at, (one_pass, counted))| {
                difference(&format!("{place}[{at}]"), one_pass, counted, passes)
            })
        }
        (Value::Object(one_pass), Value::Object(counted)) if one_pass.len() == counted.len() => {
            one_pass.iter().find_map(|(key, one_pass)| {
                let counted = counted.get(key).unwrap_or(&Value::Null);
                difference(&format!("{place}.{key}"), one_pass, counted, passes)
            })
        }
        (one_pass, counted) => {
            (one_pass != counted).then(|| format!("{place}: {counted} instead of {one_pass}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_extra_packet_in_a_thousand_passes_is_found() {
        let one_pass = json!({"copies": 7, "entries": [{"group": "233.252.0.1", "packets": 3}]});
        let counted =
            |packets: u64| json!({"copies": 7000, "entries": [{"group": "233.252.0.1", "packets": packets}]});
        assert_eq!(difference("all", &one_pass, &counted(3000), 1000), None);
        for wrong in [2999, 3001] {
            let found = difference("all", &one_pass, &counted(wrong), 1000).unwrap();
            let expected = format!("all.entries[0].packets: {wrong} instead of 1000 × 3 = 3000");
            assert_eq!(found, expected);
        }
        let another = json!({"copies": 7000, "entries": [{"group": "233.252.0.2", "packets": 3000}]});
        assert!(difference("all", &one_pass, &another, 1000).unwrap().contains("233.252.0.2"));
        assert!(difference("all", &one_pass, &json!({"copies": 7000, "entries": []}), 1000).is_some());
    }
}
