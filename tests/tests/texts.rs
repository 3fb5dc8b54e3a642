//! Names chosen by plugins, manifests and files, in every error of all crates: escaped and shortened.

use std::error::Error;
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use dynload_ffi::flat::*;
use dynload_hotreload::{LoadError, ReloadError, StartError, Step, WatchError};
use dynload_native::descriptor::DescriptorError;
use dynload_native::inspect::HeaderError;
use dynload_native::staging::StageError;
use dynload_sandbox::{Access, DirScope, Engine, ErrorKind, Limits, Module, Sandbox, Scopes, Value};

/// The maximum size of an error with its causes, in bytes.
const MOST: usize = 16 * 1024;

/// Returns a long text with terminal escapes, line breaks, control characters, and characters that reorder or hide text.
fn hostile() -> String {
    format!(
        "a\x1b[2J\x1b]0;owned\x07\n\r\t\0\u{9b}31m\u{202e}\u{200b}\u{2066}{}",
        "é".repeat(500_000)
    )
}

/// Returns the same as a path that is not UTF-8.
fn hostile_path() -> PathBuf {
    OsString::from_vec([b"/\xff\xfe", hostile().as_bytes()].concat()).into()
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Returns the text of an error and its causes, after checking that it is safe to show. It may have several lines if `lines` is
/// true.
#[track_caller]
fn shown(error: &dyn Error, lines: bool) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    check(&text, lines);
    // What a program prints whose `main` returns the error. Long causes are cut again.
    let debug = format!("{error:?}");
    check(&debug, lines);
    assert_eq!(debug, dynload_diagnostics::with_causes(error).to_string());
    text
}

