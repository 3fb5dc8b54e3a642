//! `dynload inspect`.

use serde_json::json;

use super::{Workplace, has_keys};

const PLUGIN: &str = r#"(module
    (import "env" "price" (func (param i32) (result i64)))
    (import "vais" "now_ms" (func (result i64)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (memory (export "memory") 2) (data (i32.const 0) "abc")
    (global (export "version") i32 (i32.const 3))
    (func (export "run\1b[2J") (unreachable)))"#;

#[test]
fn a_module_is_reported_with_the_capabilities_of_its_imports() {
    let place = Workplace::new();
    place.write("p.wat", PLUGIN);
    let size = wat::parse_str(PLUGIN).unwrap().len();
    place.words("inspect p.wat").prints(&format!(
        r"p.wat: a WebAssembly module of {size} bytes
  code      4 bytes in 1 function
  data      9 bytes
  custom    0 bytes
  memory    131072 bytes at the start
  requires  time
  can use   console|time|fs_write|network
imports
  env.price                         (i32) -> (i64)                 has no provider
  vais.now_ms                       () -> (i64)                    needs time
  wasi_snapshot_preview1.fd_write   (i32, i32, i32, i32) -> (i32)  needs any of console|fs_write|network
  wasi_snapshot_preview1.proc_exit  (i32) -> ()                    needs nothing
exports
  memory        memory
  run\u{{1b}}[2J  () -> ()
  version       global i32
"
    ));
}

#[test]
fn the_document_of_a_module_has_the_documented_keys() {
    let place = Workplace::new();
    place.write("p.wat", PLUGIN);
    let document = place.words("inspect --json p.wat").code(0).json();
    has_keys(
        &document,
        &[
            "file", "bytes", "kind", "loadable", "error", "sizes", "requires", "can_use", "imports",
            "exports",
        ],
    );
    has_keys(
        &document["sizes"],
        &["module", "functions", "code", "data", "custom", "memory"],
    );
    assert_eq!(document["kind"], "wasm");
    assert_eq!(document["loadable"], true);
    assert_eq!(document["error"], json!(null));
    assert_eq!(document["requires"], json!(["time"]));
    assert_eq!(
        document["can_use"],
        json!(["console", "time", "fs_write", "network"])
    );
    assert_eq!(
        document["imports"][2],
        json!({
            "module": "wasi_snapshot_preview1",
            "name": "fd_write",
            "type": "(i32, i32, i32, i32) -> (i32)",
            "provided": true,
            "provided_type": "(i32, i32, i32, i32) -> (i32)",
            "needs_all": [],
            "needs_any": ["console", "fs_write", "network"],
        })
    );
    assert_eq!(document["imports"][0]["provided"], false);
    assert_eq!(document["imports"][0]["provided_type"], json!(null));
    assert_eq!(
        document["exports"][1],
        json!({ "name": "run\u{1b}[2J", "type": "() -> ()" })
    );
}

#[test]
fn an_import_of_another_type_is_not_provided() {
    let place = Workplace::new();
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
        (import "vais" "now_ms" (memory 0)))"#;
    place.write("p.wat", module);
    let text = place.words("inspect p.wat").code(0).out;
    for line in [
        "fd_write  (i32) -> ()  has the wrong type: the sandbox provides (i32, i32, i32, i32) -> (i32)\n",
        "vais.now_ms                      memory       has the wrong type: the sandbox provides () -> (i64)\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let document = place.words("inspect --json p.wat").code(0).json();
    assert_eq!(document["imports"][0]["provided"], false);
    assert_eq!(
        document["imports"][0]["provided_type"],
        "(i32, i32, i32, i32) -> (i32)"
    );
}

#[test]
fn a_module_that_is_refused_is_reported_with_the_reason() {
    let place = Workplace::new();
    place.write("threads.wat", "(module (memory 1 1 shared))");
    place.write("memory64.wat", "(module (memory i64 1))");
    place.write("junk.wasm", "junk");
    place.words("inspect threads.wat").fails(126, &["threads"]);
    place
        .words("inspect memory64.wat")
        .fails(126, &["accept it with `--memory64`"]);
    place.words("inspect --memory64 memory64.wat").code(0);
    place.write("two.wat", "(module (func) (func))");
    place
        .words("inspect --module-limit items=1 two.wat")
        .fails(126, &["2", "functions", "--module-limit items=N"]);
    place.words("inspect --module-limit items=2 two.wat").code(0);
    let ended = place.words("inspect --json junk.wasm").code(126);
    let document = ended.json();
    has_keys(&document, &["file", "bytes", "kind", "loadable", "error"]);
    assert_eq!(document["loadable"], false);
    let error = document["error"].as_str().unwrap();
    assert!(error.contains("not a WebAssembly module"), "{error}");
    assert!(ended.err.contains(error), "{ended:#?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_headers_of_a_library_are_reported() {
    let place = Workplace::new();
    place.write(
        "p.c",
        "#include <math.h>\ndouble root(double x) { return sqrt(x); }\n",
    );
    let built = std::process::Command::new("cc")
        .current_dir(place.path())
        .args([
            "-shared",
            "-fPIC",
            "-Wl,-soname,libroot.so.1,-rpath,$ORIGIN",
            "p.c",
            "-o",
            "p.so",
            "-lm",
        ])
        .status()
        .unwrap();
    assert!(built.success());
    let text = place.words("inspect p.so").code(0).out;
    assert!(
        text.starts_with("p.so: a native library of ") && text.contains(", ELF for "),
        "{text}"
    );
    assert!(
        text.contains("  name      libroot.so.1\n") && text.contains("  run path  $ORIGIN\n"),
        "{text}"
    );
    assert!(text.contains("  needs     libm.so"), "{text}");
    let document = place.words("inspect --json p.so").code(0).json();
    has_keys(
        &document,
        &[
            "file",
            "bytes",
            "kind",
            "loadable",
            "error",
            "format",
            "architecture",
            "name",
            "needed",
            "run_paths",
        ],
    );
    assert_eq!(document["kind"], "native");
    assert_eq!(document["format"], "ELF");
    assert_eq!(document["run_paths"], json!(["$ORIGIN"]));

    let bytes = std::fs::read(place.path().join("p.so")).unwrap();
    place.write("cut.so", &bytes[..bytes.len() / 2]);
    place
        .words("inspect cut.so")
        .fails(126, &["cannot load `cut.so`", "truncated"]);
}

#[test]
fn the_contents_decide_where_the_name_does_not() {
    let place = Workplace::new();
    place.write("module", wat::parse_str("(module)").unwrap());
    place.write("text", "hello");
    assert!(
        place
            .words("inspect module")
            .code(0)
            .out
            .starts_with("module: a WebAssembly module")
    );
    for name in ["module.so", "text.dll"] {
        place.write(name, wat::parse_str("(module)").unwrap());
        let text = place.words(&format!("inspect {name}")).code(0).out;
        assert!(
            text.starts_with(&format!("{name}: a WebAssembly module")),
            "{text}"
        );
    }
    place.write("junk.so", "\x7f");
    place.words("inspect junk.so").fails(
        126,
        &[
            "cannot load `junk.so`",
            "data of an unknown format, neither a WebAssembly module nor",
        ],
    );
    place.words("inspect text").fails(126, &["a text file"]);
    place.words("inspect nothing").fails(127, &["does not exist"]);
}

#[test]
fn one_byte_is_not_counted_as_several() {
    let place = Workplace::new();
    // A custom section whose name is empty.
    place.write("p.wasm", b"\0asm\x01\0\0\0\0\x01\0");
    let text = place.words("inspect p.wasm").code(0).out;
    assert!(text.contains("\n  custom    1 byte\n"), "{text}");
}
