//! The plugin of docs/plugins.md in Rust.
//!
//! It is the `src/lib.rs` of a crate with `crate-type = ["cdylib"]` that depends on `dynload-guest`:
//! cargo build --release --target wasm32-unknown-unknown

use dynload_guest::{config_get, export_bytes};

// Upper case, of ASCII letters.
export_bytes!(shout, |text: &[u8]| -> Result<Vec<u8>, String> {
    Ok(text.to_ascii_uppercase())
});

// A greeting, by the plugin's configuration.
export_bytes!(greet, |name: &str| -> Result<String, String> {
    let greeting = config_get("greeting").unwrap_or_else(|| "Hello".to_owned());
    Ok(format!("{greeting}, {name}!"))
});

// Always an error.
export_bytes!(refuse, |text: &str| -> Result<&str, String> {
    Err(format!("cannot accept: {text}"))
});

// Two arguments with a space between them.
export_bytes!(join, |first: &str, second: &str| -> Result<String, String> {
    Ok(format!("{first} {second}"))
});