#[track_caller]
fn check(text: &str, lines: bool) {
    assert!(!text.is_empty());
    assert!(text.len() <= MOST, "{} bytes: {}", text.len(), &text[..200]);
    let harmful = text.chars().find(|c| !(is_harmless(*c) || lines && *c == '\n'));
    assert_eq!(harmful, None, "{text:?}");
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[test]
fn every_error_of_the_native_crate() {
    use dynload_native::Error;
    let path = hostile_path;
    let malformed = || HeaderError::Malformed {
        part: "DT_NEEDED",
        problem: hostile(),
    };
    let architecture = HeaderError::WrongArchitecture {
        found: hostile(),
        expected: "x86_64",
    };
    let target = DescriptorError::Target {
        found: "\x1b[2J\n\u{202e}".to_owned(),
        expected: "x86_64",
    };
    let directory = StageError::Directory {
        path: path(),
        source: not_found(),
    };
    let write = || StageError::Write {
        path: path(),
        source: not_found(),
    };
    for error in [
        &malformed() as &dyn std::error::Error,
        &architecture,
        &target,
        &directory,
        &write(),
    ] {
        shown(error, false);
    }
    let errors = [
        Error::Name {
            name: hostile(),
            problem: "it has a NUL",
        },
        Error::Stage {
            path: path(),
            source: write(),
        },
        Error::Header {
            path: path(),
            source: malformed(),
        },
        Error::Descriptor {
            path: path(),
            source: target,
        },
        Error::Init {
            path: path(),
            code: 1,
            message: None,
        },
        Error::Init {
            path: path(),
            code: 1,
            message: Some(hostile()),
        },
        Error::NullSymbol {
            path: path(),
            name: hostile(),
        },
        Error::NotLoaded { path: path() },
        Error::Reentered { path: path() },
    ];
    for error in &errors {
        shown(error, false);
    }
}

#[test]
fn every_error_of_the_hot_reload_crate() {
    let path = hostile_path;
    let load = || LoadError::new(hostile()).with_source(LoadError::new(hostile()));
    let errors = [
        ReloadError::Source {
            path: path(),
            source: not_found(),
        },
        ReloadError::Unstable {
            path: path(),
            waited: Duration::from_secs(1),
        },
        ReloadError::NoBuilder { path: path() },
        ReloadError::BuilderMissing {
            program: hostile(),
            path: path(),
            source: not_found(),
        },
        ReloadError::Builder {
            command: hostile(),
            source: not_found(),
        },
        ReloadError::BuildFailed {
            command: hostile(),
            status: hostile(),
            output: hostile(),
        },
        ReloadError::BuildTimeout {
            command: hostile(),
            limit: Duration::from_secs(1),
            output: hostile(),
        },
        ReloadError::NoArtifact {
            command: hostile(),
            expected: hostile(),
            output: hostile(),
        },
        ReloadError::Staging {
            path: path(),
            source: StageError::Write {
                path: path(),
                source: not_found(),
            },
        },
        ReloadError::OutputDir {
            path: path(),
            source: not_found(),
        },
        ReloadError::Load(load()),
        ReloadError::Restore(load()),
        ReloadError::Panicked {
            step: Step::Load,
            message: hostile(),
        },
    ];
    for error in &errors {
        shown(error, false);
        let report = error.report();
        assert!(report.len() < 10 * MOST, "{}", report.len());
        assert!(
            report.chars().all(|c| is_harmless(c) || matches!(c, '\n' | '\t')),
            "{error}"
        );
    }
    shown(
        &StartError::Path {
            path: path(),
            source: not_found(),
        },
        false,
    );
    let watch = WatchError::Backend {
        path: Some(path()),
        source: Box::new(not_found()),
    };
    shown(&StartError::Watch(watch), false);
}

#[test]
fn compiler_output_keeps_its_lines_and_its_end() {
    let output = format!(
        "{}error: \x1b[1mno\tsuch thing\x1b[0m\n  here\n",
        "warning\n".repeat(100_000)
    );
    let error = ReloadError::BuildFailed {
        command: "cc x.c".into(),
        status: "exit status: 1".into(),
        output,
    };
    let report = error.report();
    assert!(
        report.ends_with("error: \\u{1b}[1mno\tsuch thing\\u{1b}[0m\n  here"),
        "{report}"
    );
    assert!(
        report.contains("bytes left out]\n") && report.len() < 70_000,
        "{}",
        report.len()
    );
}

#[test]
fn every_error_of_the_capabilities_crate() {
    use dynload_caps::{Access, Capabilities, DirScope, EnvScope, NetScope, ProgramScope};
    shown(&hostile().parse::<Capabilities>().unwrap_err(), false);
    shown(&hostile().parse::<Access>().unwrap_err(), false);
    for pattern in [
        hostile(),
        format!("{}:1", hostile()),
        format!("[{}]:1", hostile()),
        format!("h:{}", hostile()),
    ] {
        shown(&pattern.parse::<NetScope>().unwrap_err(), false);
    }
    for host in [hostile(), format!("/{}", hostile())] {
        shown(
            &DirScope::new(&host, hostile(), Access::ReadOnly).unwrap_err(),
            false,
        );
    }
    shown(&EnvScope::host(format!("={}", hostile())).unwrap_err(), false);
    shown(&ProgramScope::new(hostile()).unwrap_err(), false);
}

/// Returns a name as the text format writes it, with every byte escaped.
fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

fn module(text: &str) -> Module {
    Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap()
}

#[test]
fn six_thousand_imports_with_long_names() {
    let name = quoted(&format!("\x1b[2J\n{}", "n".repeat(5_000)));
    let imports: String = (0..6_000)
        .map(|n| format!(r#"(import "{name}" "{n}" (func (param i32))) "#))
        .collect();
    let error = Sandbox::new(Limits::DEFAULT)
        .instantiate(&module(&format!("(module {imports})")))
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MissingImports(all) if all.len() == 6_000));
    assert!(shown(&error, false).contains("\\u{1b}[2J\\u{a}nnn"));
    // With short names, the error shows twenty of them and the number of the others.
    let imports: String = (0..6_000)
        .map(|n| format!(r#"(import "m" "f{n}" (func))"#))
        .collect();
    let error = Sandbox::new(Limits::DEFAULT)
        .instantiate(&module(&format!("(module {imports})")))
        .unwrap_err();
    let text = shown(&error, false);
    assert!(text.contains("`m.f19` () -> () and 5980 more"), "{text}");
}

#[test]
fn every_error_of_the_sandbox() {
    let name = format!("\x1b[2J\n\u{202e}{}", "n".repeat(5_000));
    let text = format!(
        r#"(module (func (export "{0}") unreachable) (func (export "{0}x") (param {1})))"#,
        quoted(&name),
        "i64 ".repeat(900)
    );
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module(&text)).unwrap();
    shown(
        &instance.call(&format!("{name}x"), &[Value::I32(1)]).unwrap_err(),
        false,
    );
    shown(&instance.call(&format!("{name}y"), &[]).unwrap_err(), false);
    shown(&instance.call(&name, &[]).unwrap_err(), false);
    shown(&instance.call(&name, &[]).unwrap_err(), false);
    // Not by the constructor, which refuses such names.
    let missing = DirScope {
        host: format!("/missing/{}", hostile()),
        guest: hostile(),
        access: Access::ReadOnly,
        no_links: false,
    };
    let sandbox = Sandbox::new(Limits::DEFAULT).with_scopes(Scopes::none().with_dir(missing));
    shown(&sandbox.check_directories().unwrap_err(), false);
    // The validator's messages contain names, such as one that is exported twice.
    let twice = r#"(module binary "\00asm\01\00\00\00\05\03\01\00\01\07\0d\02\03\1b[2\02\00\03\1b[2\02\00")"#;
    let error = Module::new(&Engine::default(), wat::parse_str(twice).unwrap()).unwrap_err();
    assert!(shown(&error, false).contains("\\u{1b}[2"));
}

#[test]
fn an_import_of_the_wrong_type_names_both_types() {
    let text = r#"(module (import "vais" "println" (func (param i64 f32) (result i32))))"#;
    let error = Sandbox::new(Limits::DEFAULT)
        .instantiate(&module(text))
        .unwrap_err();
    let text = shown(&error, false);
    assert!(
        text.contains("has imports of the wrong type: `vais.println` (i64, f32) -> (i32), which the host provides as (i32, i32) -> ()"),
        "{text}"
    );
}

#[test]
fn printing_from_a_memory_that_is_not_exported_has_its_own_error() {
    let program = |memory: &str, arguments: &str| {
        format!(
            r#"(module (import "vais" "println" (func $p (param i32 i32))) {memory}
                (func (export "run") (call $p {arguments})))"#
        )
    };
    let run = |text: &str| {
        let sandbox = Sandbox::new(Limits::DEFAULT);
        sandbox.grant(dynload_caps::Capabilities::CONSOLE);
        let mut instance = sandbox.instantiate(&module(text)).unwrap();
        shown(&instance.call("run", &[]).unwrap_err(), false)
    };
    let hidden = run(&program("(memory 1)", "(i32.const 0) (i32.const 5)"));
    assert!(hidden.contains("exports no memory named `memory`"), "{hidden}");
    // With an exported memory, it is an ordinary trap.
    let outside = run(&program(
        r#"(memory (export "memory") 1)"#,
        "(i32.const 65530) (i32.const 50)",
    ));
    assert!(outside.contains("out of bounds memory access"), "{outside}");
}

#[test]
fn every_error_of_a_hostile_manifest() {
    let key = "\\u001b[2J\\u202e".to_owned() + &"k".repeat(1_000);
    let unknown: String = (0..200).map(|n| format!("\"{key}{n}\" = 1\n")).collect();
    for manifest in [
        unknown,
        format!("[plugin]\nid = \"{key}\"\nversion = \"{key}\"\nformat = \"{key}\"\nentry = \"{key}\"\n"),
        format!(
            "[plugin]\nid = \"a\"\n[capabilities]\nneeds = [\"{key}\"]\nhosts = [\"{key}\"]\n[dependencies]\n\"{key}\" = \"{key}\"\n"
        ),
        "\u{1b}[2J\u{202e}\n = 1".to_owned(),
        format!("a = \"\u{7}{}", "x".repeat(10_000)),
    ] {
        let errors = dynload_discovery::Manifest::parse(&manifest).unwrap_err();
        shown(&errors, true);
        for error in errors.errors() {
            shown(error, false);
        }
    }
}

/// Returns the error of this thread, as C receives it.
#[track_caller]
fn last() -> String {
    let address = get_load_error();
    assert_ne!(address, 0);
    // SAFETY: the text was just returned, and no function was called since.
    let text = unsafe { CStr::from_ptr(address as *const _) }
        .to_str()
        .unwrap()
        .to_owned();
    check(&text, false);
    text
}

#[test]
fn errors_through_the_c_api() {
    let dir = tempfile::tempdir().unwrap();
    let name = "\x1b[2J\n\u{202e}x";
    let text = |text: &str| CString::new(text).unwrap();
    let at = |text: &CStr| text.as_ptr() as i64;
    let path = |extension: &str| {
        dir.path()
            .join(format!("{name}.{extension}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let long = text(&format!("{name}{}", "n".repeat(1_000_000)));
    let write = |extension: &str, content: &[u8]| {
        let path = path(extension);
        std::fs::write(&path, content).unwrap();
        text(&path)
    };
    // SAFETY: every text and array is alive while it is used; no loaded file is code, except libc.
    unsafe {
        for file in [
            write("so", b"no library"),
            text(&path("none")),
            long.clone(),
            text("\x1b.so"),
        ] {
            assert_eq!(load_module(at(&file)).loaded, 0);
            last();
            if load_wasm_file(at(&file)) == 0 {
                last();
            }
        }
        assert_eq!(
            load_wasm_file(at(&write("wat", b"(module \x1b[2J\n\"\n\x1b))"))),
            0
        );
        last();
        assert_eq!(discover_plugins_in(at(&text(&path("none")))).count, 0);
        let imports = format!(
            r#"(module (import "{0}" "{0}" (func)) (import "{0}" "b" (func)))"#,
            quoted(name)
        );
        let sandbox = sandbox_new();
        for (wasm, export) in [
            (imports, ""),
            (
                format!(r#"(module (func (export "{}") unreachable))"#, quoted(name)),
                name,
            ),
        ] {
            let wasm = wat::parse_str(wasm).unwrap();
            let instance = sandbox_load(sandbox, wasm.as_ptr() as i64, wasm.len() as i64);
            if export.is_empty() {
                assert!(last().contains("\\u{1b}[2J\\u{a}\\u{202e}x"));
                continue;
            }
            wasm_call(instance, at(&text(export)));
            assert!(last().contains("unreachable"));
            wasm_call(instance, at(&long));
            last();
        }
        // A directory that does not exist is reported when it is granted, or when a plugin that could see it is loaded.
        if sandbox_allow_dir(sandbox, at(&text(&format!("/{name}"))), at(&text(name)), 0) == 1 {
            let import =
                r#"(import "wasi_snapshot_preview1" "fd_prestat_get" (func (param i32 i32) (result i32)))"#;
            let wasm = wat::parse_str(format!("(module {import})")).unwrap();
            let sandbox = sandbox_grant(sandbox, dynload_caps::Capabilities::FS_READ.bits() as i64);
            assert_eq!(
                sandbox_load(sandbox, wasm.as_ptr() as i64, wasm.len() as i64).handle,
                0
            );
        }
        last();
        assert_eq!(sandbox_allow_net(sandbox, at(&long)), 0);
        last();
        assert_eq!(
            sandbox_host_function(sandbox, at(&long), at(&long), at(&long), 1, 0, 0),
            0
        );
        last();
        // A message of the dynamic linker, about a missing symbol.
        let libc = load_module(at(&text("libc.so.6")));
        if libc.loaded == 1 {
            assert_eq!(get_function(libc, at(&long)), 0);
            last();
        }
        // Problems of plugins, which contain names that the plugins chose.
        let plugin = dir.path().join("plugins").join(name);
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::write(plugin.join("plugin.toml"), "\"\\u001b[2J\\n\" = 1\n").unwrap();
        let plugins = text(dir.path().join("plugins").to_str().unwrap());
        let list = discover_plugins_in(at(&plugins));
        assert!(plugin_problem_count(list) > 0);
        for n in 0..plugin_problem_count(list) {
            check(
                CStr::from_ptr(plugin_problem(list, n) as *const _)
                    .to_str()
                    .unwrap(),
                false,
            );
        }
        plugin_list_destroy(list);
        sandbox_destroy(sandbox);
    }
}

/// Nothing is dropped without a word: neither a plugin that another one shadows, nor a dependency that is missing.
#[test]
fn duplicates_and_missing_dependencies_are_problems_in_c() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = std::fs::canonicalize(dir.path()).unwrap();
    for (name, more) in [
        ("first", ""),
        ("second", "[dependencies]\n\"org.example.none\" = \"1\"\n"),
    ] {
        std::fs::create_dir(plugins.join(name)).unwrap();
        std::fs::write(plugins.join(name).join("p.wasm"), b"\0asm\x01\0\0\0").unwrap();
        let version = if name == "first" { "1.0.0" } else { "2.0.0" };
        let manifest = format!(
            "[plugin]\nid = \"same\"\nversion = \"{version}\"\nformat = \"wasm\"\nentry = \"p.wasm\"\n{more}"
        );
        std::fs::write(plugins.join(name).join("plugin.toml"), manifest).unwrap();
    }
    let path = std::ffi::CString::new(plugins.to_str().unwrap()).unwrap();
    // SAFETY: the text lives longer than the call, and the problems as long as the list.
    unsafe {
        let list = discover_plugins_in(path.as_ptr() as i64);
        assert_eq!(list.count, 1);
        let problems: Vec<&str> = (0..plugin_problem_count(list))
            .map(|n| {
                CStr::from_ptr(plugin_problem(list, n) as *const _)
                    .to_str()
                    .unwrap()
            })
            .collect();
        let (first, second) = (plugins.join("first"), plugins.join("second"));
        assert_eq!(
            problems,
            [
                format!(
                    "note: {}: plugin same is not listed, because {} has the same id and is preferred by version: remove one of them",
                    first.display(),
                    second.display()
                ),
                "warning: plugin same needs org.example.none ^1, which was not found: install it".to_owned(),
            ]
        );
        plugin_list_destroy(list);
    }
}
