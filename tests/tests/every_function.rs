//! Every function with good and bad arguments, from C and C++, with both libraries.

use std::fs;
use std::path::Path;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::header;
use dynload_tests::host::{
    BOTH, Compiler, compile, expect_success, native_plugin, string_plugins, wasm_plugin,
};

/// Creates the files that the program needs in `dir`, and returns its arguments.
fn arguments(dir: &Path) -> Vec<String> {
    let source = dir.join("answer.c");
    fs::write(
        &source,
        "#include <stdint.h>\nint64_t answer(void) { return 1; }\n",
    )
    .unwrap();
    let wat = dir.join("imports.wat");
    fs::copy(root().join("tests/plugins/imports.wat"), &wat).unwrap();
    let plugins = dir.join("plugins");
    fs::create_dir_all(plugins.join("greeter")).unwrap();
    fs::create_dir_all(plugins.join("broken")).unwrap();
    fs::write(plugins.join("broken/plugin.toml"), "[plugin]\nid = \n").unwrap();
    fs::write(
        plugins.join("greeter/plugin.toml"),
        "[plugin]\nid = \"greeter\"\nname = \"Greeter\"\nversion = \"1.2.0\"\nformat = \"wasm\"\nentry = \"greeter.wasm\"\n\
         [capabilities]\nneeds = [\"console\"]\noptional = [\"time\"]\n",
    )
    .unwrap();
    let wasm = wasm_plugin("plugin", dir);
    fs::copy(&wasm, plugins.join("greeter/greeter.wasm")).unwrap();
    fs::copy(&wasm, plugins.join("lone.wasm")).unwrap();
    let admitted = dir.join("admitted");
    for plugin in ["wishes", "native"] {
        fs::create_dir_all(admitted.join(plugin)).unwrap();
    }
    fs::copy(&wasm, admitted.join("wishes/wishes.wasm")).unwrap();
    fs::write(
        admitted.join("wishes/plugin.toml"),
        "[plugin]\nid = \"wishes\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"wishes.wasm\"\n\
         [capabilities]\nneeds = [\"console\"]\noptional = [\"env\", \"network\", \"time\"]\n\
         environment = [\"HOME\", \"LANG\"]\nhosts = [\"a.example:5-20\"]\n\
         [limits]\nmax_call_depth = 9\n\
         [config.account]\ntype = \"string\"\nrequired = true\n\
         [config.greeting]\ntype = \"string\"\ndefault = \"hello\"\n\
         [config.count]\ntype = \"integer\"\n",
    )
    .unwrap();
    fs::copy(
        native_plugin("configured", dir),
        admitted.join("native/native.so"),
    )
    .unwrap();
    fs::write(
        admitted.join("native/plugin.toml"),
        "[plugin]\nid = \"native\"\nversion = \"1.0.0\"\nformat = \"native\"\nentry = \"native.so\"\n\
         [config.a]\ntype = \"integer\"\ndefault = 1\n",
    )
    .unwrap();
    let paths = [
        native_plugin("plugin", dir),
        wasm,
        wasm_plugin("imports", dir),
        source,
        wat,
        plugins,
        string_plugins(dir),
        admitted,
    ];
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn every_function_with_good_and_bad_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let source = root().join("tests/hosts/every_function.c");
    for (compiler, link) in [(Compiler::C, BOTH[0]), (Compiler::Cpp, BOTH[1])] {
        let program = compile(compiler, &source, link, dir.path());
        let mut run = Command::new(program);
        run.args(arguments(dir.path()));
        run.env("HOME", dir.path())
            .env("XDG_CACHE_HOME", dir.path())
            .env_remove("VAIS_PLUGIN_PATH");
        assert_eq!(expect_success(&mut run), "0 failures\n");
    }
}

#[test]
fn the_program_calls_every_flat_function() {
    let program = fs::read_to_string(root().join("tests/hosts/every_function.c")).unwrap();
    for function in header::all_flat(&root()).unwrap() {
        let name = &function.name;
        let called = ["(", "_str(", "_fn("]
            .iter()
            .any(|after| program.contains(&format!("{name}{after}")));
        assert!(called, "the program does not call `{name}`");
    }
}
