//! Whether so many passes count exactly so many times one.

use super::judge::Verdict;
use crate::report::Report;
use crate::tables::grouped;
use serde_json::Value;

/// What depends on nothing but the capture and the number of passes.
const KEYS: [&str; 8] = [
    "packets",
    "bytes",
    "forwarded_packets",
    "copies",
    "not_forwarded",
    "interfaces",
    "entries",
    "memberships",
];

/// Compares a run of so many passes to one pass with nobody else about.
pub(crate) fn judge(quiet: &Report, soaked: &Report, passes: u64) -> Verdict {
    let what = "every count is what the capture makes of it";
    let difference = match (serde_json::to_value(quiet), serde_json::to_value(soaked)) {
        (Ok(quiet), Ok(soaked)) => {
            KEYS.iter().find_map(|key| difference(key, &quiet[*key], &soaked[*key], passes))
        }
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
    };
    match difference {
        None => {
            let found = format!(
                "{} packets in {} passes, each as the one before",
                grouped(soaked.packets),
                grouped(passes)
            );
            Verdict { what, holds: true, found }
        }
        Some(found) => Verdict { what, holds: false, found },
    }
}

/// The first difference between what was counted and so many times what one pass counts.
fn difference(place: &str, quiet: &Value, soaked: &Value, passes: u64) -> Option<String> {
    match (quiet, soaked) {
        (Value::Number(once), Value::Number(counted)) => {
            let expected = once.as_u64()?.saturating_mul(passes);
            (counted.as_u64() != Some(expected))
                .then(|| format!("{place}: {counted} instead of {passes} times {once}, which is {expected}"))
        }
        (Value::Array(quiet), Value::Array(soaked)) if quiet.len() == soaked.len() => {
            (quiet.iter().zip(soaked)).enumerate().find_map(|(at, (quiet, soaked))| {
                difference(&format!("{place}[{at}]"), quiet, soaked, passes)
            })
        }
        (Value::Object(quiet), Value::Object(soaked)) if quiet.len() == soaked.len() => {
            quiet.iter().find_map(|(key, quiet)| {
                let soaked = soaked.get(key).unwrap_or(&Value::Null);
                difference(&format!("{place}.{key}"), quiet, soaked, passes)
            })
        }
        (quiet, soaked) => (quiet != soaked).then(|| format!("{place}: {soaked} instead of {quiet}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_packet_too_many_in_one_of_a_thousand_passes_is_found() {
        let quiet = json!({"copies": 7, "entries": [{"group": "233.252.0.1", "packets": 3}]});
        let soaked =
            |packets: u64| json!({"copies": 7000, "entries": [{"group": "233.252.0.1", "packets": packets}]});
        assert_eq!(difference("all", &quiet, &soaked(3000), 1000), None);
        for wrong in [2999, 3001] {
            let found = difference("all", &quiet, &soaked(wrong), 1000).unwrap();
            assert!(
                found.starts_with(&format!("all.entries[0].packets: {wrong} instead of 1000 times 3")),
                "{found}"
            );
        }
        let another = json!({"copies": 7000, "entries": [{"group": "233.252.0.2", "packets": 3000}]});
        assert!(difference("all", &quiet, &another, 1000).unwrap().contains("233.252.0.2"));
        assert!(difference("all", &quiet, &json!({"copies": 7000, "entries": []}), 1000).is_some());
    }
}
