//! The crate `dynload-guest`, in a sandbox.

use super::build::{Toolchain, source};
use dynload_caps::imports::{self, VAIS};
use dynload_sandbox::{
    Capabilities, Console, ConsoleOutput, Engine, ErrorKind, Instance, Limits, Module, Sandbox, Stream,
};

/// Uses every function. `#![forbid(unsafe_code)]` holds for what the macro expands to as well.
const EVERYTHING: &str = r#"
    #![forbid(unsafe_code)]
    use dynload_guest::*;
    use std::time::Duration;

    export_bytes!(everything, |name: &str, seed: &[u8]| -> Result<String, Box<dyn std::error::Error>> {
        let start = now_ms();
        sleep(Duration::from_millis(2));
        if now_ms() < start + 2 {
            return Err("no sleep".into());
        }
        print("no line break, ");
        println("größe");
        print("");
        log(Level::Trace, "t");
        log(Level::Error, "e");
        let _ = random();
        if !(0..100).map(|_| random_range(-3..4)).all(|number| (-3..4).contains(&number)) {
            return Err("out of range".into());
        }
        let value = config_get(name).ok_or_else(|| format!("`{name}` is not set"))?;
        Ok(format!("{value} {seed:?}"))
    });
    export_bytes!(nothing, || -> Result<&'static [u8], std::convert::Infallible> { Ok(b"\xff\0") });
    export_bytes!(same, |bytes: &[u8]| -> Result<&[u8], String> { Ok(bytes) });
    export_bytes!(panics, |bytes: &[u8]| -> Result<Vec<u8>, String> { panic!("{bytes:?}") });
    export_bytes!(empty_range, |_bytes: &[u8]| -> Result<String, String> {
        Ok(random_range(4..4).to_string())
    });
"#;

fn plugin() -> Option<Instance> {
    let module = Module::new(&Engine::default(), source(Toolchain::Rust, EVERYTHING)?).unwrap();
    let mut imported: Vec<(&str, String)> = module
        .imports()
        .map(|import| {
            assert_eq!(import.module, VAIS);
            (import.name, import.ty.func().unwrap().to_string())
        })
        .collect();
    imported.sort();
    let vais = imports::all().filter(|import| import.module == VAIS);
    let expected: Vec<_> = vais
        .map(|import| (import.name, import.signature.to_owned()))
        .collect();
    assert_eq!(imported, expected);
    let sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::CONSOLE | Capabilities::TIME | Capabilities::RANDOM)
        .with_console(Console::new(ConsoleOutput::Buffer))
        .with_plugin_config([("key", "wert ß"), ("empty", "")]);
    Some(sandbox.instantiate(&module).unwrap())
}

#[test]
fn every_function_of_the_crate_works() {
    let Some(mut plugin) = plugin() else { return };
    let result = plugin.call_bytes("everything", &[b"key", b"ab"]).unwrap();
    assert_eq!(String::from_utf8(result).unwrap(), "wert ß [97, 98]");
    assert_eq!(
        plugin.take_output(Stream::Out),
        "no line break, größe\n".as_bytes()
    );
    assert_eq!(plugin.take_output(Stream::Err), b"trace: t\nerror: e\n");
    assert_eq!(plugin.call_bytes("everything", &[b"empty", b""]).unwrap(), b" []");
    let error = plugin.call_bytes("everything", &[b"none", b""]).unwrap_err();
    assert_eq!(error.to_string(), "`everything` failed: `none` is not set");
    assert_eq!(plugin.call_bytes("nothing", &[]).unwrap(), b"\xff\0");
    assert_eq!(plugin.call_bytes("same", &[b"\xffx"]).unwrap(), b"\xffx");
}

#[test]
fn an_argument_that_is_not_utf8_is_the_hosts_error() {
    let Some(mut plugin) = plugin() else { return };
    let error = plugin.call_bytes("everything", &[b"k\xff", b""]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`everything` failed: the argument is not UTF-8 (from byte 1)"
    );
    assert!(plugin.poisoned_by().is_none());
}

#[test]
fn a_panic_is_a_trap() {
    let Some(mut plugin) = plugin() else { return };
    for export in ["panics", "empty_range"] {
        let error = plugin.call_bytes(export, &[b""]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error}");
        plugin.reset().unwrap();
    }
}
