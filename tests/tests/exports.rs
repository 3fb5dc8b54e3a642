//! The exports of the libraries; every exported function must run in a guard.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use dynload_tests::artifacts::{artifacts, root};
use dynload_tests::header;
use dynload_tests::host::expect_success;

fn names(functions: Vec<header::Function>) -> BTreeSet<String> {
    functions.into_iter().map(|function| function.name).collect()
}

/// Returns the defined symbols that `nm` lists, with their kinds.
fn symbols(flags: &[&str], file: &Path) -> Vec<(String, String)> {
    let listed = expect_success(Command::new("nm").args(flags).arg(file));
    let words = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.len() == 3)
        .map(|words| (words[2].to_owned(), words[1].to_owned()))
        .collect()
}

#[test]
fn the_shared_library_exports_the_header_and_nothing_else() {
    let exported = symbols(&["-D", "--defined-only"], &artifacts().shared);
    let exported: BTreeSet<String> = exported.into_iter().map(|(name, _)| name).collect();
    let mut wanted = names(header::all_flat(&root()).unwrap());
    wanted.extend(names(header::all_primitives(&root()).unwrap()));
    assert_eq!(exported, wanted);
}

#[test]
fn the_static_library_has_weak_flat_names_and_strong_primitives() {
    let defined = symbols(&["--defined-only"], &artifacts().archive);
    for (functions, kind) in [
        (header::all_flat(&root()), "W"),
        (header::all_primitives(&root()), "T"),
    ] {
        for name in names(functions.unwrap()) {
            let kinds: Vec<&str> = defined
                .iter()
                .filter(|(defined, _)| *defined == name)
                .map(|(_, kind)| kind.as_str())
                .collect();
            assert_eq!(kinds, [kind], "{name}");
        }
    }
}

#[test]
fn the_shared_library_has_a_versioned_name_and_stays_loaded() {
    let dynamic = expect_success(Command::new("readelf").arg("-dW").arg(&artifacts().shared));
    assert!(
        dynamic.contains("Library soname: [libdynload.so.0.1]"),
        "{dynamic}"
    );
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn the_name_of_every_flat_function_is_listed() {
    let listed = fs::read_to_string(root().join("crates/dynload-ffi/src/names.rs")).unwrap();
    let (_, rest) = listed.split_once("$then! {\n").unwrap();
    let (list, _) = rest.split_once('}').unwrap();
    let listed: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(listed, names(header::all_flat(&root()).unwrap()));
}

/// The body of a flat function is one call of a guard. The value of a primitive is one call of a guard or of a flat function.
#[test]
fn every_exported_function_is_guarded() {
    let src = root().join("crates/dynload-ffi/src");
    let mut checked = 0;
    let mut check = |source: &str, start: &str, ends: &[&str]| {
        for function in source.split("extern \"C\" fn ").skip(1) {
            let name = &function[..function.find('(').unwrap()];
            let (_, body) = function.split_once(start).unwrap();
            let end = ends.iter().filter_map(|end| body.find(end)).min().unwrap();
            let body = &body[..end];
            assert!(is_guarded(body), "`{name}` is not guarded:\n{body}");
            checked += 1;
        }
    };
    for file in fs::read_dir(src.join("flat")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        check(&source, "{\n", &["\n}\n"]);
    }
    let source = fs::read_to_string(src.join("primitives.rs")).unwrap();
    let (_, tables) = source.split_once("\nprimitives! {\n").unwrap();
    check(tables, "-> i64 =", &[";\n\n", ";\n}\n"]);
    let all = header::all_flat(&root()).unwrap().len() + header::all_primitives(&root()).unwrap().len();
    assert_eq!(checked, all);
    assert!(!is_guarded(
        "    sandbox::destroy(s.handle);\n    guard(0, || Ok(1))"
    ));
    assert!(!is_guarded(
        "    guard(0, || Ok(1));\n    sandbox::destroy(s.handle)"
    ));
}

/// Returns whether a body is one call of a guard from beginning to end. Constants and closures may be defined before it.
fn is_guarded(body: &str) -> bool {
    let lines = body.lines().map(str::trim);
    let code: String = lines
        .filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut code = code.trim();
    while ["const ", "let config = HotReloadConfig {", "let failed = |"]
        .iter()
        .any(|start| code.starts_with(start))
    {
        let Some((_, rest)) = code.split_once("; ") else {
            return false;
        };
        code = rest;
    }
    if let Some(inner) = code
        .strip_prefix("unsafe {")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        code = inner.trim();
    }
    let guards = [
        "guard(",
        "guard_with(",
        "guard_query(",
        "guard_partial(",
        "guard_release(",
        "guard_signal(",
        "usage(",
        "flat::",
    ];
    if !guards.iter().any(|guard| code.starts_with(guard)) {
        return false;
    }
    // After the closing parenthesis of the call: nothing, or a field of the returned struct.
    let mut depth = 0;
    let end = code.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        *c == ')' && depth == 0
    });
    let Some((end, _)) = end else { return false };
    ["", ".handle", ".running"].contains(&code[end + 1..].trim())
}
