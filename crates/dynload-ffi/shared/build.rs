//! Sets the name under which programs that are linked against the library will look for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    // The ABI may change with each 0.x version; from 1.0 on only with the major version.
    let (major, minor) = (env("CARGO_PKG_VERSION_MAJOR"), env("CARGO_PKG_VERSION_MINOR"));
    let abi = if major == "0" {
        format!("{major}.{minor}")
    } else {
        major
    };
    match os.as_str() {
        "macos" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libdynload.{abi}.dylib");
        }
        "windows" => {}
        _ => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdynload.so.{abi}");
            // It has threads and thread-local destructors, so it must not be unmapped.
            println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
    }
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
