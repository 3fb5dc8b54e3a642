//! What discovery admits is what the sandbox opens.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dynload_caps::{Access, Capabilities, DirScope, Grant, Limits, Scopes};
use dynload_discovery::{Admission, CacheLocation, Policy, Scanner, SearchPath};
use dynload_sandbox::{Engine, ErrorKind, Module, Sandbox, Value};

/// Returns the errno of asking for the first directory.
const FIRST_PREOPEN: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "first") (result i32) (call $prestat (i32.const 3) (i32.const 0))))"#;

/// Creates a plugin that requests its own directory and two directories in it, and returns what it is granted.
fn admitted(plugins: &Path) -> Admission {
    let own = plugins.join("hostile");
    fs::create_dir_all(own.join("assets/deep")).unwrap();
    fs::write(own.join("p.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let manifest = r#"
        [plugin]
        id = "hostile"
        version = "1.0.0"
        format = "wasm"
        entry = "p.wasm"
        [capabilities]
        needs = ["fs_read", "fs_write"]
        directories = [
            { host = "$PLUGIN", guest = "/own", access = "read-write" },
            { host = "$PLUGIN/assets", guest = "/assets" },
            { host = "$PLUGIN/assets/deep", guest = "/deep", access = "read-write" },
        ]"#;
    fs::write(own.join("plugin.toml"), manifest).unwrap();
    let path = SearchPath::empty().with_dir(plugins);
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    let files = Capabilities::FS_READ | Capabilities::FS_WRITE;
    let policy = Policy::new(Grant::none().with_capabilities(files), Limits::DEFAULT)
        .with_own_directory(Access::ReadWrite);
    let admitted = found.get("hostile").unwrap().admit(&policy).unwrap();
    assert_eq!(admitted.grant.scopes.dirs.len(), 3, "{admitted:?}");
    admitted
}

fn sandbox(admitted: &Admission) -> Sandbox {
    Sandbox::new(admitted.limits)
        .with_capabilities(admitted.grant.capabilities)
        .with_scopes(admitted.grant.scopes.clone())
}

/// Whoever can write to the plugin's directory, such as an instance that already runs, can exchange what is in it.
#[test]
fn a_directory_that_was_exchanged_for_a_link_after_its_admission_is_not_opened() {
    let module = Module::new(&Engine::default(), wat::parse_str(FIRST_PREOPEN).unwrap()).unwrap();
    for exchanged in ["hostile/assets", "hostile/assets/deep", "hostile"] {
        let dir = tempfile::tempdir().unwrap();
        let plugins = fs::canonicalize(dir.path()).unwrap().join("plugins");
        let outside = plugins.parent().unwrap().join("outside");
        fs::create_dir_all(outside.join("deep")).unwrap();
        let admitted = admitted(&plugins);
        let before = sandbox(&admitted);
        before.check_directories().unwrap();

        fs::rename(plugins.join(exchanged), plugins.parent().unwrap().join("aside")).unwrap();
        symlink(&outside, plugins.join(exchanged)).unwrap();
        let after = sandbox(&admitted);
        after.check_directories().unwrap_err();
        let error = after
            .instantiate(&module)
            .and_then(|mut instance| instance.call("first", &[]))
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Host(_)), "{error:?}");
        // A directory that is open stays the one that was admitted.
        let mut instance = before.instantiate(&module).unwrap();
        assert_eq!(instance.call("first", &[]).unwrap(), [Value::I32(0)]);
    }
}

#[test]
fn a_directory_below_a_link_that_existed_when_it_was_admitted_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(dir.path()).unwrap().join("real");
    fs::create_dir(&real).unwrap();
    let link = dir.path().join("plugins");
    symlink(&real, &link).unwrap();
    sandbox(&admitted(&link)).check_directories().unwrap();
}

#[test]
fn a_path_without_links_is_not_opened_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let top = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir_all(top.join("a/b")).unwrap();
    symlink("a", top.join("link")).unwrap();
    symlink("a/b", top.join("last")).unwrap();
    let is_opened = |scope: DirScope| {
        let sandbox = Sandbox::new(Limits::DEFAULT).with_scopes(Scopes::none().with_dir(scope));
        sandbox.check_directories().is_ok()
    };
    let scope = |host: &Path| DirScope::new(host.to_str().unwrap(), "/x", Access::ReadOnly).unwrap();
    for (below, has_links) in [
        ("a", false),
        ("a/b", false),
        ("a/./b/", false),
        ("link/b", true),
        ("last", true),
        // Where `..` leads depends on links.
        ("a/../a", true),
    ] {
        let scope = scope(&top.join(below));
        assert!(is_opened(scope.clone()), "{below}");
        assert_eq!(is_opened(scope.without_links()), !has_links, "{below}");
    }
    assert!(is_opened(scope(Path::new(".")).clone()));
    assert!(!is_opened(scope(Path::new(".")).without_links()));
    assert!(is_opened(scope(Path::new("/")).without_links()));
}
