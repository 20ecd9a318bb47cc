//! The configuration file of `mgm forward`: any text gives a consistent configuration, or an error that names the line.
#![no_main]
#![allow(dead_code, reason = "the program uses the rest of it")]

#[path = "../../crates/mgm-cli/src/config.rs"]
mod config;

#[path = "../../crates/mgm-cli/src/terminal"]
mod terminal {
    pub mod plain;
}

use config::{Config, ProtocolName};
use libfuzzer_sys::fuzz_target;
use mgm::manager::Membership;
use std::collections::HashSet;

/// Returns whether a message names a line of the file: as `file:line`, or in the form of the toml crate.
fn names_a_place(message: &str, lines: usize) -> bool {
    let line = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().is_ok_and(|line: usize| (1..=lines).contains(&line))
    };
    let Some(rest) = message.strip_prefix("file.toml:") else { return false };
    line(rest) || rest.strip_prefix(" TOML parse error at line ").is_some_and(line)
}

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let lines = 1 + text.matches('\n').count();
    let config = match Config::parse("file.toml", text) {
        Ok(config) => config,
        Err(error) => {
            let message = format!("{error:#}");
            assert!(names_a_place(&message, lines), "{message}");
            return;
        }
    };
    assert_eq!(Config::parse("file.toml", text).unwrap(), config, "the second parse differs");
    let names: HashSet<&str> = config.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(names.len(), config.interfaces.len());
    for interface in &config.interfaces {
        assert!(names_a_place(&interface.place, lines), "{}", interface.place);
    }
    for (name, membership) in &config.joins {
        let interface = config.interfaces.iter().find(|interface| interface.name == *name).unwrap();
        assert!(interface.protocols.contains(&ProtocolName::Static));
        assert!(membership.group().unwrap().is_multicast());
        assert!(!matches!(membership, Membership::Everything(_)));
    }
    let mut prefixes = HashSet::new();
    for (prefix, name) in &config.routes {
        assert!(names.contains(name.as_str()) && prefix.trunc() == *prefix && prefixes.insert(*prefix));
    }
});
