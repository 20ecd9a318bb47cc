//! The machine and the versions that a report was made with.

use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) rustc: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// The load average of the minute before the run.
    pub(crate) load: String,
    pub(crate) versions: BTreeMap<String, String>,
}

/// The packages with versions in the report.
const PARTS: [&str; 11] = [
    "concurrent-slotmap",
    "crossbeam-epoch",
    "dashmap",
    "foldhash",
    "hashbrown",
    "idr-ebr",
    "papaya",
    "parking_lot",
    "scc",
    "sharded-slab",
    "slotmap",
];

impl Machine {
    /// Collects the description of this machine.
    pub(crate) fn describe(date: &str, rustc: &str, commit: &str) -> Result<Machine> {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu =
            cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        Ok(Machine {
            date: date.into(),
            commit: commit.into(),
            rustc: rustc.into(),
            cpu: cpu.map_or("unknown", |(_, model)| model).into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().into(),
            versions: versions(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))?,
        })
    }
}

/// Returns the versions of [`PARTS`] that this package depends on.
fn versions(lock: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let lock: toml::Value = toml::from_str(&text).context("Cargo.lock")?;
    let packages =
        lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock names packages")?;
    let field = |package: &toml::Value, field: &str| {
        package.get(field).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let own = packages.iter().find(|package| field(package, "name") == env!("CARGO_PKG_NAME"));
    let own = own.and_then(|own| own.get("dependencies")).and_then(toml::Value::as_array);
    // A dependency is "name", or "name version" where the lock file has several versions.
    let wanted = own.into_iter().flatten().filter_map(toml::Value::as_str).map(|dependency| {
        let (name, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
        let version = match version.split(' ').next() {
            Some("") | None => packages
                .iter()
                .find(|package| field(package, "name") == name)
                .map(|package| field(package, "version")),
            Some(version) => Some(version.to_owned()),
        };
        (name.to_owned(), version.unwrap_or_default())
    });
    Ok(wanted.filter(|(name, _)| PARTS.contains(&name.as_str())).collect())
}
