//! The headers in include/ are what cbindgen makes of src/capi. To make them anew:
//! `MGM_HEADERS=write cargo test --test c_header`.

use cbindgen::{Builder, Config};
use std::path::Path;

/// Makes a header from these files of src/capi and compares it with the one that is there.
fn check(header: &str, sources: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::from_file(root.join("include").join(header).with_extension("toml")).unwrap();
    let sources = sources.iter().map(|source| root.join("src").join(source));
    let builder = sources.fold(Builder::new().with_config(config), Builder::with_src);
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = without_safety(&String::from_utf8(made).unwrap());

    let path = root.join("include").join(header);
    if std::env::var("MGM_HEADERS").is_ok_and(|what| what == "write") {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let first = made.lines().zip(present.lines()).position(|(made, present)| made != present);
    assert!(
        made == present,
        "include/{header} is out of date (from line {}): MGM_HEADERS=write cargo test --test c_header",
        first.unwrap_or_else(|| made.lines().count().min(present.lines().count())) + 1
    );
}

/// What Rust wants to have said under "Safety" goes without saying in C.
fn without_safety(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut within = false;
    for line in header.lines() {
        within = line.starts_with("//") && (within || line == "// # Safety");
        if within && kept.last() == Some(&"//") {
            kept.pop();
        } else if !within {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

#[test]
fn mgm_h_is_up_to_date() {
    check("mgm.h", &["windows.rs", "process.rs", "clients.rs", "entries.rs", "groups.rs"]);
}

#[test]
fn mgm_ext_h_is_up_to_date() {
    check("mgm_ext.h", &["ext_types.rs", "ext.rs", "forward.rs", "families.rs"]);
}
