//! The files of `--out`: the packets that each interface transmitted.

use anyhow::{Context, bail};
use mgm::plane::Port;
use mgm::plane::capture::CaptureWriter;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Duration;

/// One file for each port.
pub(crate) struct Output {
    files: Vec<CaptureWriter<BufWriter<File>>>,
}

impl Output {
    /// Creates the directory if it is missing, and a file for each port. The capture itself is never overwritten.
    pub(crate) fn create(directory: &Path, ports: &[Port], capture: &Path) -> anyhow::Result<Output> {
        fs::create_dir_all(directory)
            .with_context(|| format!("--out {}: the directory cannot be created", directory.display()))?;
        let mut taken = HashSet::new();
        let capture = fs::canonicalize(capture).ok();
        let files = ports.iter().map(|port| {
            let path = directory.join(file_name(&port.name, &mut taken));
            if capture.is_some() && fs::canonicalize(&path).ok() == capture {
                bail!("--out: {} is the capture itself; choose another directory", path.display());
            }
            let file = File::create(&path).map(BufWriter::new);
            file.and_then(|file| CaptureWriter::new(file, &port.name, port.link, Some(port.mac)))
                .with_context(|| format!("--out: {} cannot be written", path.display()))
        });
        Ok(Output { files: files.collect::<Result<_, _>>()? })
    }

    pub(crate) fn write(&mut self, port: usize, time: Duration, packet: &[u8]) -> io::Result<()> {
        self.files[port].write(time, packet)
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.files.into_iter().try_for_each(|file| file.finish().map(drop))
    }
}

/// Returns a name that is valid on every file system. Every character but letters, digits, dots, dashes and underscores
/// becomes an underscore. A name that is taken already gets a number.
fn file_name(name: &str, taken: &mut HashSet<String>) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let stem: String = name.chars().map(plain).take(60).collect();
    // A leading dot would make a hidden file or name a directory.
    let stem = if stem.starts_with('.') { format!("_{stem}") } else { stem };
    let mut file = format!("{stem}.pcapng");
    let mut number = 2;
    while !taken.insert(file.to_lowercase()) {
        file = format!("{stem}-{number}.pcapng");
        number += 1;
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_become_file_names() {
        let mut taken = HashSet::new();
        let mut name = |name: &str| file_name(name, &mut taken);
        assert_eq!(name("eth0.7"), "eth0.7.pcapng");
        assert_eq!(name("a/b"), "a_b.pcapng");
        assert_eq!(name("a:b"), "a_b-2.pcapng");
        assert_eq!(name("A_B"), "A_B-3.pcapng");
        assert_eq!(name("../x"), "_.._x.pcapng");
        assert_eq!(name(&"é".repeat(500)), format!("{}.pcapng", "é".repeat(60)));
    }
}
