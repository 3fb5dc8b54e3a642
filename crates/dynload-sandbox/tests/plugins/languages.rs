//! The plugin of `docs/plugins.md` in each language: the same results.

use std::time::Duration;

use super::build::{ASSEMBLY_SCRIPT, C, Toolchain, documented, source};
use dynload_sandbox::{
    Caller, Capabilities, Engine, Error, ErrorKind, Instance, Limits, Module, Sandbox, Stop,
};

const MIB: usize = 1 << 20;
const MEMORY: u64 = 16 << 20;

fn sandbox() -> Sandbox {
    // Debug builds on loaded machines take seconds for the largest inputs.
    Sandbox::new(
        Limits::DEFAULT
            .with_memory_bytes(MEMORY)
            .with_time(Duration::from_secs(120)),
    )
}

fn module(wasm: &[u8]) -> Module {
    Module::new(&Engine::default(), wasm).unwrap()
}

/// Texts at the ends of pages and of the allocators' units, with characters of several bytes.
fn texts() -> impl Iterator<Item = String> {
    let lengths = [
        0, 1, 15, 16, 17, 64_511, 64_512, 64_513, 65_535, 65_536, 65_537, MIB, 3,
    ];
    lengths.into_iter().map(|len| {
        let mut text = "aZz{`@ größe 🦀 ".repeat(len / 20 + 1);
        while text.len() > len {
            text.pop();
        }
        let rest = "x".repeat(len - text.len());
        text + &rest
    })
}

/// Checks a plugin: every export, with all texts, on one instance.
#[track_caller]
fn check(toolchain: Toolchain) {
    let Some(wasm) = documented(toolchain) else { return };
    let module = module(&wasm);
    assert!(module.required_capabilities().is_empty());
    let mut plugin = sandbox().instantiate(&module).unwrap();
    for text in texts() {
        assert_eq!(
            plugin.call_str("shout", &text).unwrap(),
            text.to_ascii_uppercase()
        );
        assert_eq!(
            plugin.call_str("greet", &text).unwrap(),
            format!("Hello, {text}!")
        );
        let joined = plugin.call_bytes("join", &[text.as_bytes(), b"end"]).unwrap();
        assert_eq!(joined, format!("{text} end").as_bytes());
        let joined = plugin.call_bytes("join", &[b"", text.as_bytes()]).unwrap();
        assert_eq!(joined, format!(" {text}").as_bytes());
        let error = plugin.call_str("refuse", &text).unwrap_err();
        let ErrorKind::Failed(refused) = error.kind() else {
            panic!("{error}")
        };
        // The host cuts the text of an error.
        let expected = format!("cannot accept: {text}");
        assert!(
            expected.starts_with(refused.trim_end_matches('\u{fffd}'))
                && refused.len() >= expected.len().min(65_000),
            "{} of {} bytes",
            refused.len(),
            expected.len()
        );
    }
    configured(&module);
    keeps_its_memory(plugin);
}

#[track_caller]
fn configured(module: &Module) {
    let long = "Grüße ".repeat(MIB / 8);
    for greeting in ["", "Guten Tag", &long] {
        let sandbox = sandbox().with_plugin_config([("greeting", greeting), ("greetings", "wrong")]);
        let mut plugin = sandbox.instantiate(module).unwrap();
        for name in ["Anna", ""] {
            assert_eq!(
                plugin.call_str("greet", name).unwrap(),
                format!("{greeting}, {name}!")
            );
        }
    }
}

/// Checks that the memory of a call is used again in the next one.
#[track_caller]
fn keeps_its_memory(mut plugin: Instance) {
    let text = "y".repeat(MIB / 4);
    let mut calls = |count| {
        for _ in 0..count {
            plugin.call_str("greet", &text).unwrap();
        }
        plugin.usage().memory_bytes
    };
    let before = calls(10);
    assert_eq!(calls(20), before);
}

#[test]
fn in_c() {
    check(C);
}

#[test]
fn in_c_without_bulk_memory_and_with_knowledge_of_the_library() {
    check(Toolchain::C(&["-O2"]));
}

#[test]
fn in_c_without_optimization() {
    check(Toolchain::C(&["-O0"]));
}

#[test]
fn in_c_with_a_c_library() {
    check(Toolchain::WasiLibc);
}

#[test]
fn in_cpp() {
    check(Toolchain::Cpp);
}

#[test]
fn in_wat() {
    check(Toolchain::Wat);
}

#[test]
fn in_rust() {
    check(Toolchain::Rust);
}

#[test]
fn in_zig() {
    check(Toolchain::Zig);
}

