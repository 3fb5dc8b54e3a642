//! The declarations of `dynload_guest.h`, compared with the table of imports.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::build::{C, Toolchain, source};
use dynload_caps::imports::{self, DYNLOAD, VAIS};
use dynload_sandbox::{Engine, Module};

const HEADER: &str = include_str!("../../guest/dynload_guest.h");

/// The module, the name and the type of an import.
type Import = (String, String, String);

fn table() -> BTreeSet<Import> {
    imports::all()
        .filter(|import| [VAIS, DYNLOAD].contains(&import.module))
        .map(|import| (import.module.into(), import.name.into(), import.signature.into()))
        .collect()
}

fn imported(wasm: &[u8]) -> BTreeSet<Import> {
    let module = Module::new(&Engine::default(), wasm).unwrap();
    module
        .imports()
        .map(|import| {
            let ty = import.ty.func().unwrap().to_string();
            (import.module.into(), import.name.into(), ty)
        })
        .collect()
}

#[test]
fn every_import_is_declared_with_its_type() {
    let mut uses = String::new();
    for (module, name, _) in table() {
        writeln!(uses, "(void (*)(void)){module}_{name},").unwrap();
    }
    let program = format!(
        "#include \"dynload_guest.h\"\n\
         typedef void (*function)(void);\n\
         static const function functions[] = {{{uses}}};\n\
         DYNLOAD_EXPORT(get) const function *get(void) {{ return functions; }}\n"
    );
    for toolchain in [C, Toolchain::Cpp] {
        assert_eq!(imported(&source(toolchain, &program).unwrap()), table());
    }
}

#[test]
fn nothing_else_is_declared() {
    let declared: BTreeSet<(&str, &str)> = HEADER
        .lines()
        .filter_map(|line| {
            let names = line.strip_prefix("DYNLOAD_IMPORT(")?.strip_suffix(')')?;
            names.split_once(", ")
        })
        .collect();
    let table = table();
    let expected = table
        .iter()
        .map(|(module, name, _)| (&**module, &**name))
        .collect();
    assert_eq!(declared, expected);
}

/// The comments contain each import in the text format.
#[test]
fn the_comments_have_the_same_types() {
    let text: String = HEADER
        .lines()
        .map(|line| line.trim_start_matches(['/', ' ', '*']).to_owned() + "\n")
        .collect();
    let mut module = String::new();
    for part in text.split("(import ").skip(1) {
        let mut depth = 1;
        let end = part.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        write!(module, "(import {})", &part[..end.unwrap()]).unwrap();
    }
    let wasm = wat::parse_str(format!("(module {module})")).unwrap();
    assert_eq!(imported(&wasm), table());
}

#[test]
fn the_errnos_are_those_of_the_c_library() {
    let (_, errnos) = HEADER.split_once("enum dynload_errno {").unwrap();
    let (errnos, _) = errnos.split_once("};").unwrap();
    let names: Vec<&str> = errnos
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("DYNLOAD_E"))
        .collect();
    assert_eq!(names.len(), 76);
    let mut program = "#include <errno.h>\n#include \"dynload_guest.h\"\n".to_owned();
    for name in names {
        // A negative size of an array is an error.
        writeln!(
            program,
            "extern char differs_{name}[DYNLOAD_E{name} == E{name} ? 1 : -1];"
        )
        .unwrap();
    }
    source(Toolchain::WasiLibc, &program);
}

#[test]
fn the_errors_of_a_missing_target_are_explained() {
    let output = std::process::Command::new("clang")
        .args(["-fsyntax-only", "-x", "c", "-"])
        .arg("-include")
        .arg(super::build::header())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--target=wasm32"));
}
