//! Sets the linker arguments of libmgm.so.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") {
        // The soname: while the major version is 0, a new minor version is incompatible.
        let version = |part| std::env::var(format!("CARGO_PKG_VERSION_{part}")).unwrap_or_default();
        let soname = match version("MAJOR").as_str() {
            "0" => format!("libmgm.so.0.{}", version("MINOR")),
            major => format!("libmgm.so.{major}"),
        };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // The library stays loaded after dlclose: its thread, and destructors of thread-locals, need its code.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