#[test]
fn in_assembly_script() {
    check(ASSEMBLY_SCRIPT);
}

/// Calls `greet` with more than fits into memory.
fn exceeded(toolchain: Toolchain) -> Option<Error> {
    let module = module(&documented(toolchain)?);
    let limits = sandbox().limits().with_memory_bytes(3 * MIB as u64 / 2);
    let sandbox = sandbox().with_limits(limits);
    let mut plugin = sandbox.instantiate(&module).unwrap();
    let error = plugin.call_str("greet", &"x".repeat(2 * MIB)).unwrap_err();
    plugin.reset().unwrap();
    assert_eq!(plugin.call_str("greet", "you").unwrap(), "Hello, you!");
    Some(error)
}

#[test]
fn too_little_memory_is_an_error_that_the_host_can_explain() {
    let trapping = [C, Toolchain::Wat, Toolchain::Rust, ASSEMBLY_SCRIPT];
    for error in trapping.into_iter().filter_map(exceeded) {
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error}");
        assert!(error.denied_growth().is_some(), "{error}");
    }
    if let Some(error) = exceeded(Toolchain::Zig) {
        assert!(
            matches!(error.kind(), ErrorKind::Failed(text) if text == "OutOfMemory"),
            "{error}"
        );
        assert!(error.denied_growth().is_some(), "{error}");
    }
}

/// As `docs/plugins.md` says.
#[test]
fn a_host_can_define_the_abort_of_assembly_script() {
    let throws =
        "export function fail(length: i32): i32 { if (length > 1) throw new Error('größe'); return 0; }";
    let Some(wasm) = source(Toolchain::AssemblyScript(&[]), throws) else {
        return;
    };
    let module = module(&wasm);
    let error = sandbox().instantiate(&module).unwrap_err();
    assert!(error.to_string().contains("env.abort"), "{error}");
    let mut sandbox = sandbox();
    sandbox.func_wrap(
        "env",
        "abort",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (message, _file, line, column): (i32, i32, i32, i32)| {
            let memory = caller.memory()?;
            let len = memory.slice(message as u32 - 4, 4)?.try_into().unwrap();
            let units = memory.slice(message as u32, u32::from_le_bytes(len))?;
            let units = units.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let message = String::from_utf16(&units.collect::<Vec<u16>>()).unwrap();
            Err::<(), Stop>(Stop::host(std::io::Error::other(format!(
                "{line}:{column}: {message}"
            ))))
        },
    );
    let mut plugin = sandbox.instantiate(&module).unwrap();
    assert_eq!(plugin.call_bytes("fail", &[b"x"]).unwrap(), b"");
    let error = plugin.call_bytes("fail", &[b"xy"]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("1:") && cause.ends_with(": größe"), "{cause}");
}

#[test]
fn the_memory_of_the_c_kit_and_malloc_do_not_overlap() {
    const MIXED: &str = r#"
        #include "dynload_guest.h"
        #include <stdlib.h>
        #include <string.h>

        enum { COUNT = 12 };

        static int32_t mixed(dynload_bytes text) {
            static const size_t sizes[] = {100000, 3, 0, 65536, 17, 200000};
            unsigned char *blocks[COUNT][2];
            for (int n = 0; n < COUNT; n++) {
                size_t size = sizes[n % 6];
                blocks[n][0] = (unsigned char *)malloc(size + 1);
                blocks[n][1] = (unsigned char *)dynload_alloc(size + 1);
                if (!blocks[n][0] || (size_t)blocks[n][1] % 16) return dynload_error(dynload_text("no block"));
                memset(blocks[n][0], 2 * n, size + 1);
                memset(blocks[n][1], 2 * n + 1, size + 1);
            }
            for (int n = 0; n < COUNT; n++)
                for (int kind = 0; kind < 2; kind++)
                    for (size_t at = 0; at <= sizes[n % 6]; at++)
                        if (blocks[n][kind][at] != 2 * n + kind) return dynload_error(dynload_text("overlap"));
            for (int n = 0; n < COUNT; n++) free(blocks[n][0]);
            return dynload_ok(text);
        }
        DYNLOAD_EXPORT_BYTES(mixed);
    "#;
    let Some(wasm) = source(Toolchain::WasiLibc, MIXED) else {
        return;
    };
    let mut plugin = sandbox().instantiate(&module(&wasm)).unwrap();
    let mut calls = |count| {
        for n in 0..count {
            let text = "z".repeat(n % 3 * 50_000);
            assert_eq!(plugin.call_str("mixed", &text).unwrap(), text);
        }
        plugin.usage().memory_bytes
    };
    let before = calls(9);
    assert_eq!(calls(30), before);
}
