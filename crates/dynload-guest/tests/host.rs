//! The crate where there is no host: it compiles, and its functions panic.
#![cfg(feature = "alloc")]

use std::panic::catch_unwind;

use dynload_guest::{Argument, Level, config_get, export_bytes};

export_bytes!(shout, |text: &str| -> Result<String, String> { Ok(shout(text)) });

// Does not replace `read` of the C library, which the test needs.
export_bytes!(read, |_bytes: &[u8]| -> Result<Vec<u8>, String> {
    Ok(Vec::new())
});

fn shout(text: &str) -> String {
    text.to_uppercase()
}

#[test]
fn a_plugin_can_test_what_uses_no_import() {
    assert_eq!(shout("größe"), "GRÖSSE");
    assert!(std::fs::read_to_string(file!().replace("crates/dynload-guest/", "")).is_ok());
}

#[test]
fn imports_panic() {
    let message = |panics: fn()| {
        let payload = catch_unwind(panics).unwrap_err();
        payload.downcast_ref::<&str>().map(|text| (*text).to_owned())
    };
    let calls: [(fn(), &str); 4] = [
        (|| dynload_guest::println("x"), "println"),
        (|| dynload_guest::log(Level::Info, "x"), "log"),
        (|| drop(config_get("x")), "config_get"),
        (|| _ = dynload_guest::now_ms(), "now_ms"),
    ];
    for (call, name) in calls {
        let expected = format!("`vais.{name}` exists only for WebAssembly");
        assert_eq!(message(call), Some(expected));
    }
}

#[test]
fn arguments_are_bytes_or_texts() {
    assert_eq!(<&[u8]>::from_bytes(b"\xff"), Ok(&b"\xff"[..]));
    assert_eq!(<&str>::from_bytes("ß".as_bytes()), Ok("ß"));
    let error = <&str>::from_bytes(b"ab\xff").unwrap_err();
    assert_eq!(error, "the argument is not UTF-8 (from byte 2)");
}
