//! The examples of the specification, completed where their programs say so, and the examples of the header.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::header;
use dynload_tests::host::{
    BOTH, Compiler, compile, expect_success, native_plugin, string_plugins, wasm_plugin,
};

/// Compiles a host program as C against the shared library and as C++ against the static one, runs both, and returns their
/// outputs.
fn outputs(name: &str, dir: &Path, args: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let source = root().join("tests/hosts").join(format!("{name}.c"));
    let mut outputs = Vec::new();
    for (compiler, link) in [Compiler::C, Compiler::Cpp].into_iter().zip(BOTH) {
        let program = compile(compiler, &source, link, dir);
        outputs.push(expect_success(Command::new(program).args(args())));
    }
    outputs
}

#[test]
fn basic_dynamic_loading() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = native_plugin("plugin", dir.path()).display().to_string();
    for output in outputs("example_loading", dir.path(), &|| vec![plugin.clone()]) {
        let expected = format!(
            "plugin_init() = 1\ndlsym finds the same: 1\npath {plugin}, version 1\nversion 2\nunloaded 1\nagain 0\n\
             loaded 0, an error 1\n"
        );
        assert_eq!(output, expected);
    }
}

#[test]
fn wasm_sandbox_with_capabilities() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = wasm_plugin("plugin", dir.path()).display().to_string();
    for output in outputs("example_sandbox", dir.path(), &|| vec![plugin.clone()]) {
        // The plugin's output bypasses stdio's buffer, so its line comes first.
        let expected = "hello from the plugin\nprocess(42) = 84\nrevoked: 0\n\
                        `process` called `vais.println`, which needs the capability console that is not granted\n\
                        valid 0, reset 1, valid 1\ndestroyed 1\nvalid 0\n";
        assert_eq!(output, expected);
    }
}

#[test]
fn hot_reload() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("plugin.c");
    let fresh = || {
        fs::write(
            &source,
            "#include <stdint.h>\nint64_t answer(void) { return 1; }\n",
        )
        .unwrap();
        vec![source.display().to_string()]
    };
    for output in outputs("example_hot_reload", dir.path(), &fresh) {
        let expected = "running 1, version 1, answer 1\nchecked 0\nchanged 1, version 2, answer 2\n\
                        changed 0, compiler error 1\nversion 2, answer 2\nmodule 1, version 2\n\
                        unload 0, invalid handle 1\nrunning 0, answer 2\ndestroyed 1\n";
        assert_eq!(output, expected);
    }
}

#[test]
fn capability_checking() {
    let dir = tempfile::tempdir().unwrap();
    for output in outputs("example_capabilities", dir.path(), &Vec::new) {
        assert_eq!(output, "caps 7, safe 1\nnetwork 1, safe 0\nnetwork 0, safe 1\n");
    }
}

/// The output of the examples of the header, in the order of their functions in the header.
const PRINTED: &[(&str, &str)] = &[
    ("get_load_error_copy", "1\n"),
    ("load_module", "5\n"),
    ("reload_module", "version 2\n"),
    ("has_dangerous_capabilities", "0\n1\n"),
    ("sandbox_new", "42\n"),
    ("sandbox_with_limits", "1\n"),
    ("sandbox_grant", "1\n"),
    ("sandbox_set_fuel", "1\n"),
    ("sandbox_set_module_limit", "0\n1\n"),
    ("sandbox_allow_dir", "1\n"),
    ("sandbox_host_function", "42\n"),
    ("wasm_call_n", "42\n"),
    ("wasm_fuel_used", "4\n"),
    ("wasm_memory_read", "hello\n"),
    ("wasm_reset", "0\n1\n"),
    ("wasm_required_capabilities", "0\n"),
    ("wasm_call_bytes", "HELLO\n"),
    ("wasm_call_bytes_n", "hello, world\n"),
    ("is_plugin_library", "1 0\n"),
    ("load_wasm_file", "1\n"),
    ("hot_reloader_new", "version 1 says 1\n"),
    ("plugins_new", "HELLO\n"),
    ("plugins_next_event", "shout: version 1.0.0 is loaded\n"),
    ("discover_plugins", ""),
    ("plugin_admit", "shout: as requested\n"),
];

#[test]
fn the_examples_of_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = native_plugin("plugin", dir.path());
    let wasm = wasm_plugin("plugin", dir.path());
    let imports = wasm_plugin("imports", dir.path());
    let source = dir.path().join("answer.c");
    fs::write(
        &source,
        "#include <stdint.h>\nint64_t answer(void) { return 1; }\n",
    )
    .unwrap();

    let plugins = string_plugins(dir.path());

    let mut program = String::from(include_str!("../hosts/header_examples.start.c"));
    let mut expected = String::new();
    let mut found = Vec::new();
    let mut main = String::new();
    for function in header::all_flat(&root()).unwrap() {
        for example in header::examples(&function) {
            let name = &function.name;
            let printed = PRINTED.iter().find(|(known, _)| known == name);
            let (_, printed) =
                printed.unwrap_or_else(|| panic!("add the output of the example of `{name}` to `PRINTED`"));
            let _ = write!(program, "static void example_{name}(void) {{\n{example}}}\n\n");
            let _ = writeln!(main, "    example_{name}();");
            let _ = write!(expected, "{printed}");
            found.push(name.clone());
        }
    }
    let _ = write!(
        program,
        "int main(int argc, char **argv) {{\n    start(argc, argv);\n{main}    return 0;\n}}\n"
    );
    let known: Vec<&str> = PRINTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known);

    let file = dir.path().join("header_examples.c");
    fs::write(&file, program).unwrap();
    for (compiler, link) in [(Compiler::C, BOTH[0]), (Compiler::Cpp, BOTH[1])] {
        let program = compile(compiler, &file, link, dir.path());
        let mut run = Command::new(program);
        run.args([&plugin, &wasm, &imports, &source, &plugins]);
        // No plugins and no cache from the home directory of the user who runs the tests.
        run.env("HOME", dir.path())
            .env("XDG_CACHE_HOME", dir.path())
            .env_remove("VAIS_PLUGIN_PATH");
        assert_eq!(expect_success(&mut run), expected);
    }
}
