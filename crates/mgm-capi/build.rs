//! How libmgm.so is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") {
        // The name that programs are linked with: while the major version is 0, every minor version breaks with the last.
        let version = |part| std::env::var(format!("CARGO_PKG_VERSION_{part}")).unwrap_or_default();
        let soname = match version("MAJOR").as_str() {
            "0" => format!("libmgm.so.0.{}", version("MINOR")),
            major => format!("libmgm.so.{major}"),
        };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // Its thread, and what threads keep of their own, must not outlive its code: once loaded it stays.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
