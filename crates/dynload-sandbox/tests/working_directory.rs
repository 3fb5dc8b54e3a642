//! A directory that was granted by a relative path stays the same when the host changes its working directory.
//! In a separate process, because the working directory belongs to the whole process.

#![cfg(any(unix, windows))]
#![allow(
    clippy::disallowed_methods,
    reason = "the test creates the directories that it grants"
)]

use dynload_caps::{Access, DirScope};
use dynload_sandbox::*;

const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "name")
    (func (export "size") (result i64)
        (if (call $stat (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 8))
            (then (return (i64.const -1))))
        (i64.load (i32.const 40))))"#;

#[test]
fn a_relative_path_is_resolved_once() {
    let dir = tempfile::tempdir().unwrap();
    for (parent, text) in [("one", "short"), ("two", "much longer")] {
        let data = dir.path().join(parent).join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("name"), text).unwrap();
    }
    std::env::set_current_dir(dir.path().join("one")).unwrap();
    let mut scopes = Scopes::none();
    scopes
        .dirs
        .push(DirScope::new("data", "/data", Access::ReadOnly).unwrap());
    let sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::FS_READ)
        .with_scopes(scopes);
    let module = Module::new(&Engine::default(), wat::parse_str(GUEST).unwrap()).unwrap();
    let mut before = sandbox.instantiate(&module).unwrap();
    assert_eq!(before.call_i64("size", &[]).unwrap(), 5);
    std::env::set_current_dir(dir.path().join("two")).unwrap();
    before.reset().unwrap();
    assert_eq!(before.call_i64("size", &[]).unwrap(), 5);
    let mut after = sandbox.instantiate(&module).unwrap();
    assert_eq!(after.call_i64("size", &[]).unwrap(), 5);
}
