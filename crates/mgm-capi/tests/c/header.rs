//! The headers in `include` are what cbindgen makes of the sources. To make them again:
//! `MGM_HEADERS=write cargo test -p mgm-capi --test c header`.

use cbindgen::{Builder, Config};
use std::path::Path;

/// The longest line of a header.
const WIDTH: usize = 120;

/// Makes a header from these sources, and compares it with the file.
fn check(header: &str, sources: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::from_file(root.join("include").join(header).with_extension("toml")).unwrap();
    let sources = sources.iter().map(|source| root.join("src").join(source));
    let builder = sources.fold(Builder::new().with_config(config), Builder::with_src);
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = for_c(&String::from_utf8(made).unwrap());

    let path = root.join("include").join(header);
    if std::env::var("MGM_HEADERS").is_ok_and(|what| what == "write") {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let first = made.lines().zip(present.lines()).position(|(made, present)| made != present);
    assert!(
        made == present,
        "include/{header} is out of date (from line {}): MGM_HEADERS=write cargo test -p mgm-capi --test c header",
        first.unwrap_or_else(|| made.lines().count().min(present.lines().count())) + 1
    );
}

/// Adapts the output of cbindgen to C89: comments of one line, and no comments that begin with two slashes.
///
/// The sections on safety go: in C their content is a matter of course.
fn for_c(header: &str) -> String {
    let mut lines = header.lines();
    let mut adapted = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "/**" && line.trim() != "/*" {
            adapted.push(line.replace(" // __cplusplus", "").replace("  // extern \"C\"", ""));
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let body = lines.by_ref().take_while(|line| line.trim() != "*/");
        let body: Vec<&str> = body.map(|line| line.trim().trim_start_matches('*')).collect();
        adapted.extend(comment(indent, &with_spaces(&body)));
    }
    adapted.join("\n").trim_end().to_owned() + "\n"
}

/// Puts a space before the text of each line, and two more before further lines of a list item, which cbindgen leaves out.
/// The comments of the configuration have them.
fn with_spaces(body: &[&str]) -> Vec<String> {
    if body.iter().all(|line| line.is_empty() || line.starts_with(' ')) {
        return body.iter().map(|line| (*line).to_owned()).collect();
    }
    let mut in_item = false;
    let spaced = body.iter().map(|line| {
        in_item = line.starts_with("- ") || in_item && !line.is_empty();
        match *line {
            "" => String::new(),
            line if in_item && !line.starts_with("- ") => format!("   {line}"),
            line => format!(" {line}"),
        }
    });
    spaced.collect()
}

/// Returns the lines of a comment.
fn comment(indent: &str, body: &[String]) -> Vec<String> {
    let safety = body.iter().position(|line| line.trim() == "# Safety").unwrap_or(body.len());
    let mut body = &body[..safety];
    while let [rest @ .., last] = body
        && last.trim().is_empty()
    {
        body = rest;
    }
    if let [only] = body
        && indent.len() + "/*".len() + only.len() + " */".len() <= WIDTH
    {
        return vec![format!("{indent}/*{only} */")];
    }
    let lines = body.iter().map(|line| format!("{indent} *{line}"));
    [format!("{indent}/*")].into_iter().chain(lines).chain([format!("{indent} */")]).collect()
}

#[test]
fn mgm_h_is_what_cbindgen_makes() {
    check(
        "mgm.h",
        &[
            "windows.rs",
            "protocol_config.rs",
            "mib_types.rs",
            "lifecycle.rs",
            "clients.rs",
            "entries.rs",
            "groups.rs",
        ],
    );
}

#[test]
fn mgm_ext_h_is_what_cbindgen_makes() {
    check("mgm_ext.h", &["ext_types.rs", "ext.rs", "ext_plane.rs", "forward.rs", "ext_clients.rs"]);
}
