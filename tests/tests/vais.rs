//! The Vais module: it defines everything in the specification, on top of existing primitives. Its examples are translated to C
//! with the module in front, so that they define every flat function themselves, and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::header;
use dynload_tests::host::{BOTH, Compiler, compile, expect_success, native_plugin, wasm_plugin};
use dynload_tests::vais::to_c;

fn module() -> String {
    fs::read_to_string(root().join("crates/dynload-ffi/vais/dynload.vais")).unwrap()
}

/// Returns the functions declared with `keyword`, which is `F ` or `X F `: from name to parameters and result.
fn functions(source: &str, keyword: &str) -> BTreeMap<String, String> {
    let lines = source.lines().filter_map(|line| line.strip_prefix(keyword));
    lines
        .map(|line| {
            let (name, rest) = line.split_once('(').unwrap();
            (name.to_owned(), rest.trim_end_matches('{').trim().to_owned())
        })
        .collect()
}

/// Functions that are built into Vais.
const BUILT_IN: &[&str] = &["puts", "str_to_ptr", "ptr_to_str"];

/// The functions of the specification with their types, in its notation.
const SPECIFICATION: &[&str] = &[
    "module_handle_new() -> ModuleHandle",
    "module_is_loaded(m: ModuleHandle) -> i64",
    "module_version(m: ModuleHandle) -> i64",
    "default_limits() -> ResourceLimits",
    "restrictive_limits() -> ResourceLimits",
    "permissive_limits() -> ResourceLimits",
    "sandbox_new() -> WasmSandbox",
    "sandbox_restrictive() -> WasmSandbox",
    "sandbox_destroy(s: WasmSandbox) -> i64",
    "sandbox_grant(s: WasmSandbox, cap: i64) -> WasmSandbox",
    "sandbox_revoke(s: WasmSandbox, cap: i64) -> WasmSandbox",
    "sandbox_load(s: WasmSandbox, bytes: i64, len: i64) -> WasmInstance",
    "wasm_call(inst: WasmInstance, name: i64) -> i64",
    "wasm_call1(inst: WasmInstance, name: i64, arg: i64) -> i64",
    "wasm_call2(inst: WasmInstance, name: i64, arg1: i64, arg2: i64) -> i64",
    "wasm_is_valid(inst: WasmInstance) -> i64",
    "hot_reload_config(source_path: i64) -> HotReloadConfig",
    "hot_reloader_new(source_path: i64) -> HotReloader",
    "hot_reloader_start(r: HotReloader) -> HotReloader",
    "hot_reloader_stop(r: HotReloader) -> HotReloader",
    "hot_reloader_check(r: HotReloader) -> i64",
    "hot_reloader_version(r: HotReloader) -> i64",
    "load_module(path: i64) -> ModuleHandle",
    "load_module_lazy(path: i64) -> ModuleHandle",
    "unload_module(m: ModuleHandle) -> i64",
    "reload_module(m: ModuleHandle) -> ModuleHandle",
    "get_function(m: ModuleHandle, name: i64) -> i64",
    "get_load_error() -> i64",
    "has_capability(caps: i64, required: i64) -> i64",
    "add_capability(caps: i64, cap: i64) -> i64",
    "remove_capability(caps: i64, cap: i64) -> i64",
    "has_dangerous_capabilities(caps: i64) -> i64",
    "get_library_extension() -> i64",
    "is_plugin_library(path: i64) -> i64",
];

#[test]
fn everything_in_the_specification_is_declared_with_its_type() {
    let source = module();
    let defined = functions(&source, "F ");
    for function in SPECIFICATION {
        let (name, rest) = function.split_once('(').unwrap();
        assert_eq!(defined.get(name).map(String::as_str), Some(rest), "{name}");
    }
    for external in [
        "dlopen(path: i64, flags: i64) -> i64",
        "dlclose(handle: i64) -> i64",
        "dlsym(handle: i64, symbol: i64) -> i64",
        "dlerror() -> i64",
        "vais_get_user_plugin_dir() -> i64",
        "vais_get_system_plugin_dir() -> i64",
    ] {
        assert!(source.contains(&format!("\nX F {external}\n")), "{external}");
    }
    for constant in [
        "RTLD_NOW: i64 = 2",
        "RTLD_LAZY: i64 = 1",
        "RTLD_GLOBAL: i64 = 256",
        "CAP_NONE: i64 = 0",
        "CAP_CONSOLE: i64 = 1",
        "CAP_TIME: i64 = 2",
        "CAP_RANDOM: i64 = 4",
        "CAP_FS_READ: i64 = 8",
        "CAP_FS_WRITE: i64 = 16",
        "CAP_NETWORK: i64 = 32",
        "CAP_ENV: i64 = 64",
        "CAP_PROCESS: i64 = 128",
        "CAP_THREADING: i64 = 256",
        "CAP_GPU: i64 = 512",
    ] {
        assert!(source.contains(&format!("\nC {constant}\n")), "{constant}");
    }
}

