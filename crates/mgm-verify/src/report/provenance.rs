//! Where and when a report was made.

use super::Table;
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// The date, the version, the host and the processors of a run.
#[derive(Clone, Debug)]
pub struct Provenance {
    began: SystemTime,
    version: &'static str,
}

impl Provenance {
    /// Returns the provenance of a run of program `version` that begins now.
    #[must_use]
    pub fn now(version: &'static str) -> Provenance {
        Provenance { began: SystemTime::now(), version }
    }

    /// Returns one row for each fact.
    #[must_use]
    pub fn table(&self) -> Table {
        let row = |fact: &str, value: String| vec![fact.to_owned(), value];
        let rows = vec![
            row("started", utc(self.began)),
            row("version", format!("mgm {}", self.version)),
            row("host", host()),
            row("processors", processors()),
        ];
        Table::new(&["", ""], rows)
    }
}

fn host() -> String {
    let read = |file: &str| fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
    let name = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown name".to_owned());
    let system = match read("/proc/sys/kernel/osrelease") {
        Some(release) => format!("{} {release}", std::env::consts::OS),
        None => std::env::consts::OS.to_owned(),
    };
    format!("{name}, {system}, {}", std::env::consts::ARCH)
}

fn processors() -> String {
    let number = thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    match model {
        Some((_, model)) => format!("{number} × {}", model.trim()),
        None => number.to_string(),
    }
}

/// Returns a time as 2026-11-30 14:05:06 UTC.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Counts in years that begin in March, so that a leap day is the last day of its year.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let dates = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (4_102_444_800, "2100-01-01 00:00:00 UTC"),
        ];
        for (seconds, text) in dates {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
