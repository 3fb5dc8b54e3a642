//! The handle of a module that was unloaded or reloaded is an error, although `dlopen` uses its number again.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dynload_ffi::abi::ModuleHandle;
use dynload_ffi::flat::*;
use dynload_ffi::primitives::*;

/// The code of an invalid handle.
const INVALID_HANDLE: i64 = 2;

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn plugin(directory: &Path) -> PathBuf {
    let source = directory.join("plugin.c");
    let plugin = directory.join("libplugin.so");
    std::fs::write(&source, "long answer(void) { return 42; }\n").unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&plugin, &source]);
    assert!(compiler.status().unwrap().success());
    plugin
}

fn load(path: &CString) -> ModuleHandle {
    // SAFETY: the text is alive, and the library has no constructor.
    let module = unsafe { load_module(path.as_ptr() as i64) };
    assert_eq!(module_is_loaded(module), 1);
    module
}

/// Checks that every function refuses the handle.
fn is_stale(module: ModuleHandle) {
    let name = c"answer".as_ptr() as i64;
    let ModuleHandle { handle, path, .. } = module;
    // SAFETY: the name is alive. Nothing of the module is in use.
    let answers = unsafe {
        [
            get_function(module, name),
            get_function_in_scope(module, name),
            reload_module(module).handle,
            unload_module(module),
            vais_module_symbol(handle, path, name),
            vais_module_symbol_in_scope(handle, path, name),
            vais_module_reload(handle, path),
            vais_module_unload(handle, path),
        ]
    };
    assert_eq!(answers, [0; 8]);
    assert_eq!(get_load_error_code(), INVALID_HANDLE);
}

/// Checks that the module works, and unloads it.
fn works_and_ends(module: ModuleHandle) {
    // SAFETY: the name is alive, the function has this type, and nothing of the module is in use afterwards.
    unsafe {
        let address = get_function(module, c"answer".as_ptr() as i64);
        assert_ne!(address, 0);
        let answer = std::mem::transmute::<usize, extern "C" fn() -> i64>(address as usize);
        assert_eq!(answer(), 42);
        assert_eq!(unload_module(module), 1);
    }
}

#[test]
fn a_stale_handle_is_an_error_in_thousands_of_rounds() {
    let directory = tempfile::tempdir().unwrap();
    let path = text(&plugin(directory.path()));
    let rounds = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        20_000
    } else {
        2_000
    };
    let mut stale = vec![load(&path)];
    works_and_ends(stale[0]);
    let mut handles = HashSet::new();
    for round in 0..rounds {
        let module = load(&path);
        handles.insert(module.handle);
        for old in [stale[round / 2], stale[round]] {
            is_stale(old);
        }
        works_and_ends(module);
        stale.push(module);
    }
    assert!(
        handles.len() < rounds,
        "dlopen has used a handle again, so the test means something"
    );
    for old in stale {
        is_stale(old);
    }
}

#[test]
fn a_stale_handle_is_an_error_from_threads() {
    let directory = tempfile::tempdir().unwrap();
    let path = text(&plugin(directory.path()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut old = load(&path);
                works_and_ends(old);
                for _ in 0..300 {
                    let module = load(&path);
                    is_stale(old);
                    works_and_ends(module);
                    old = module;
                }
            });
        }
    });
}

#[test]
fn the_handle_of_a_reloaded_version_is_stale() {
    let directory = tempfile::tempdir().unwrap();
    let path = text(&plugin(directory.path()));
    let first = load(&path);
    // SAFETY: the library has no constructor.
    let second = unsafe { reload_module(first) };
    assert_eq!((module_version(second), second.path), (2, first.path));
    is_stale(first);
    works_and_ends(second);
    is_stale(second);
}