#[test]
fn every_flat_function_is_defined_with_its_type() {
    let source = module();
    let defined = functions(&source, "F ");
    for function in header::all_flat(&root()).unwrap() {
        let params: Vec<String> = function
            .params
            .iter()
            .map(|(name, ty)| format!("{name}: {ty}"))
            .collect();
        let wanted = format!("{}) -> {}", params.join(", "), function.result);
        assert_eq!(defined.get(&function.name), Some(&wanted), "{}", function.name);
    }
}

#[test]
fn every_primitive_is_declared_with_its_type() {
    let source = module();
    let declared = functions(&source, "X F ");
    let mut wanted = BTreeMap::new();
    for function in header::all_primitives(&root()).unwrap() {
        let params: Vec<String> = function
            .params
            .iter()
            .map(|(name, ty)| format!("{name}: {ty}"))
            .collect();
        wanted.insert(function.name, format!("{}) -> i64", params.join(", ")));
    }
    let primitives: BTreeMap<_, _> = declared
        .into_iter()
        .filter(|(name, _)| name.starts_with("vais_"))
        .collect();
    assert_eq!(primitives, wanted);
}

#[test]
fn every_called_function_is_defined() {
    let source = module();
    let known: BTreeSet<String> = functions(&source, "F ")
        .into_keys()
        .chain(functions(&source, "X F ").into_keys())
        .collect();
    let mut files = vec![("dynload.vais".to_owned(), source)];
    for file in fs::read_dir(root().join("crates/dynload-ffi/vais/examples")).unwrap() {
        let path = file.unwrap().path();
        files.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    assert_eq!(
        files.len(),
        5,
        "expected the module and four examples, one for each example of the specification"
    );
    for (name, source) in files {
        let own: BTreeSet<String> = functions(&source, "F ")
            .into_keys()
            .chain(functions(&source, "X F ").into_keys())
            .collect();
        assert_eq!(source.matches('{').count(), source.matches('}').count(), "{name}");
        for line in source
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
        {
            for (at, _) in line.match_indices('(') {
                let start = line[..at]
                    .rfind(|c: char| !c.is_alphanumeric() && c != '_')
                    .map_or(0, |at| at + 1);
                let called = &line[start..at];
                let ok = called.is_empty()
                    || known.contains(called)
                    || own.contains(called)
                    || BUILT_IN.contains(&called);
                assert!(ok, "{name}: `{called}` is not defined: {line}");
            }
        }
    }
}

/// Links an example against both libraries and runs it, unless `expected` is empty, in a directory with the files
/// that it needs.
fn run(example: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let _ = native_plugin("plugin", dir.path());
    let _ = wasm_plugin("plugin", dir.path());
    let examples = root().join("crates/dynload-ffi/vais/examples");
    let program = module() + &fs::read_to_string(examples.join(format!("{example}.vais"))).unwrap();
    let from_c = "extern int64_t puts(int64_t);\n";
    let main = "extern int setvbuf(void *, char *, int, long);\nextern void *stdout;\n\
                int main(void) { setvbuf(stdout, 0, 2, 0); return (int)vais_main(); }\n";
    let c = to_c(&program).replacen(
        "#include <stdint.h>\n",
        &format!("#include <stdint.h>\n{from_c}"),
        1,
    ) + main;
    let source = dir.path().join(format!("{example}.c"));
    fs::write(&source, c).unwrap();
    for link in BOTH {
        let program = compile(Compiler::Gnu, &source, link, dir.path());
        if expected.is_empty() {
            continue;
        }
        assert_eq!(
            expect_success(Command::new(program).current_dir(dir.path())),
            expected,
            "{example}, {link:?}"
        );
    }
}

#[test]
fn the_loading_example_runs() {
    run("loading", "plugin_init was found\ninitialized\nreloaded\n");
}

#[test]
fn the_sandbox_example_runs() {
    run("sandbox", "hello from the plugin\nthe result is 84\n");
}

#[test]
fn the_capabilities_example_runs() {
    run(
        "capabilities",
        "the plugin requests no network access\nsafe to load\n",
    );
}

/// Only linked: it runs forever, and requires a Vais compiler.
#[test]
fn the_hot_reload_example_links() {
    run("hot_reload", "");
}
