//! The directory of prepared modules: what is read from it, what is written, and when it is not trusted.

#![cfg(all(unix, feature = "cache"))]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests are the host, and other processes"
)]

use dynload_sandbox::*;
use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

/// A module whose `run` returns this number.
fn module(number: i32) -> Vec<u8> {
    let text = format!(r#"(module (func (export "run") (result i32) (i32.const {number})))"#);
    wat::parse_str(text).unwrap()
}

fn run(module: &Module) -> i32 {
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(module).unwrap();
    match instance.call("run", &[]).unwrap()[..] {
        [Value::I32(number)] => number,
        ref other => panic!("{other:?}"),
    }
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Loads a module with another one's file in the place of its own: the result tells whether the file was read.
#[test]
fn a_file_is_read_if_it_is_that_of_the_module() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("a/b");
    let cache = ModuleCache::open(&directory).unwrap();
    let engine = Engine::default();
    assert_eq!(run(&cache.load(&engine, module(1)).unwrap()), 1);
    let first = files(&directory);
    assert_eq!(first.len(), 1);
    let other = Module::prepare(&engine, module(2)).unwrap();
    fs::write(&first[0], &other).unwrap();
    assert_eq!(run(&cache.load(&engine, module(1)).unwrap()), 2);
    // Another module, and another configuration, have other files.
    assert_eq!(run(&cache.load(&engine, module(3)).unwrap()), 3);
    let profiling = Engine::new(EngineConfig::default().with_profile(true));
    assert_eq!(run(&cache.load(&profiling, module(1)).unwrap()), 1);
    let limits = ModuleLimits::default().with_bytes(1_000);
    let limited = Engine::new(EngineConfig::default().with_module_limits(limits));
    assert_eq!(run(&cache.load(&limited, module(1)).unwrap()), 1);
    assert_eq!(files(&directory).len(), 4);
}

#[test]
fn a_damaged_file_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let cache = ModuleCache::open(home.path().join("cache")).unwrap();
    let engine = Engine::default();
    cache.load(&engine, module(1)).unwrap();
    let file = files(&home.path().join("cache")).remove(0);
    let whole = fs::read(&file).unwrap();
    for damaged in [&whole[..whole.len() - 1], b"", b"something else"] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(run(&cache.load(&engine, module(1)).unwrap()), 1);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn an_invalid_module_is_refused_and_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let cache = ModuleCache::open(home.path()).unwrap();
    let error = cache
        .load(&Engine::default(), b"\0asm\x01\0\0\0\xff")
        .unwrap_err();
    assert!(matches!(error, ModuleError::Invalid { .. }), "{error}");
    assert_eq!(files(home.path()), Vec::<PathBuf>::new());
}

/// The files that were not used for the longest time go first.
#[test]
fn the_files_do_not_exceed_the_maximum() {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let size = Module::prepare(&engine, module(1)).unwrap().as_bytes().len() as u64;
    let cache = ModuleCache::open(home.path()).unwrap().with_max_bytes(3 * size);
    let old = SystemTime::now() - Duration::from_secs(1_000);
    let mut names = Vec::new();
    for number in 1..=3 {
        cache.load(&engine, module(number)).unwrap();
        let new = files(home.path())
            .into_iter()
            .find(|file| !names.contains(file))
            .unwrap();
        let file = fs::File::open(&new).unwrap();
        file.set_modified(old + Duration::from_secs(number as u64))
            .unwrap();
        names.push(new);
    }
    cache.load(&engine, module(1)).unwrap(); // is used again
    cache.load(&engine, module(4)).unwrap();
    let kept = files(home.path());
    assert_eq!(kept.len(), 3);
    assert!(kept.contains(&names[0]) && !kept.contains(&names[1]) && kept.contains(&names[2]));
    // One that is larger than everything is not kept.
    let tiny = ModuleCache::open(home.path()).unwrap().with_max_bytes(size - 1);
    assert_eq!(run(&tiny.load(&engine, module(5)).unwrap()), 5);
    assert_eq!(files(home.path()), kept);
}

#[test]
fn abandoned_files_are_removed() {
    let home = tempfile::tempdir().unwrap();
    let cache = ModuleCache::open(home.path()).unwrap();
    let (old, new) = (
        home.path().join("old.1-2.partial"),
        home.path().join("new.1-2.partial"),
    );
    for (path, age) in [(&old, 7_200), (&new, 60)] {
        fs::write(path, "").unwrap();
        let file = fs::File::open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }
    cache.load(&Engine::default(), module(1)).unwrap();
    assert!(!old.exists() && new.exists());
}

#[test]
fn a_directory_that_others_can_write_to_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        set_mode(&open, mode);
        let error = ModuleCache::open(&open).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("open"), "{error}");
    }
    // Within it, a directory of the user cannot be changed by others, and one that is moved stays open.
    let inner = ModuleCache::open(open.join("inner")).unwrap();
    fs::rename(open.join("inner"), open.join("moved")).unwrap();
    inner.load(&Engine::default(), module(1)).unwrap();
    let file = files(&open.join("moved")).remove(0);
    assert_eq!(files(&open).len(), 1);
    // It becomes untrusted later: nothing is read or written.
    let other = Module::prepare(&Engine::default(), module(2)).unwrap();
    fs::write(&file, other).unwrap();
    set_mode(&open.join("moved"), 0o720);
    assert_eq!(run(&inner.load(&Engine::default(), module(1)).unwrap()), 1);
    inner.load(&Engine::default(), module(3)).unwrap();
    assert_eq!(files(&open.join("moved")).len(), 1);
}

#[test]
fn a_link_is_resolved_when_the_cache_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let (open, private, link) = (
        home.path().join("open"),
        home.path().join("private"),
        home.path().join("link"),
    );
    fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    fs::create_dir(&private).unwrap();
    symlink(&open, &link).unwrap();
    assert!(ModuleCache::open(&link).is_err());
    fs::remove_file(&link).unwrap();
    symlink(&private, &link).unwrap();
    let cache = ModuleCache::open(&link).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&open, &link).unwrap();
    cache.load(&Engine::default(), module(1)).unwrap();
    assert_eq!((files(&open).len(), files(&private).len()), (0, 1));
}

/// Threads write, read and remove the same files; processes do not differ, since no state is shared in memory.
#[test]
fn many_can_use_it_at_the_same_time() {
    let home = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let cache = ModuleCache::open(home.path()).unwrap().with_max_bytes(1_000);
                for round in 0..60 {
                    let number = round % 7;
                    assert_eq!(
                        run(&cache.load(&Engine::default(), module(number)).unwrap()),
                        number
                    );
                }
            });
        }
    });
    let complete = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "prepared");
    assert!(files(home.path()).iter().all(complete));
}
