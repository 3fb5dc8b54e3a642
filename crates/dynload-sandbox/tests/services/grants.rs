//! A grant is for the directory that existed when the scope was set, and for no other, whatever replaces it.

use super::guest::{errno::*, *};
use dynload_caps::{Access, DirScope};
use dynload_sandbox::*;
use std::{fs, path::PathBuf};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);

/// `d` with `a/b` in it is granted to the guest, `outside` is not.
struct World {
    _dir: tempfile::TempDir,
    d: PathBuf,
    outside: PathBuf,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let (d, outside) = (dir.path().join("d"), dir.path().join("outside"));
        fs::create_dir_all(d.join("a/b")).unwrap();
        fs::write(d.join("a/b/name"), "inside").unwrap();
        fs::create_dir_all(outside.join("b")).unwrap();
        fs::write(outside.join("name"), "outside").unwrap();
        World {
            _dir: dir,
            d,
            outside,
        }
    }

    /// `d` as descriptor 3, `d/a/b` as descriptor 4.
    fn nested(&self, inner: Access) -> Sandbox {
        sandbox_of(
            &[(&self.d, Access::ReadWrite), (&self.d.join("a/b"), inner)],
            FILES,
        )
    }

    /// Replaces the inner directory by a link to the outside, as the host or another guest may.
    fn swap(&self) {
        fs::rename(self.d.join("a"), self.d.join("old")).unwrap();
        fs::create_dir(self.d.join("a")).unwrap();
        symlink(&self.outside, self.d.join("a/b")).unwrap();
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read(self.outside.join("name")).unwrap(), b"outside");
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 2);
    }
}

/// A guest with two directories, one in the other, does not get out by a link that replaces the inner one.
#[test]
#[cfg_attr(windows, ignore = "a directory that is open cannot be moved")]
fn a_reset_keeps_the_same_directory() {
    let world = World::new();
    let mut guest = Guest::new(&world.nested(Access::ReadWrite));
    assert_eq!(guest.rename_at(3, "a", 3, "old"), SUCCESS);
    assert_eq!(guest.mkdir_at(4, "dir"), SUCCESS);
    assert_eq!(guest.symlink_at("../../../outside", 3, "old/b/dir/b"), PERM);
    // Even if a guest finds a way to create such a link, or the host creates it, it leads nowhere.
    symlink("../../outside", world.d.join("old/b/dir/b")).unwrap();
    assert_eq!(guest.rename_at(4, "dir", 3, "a"), SUCCESS);
    guest.0.reset().unwrap();
    assert_eq!(guest.read_at(4, "name").unwrap(), b"inside");
    assert_eq!(guest.write_at(4, "new", b"written"), Ok(()));
    assert_eq!(fs::read(world.d.join("old/b/new")).unwrap(), b"written");
    world.assert_untouched();
}

#[test]
#[cfg_attr(windows, ignore = "a directory that is open cannot be moved")]
fn another_instance_gets_the_same_directory() {
    let world = World::new();
    let sandbox = world.nested(Access::ReadOnly);
    let mut first = Guest::new(&sandbox);
    assert_eq!(first.read_at(4, "name").unwrap(), b"inside");
    world.swap();
    let mut second = Guest::new(&sandbox);
    for guest in [&mut first, &mut second] {
        assert_eq!(guest.read_at(4, "name").unwrap(), b"inside");
        assert_eq!(guest.write_at(4, "new", b""), Err(NOTCAPABLE));
    }
    world.assert_untouched();
}

#[test]
#[cfg_attr(windows, ignore = "a directory that is open cannot be moved")]
fn a_worker_gets_the_same_directory() {
    let world = World::new();
    let mut sandbox = world.nested(Access::ReadOnly);
    let mut scopes = sandbox.scopes().clone();
    scopes.max_workers = 1;
    sandbox.set_scopes(scopes);
    sandbox.grant(Capabilities::THREADING);
    // The worker returns the errno of `path_filestat_get`, with the size of the file above it, from bit 8 on.
    let body = r#"(data (i32.const 30000) "size") (data (i32.const 30010) "name")
        (func (export "size") (param i64) (result i64) (local $errno i32)
            (local.set $errno (call $path_filestat_get
                (i32.const 4) (i32.const 1) (i32.const 30010) (i32.const 4) (i32.const 31000)))
            (i64.or (i64.extend_i32_u (local.get $errno)) (i64.shl (i64.load (i32.const 31032)) (i64.const 8))))
        (func (export "ask") (result i64)
            (drop (call $thread_spawn (i32.const 30000) (i32.const 4) (i64.const 0) (i32.const 30020)))
            (drop (call $thread_join (i32.load (i32.const 30020)) (i32.const 30024)))
            (i64.load (i32.const 30024)))"#;
    let mut guest = Guest(sandbox.instantiate(&module(body)).unwrap());
    assert_eq!(guest.call("ask", &[]), 6 << 8);
    world.swap();
    assert_eq!(guest.call("ask", &[]), 6 << 8);
}

/// The host itself may replace a directory; the grant stays with the directory that it was made for.
#[test]
#[cfg_attr(windows, ignore = "a directory that is open cannot be moved")]
fn a_grant_does_not_follow_a_replacement_by_the_host() {
    let world = World::new();
    let inner = world.d.join("a/b");
    let sandbox = sandbox(&inner, Access::ReadOnly, FILES);
    fs::rename(&inner, world.d.join("a/before")).unwrap();
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("name"), "another").unwrap();
    assert_eq!(Guest::new(&sandbox).read("name").unwrap(), b"inside");
    // The new directory needs a new grant.
    let scopes = sandbox.scopes().clone();
    let fresh = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(FILES)
        .with_scopes(scopes);
    assert_eq!(Guest::new(&fresh).read("name").unwrap(), b"another");
}

/// Adding a directory does not reopen those that are open already.
#[test]
#[cfg_attr(windows, ignore = "a directory that is open cannot be moved")]
fn a_scope_that_is_set_again_stays_open() {
    let world = World::new();
    let mut sandbox = world.nested(Access::ReadOnly);
    world.swap();
    let mut scopes = sandbox.scopes().clone();
    let more = DirScope::new(world.d.to_str().unwrap(), "/more", Access::ReadOnly).unwrap();
    scopes.dirs.push(more);
    sandbox.set_scopes(scopes);
    let mut guest = Guest::new(&sandbox);
    assert_eq!(guest.read_at(4, "name").unwrap(), b"inside");
    assert_eq!(guest.read_at(5, "old/b/name").unwrap(), b"inside");
    // Removed and added again, it is a new grant.
    let scopes = std::mem::take(&mut sandbox.scopes().clone());
    sandbox.set_scopes(Scopes::none());
    sandbox.set_scopes(scopes);
    assert_eq!(Guest::new(&sandbox).read_at(4, "name").unwrap(), b"outside");
}

#[test]
fn a_directory_that_cannot_be_opened_is_reported_immediately() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let mut sandbox = sandbox(&missing, Access::ReadOnly, FILES);
    let error = sandbox.check_directories().unwrap_err();
    assert!(
        matches!(&error, ServiceError::Directory { host, .. } if *host == missing.to_str().unwrap()),
        "{error}"
    );
    assert!(sandbox.instantiate(&module("")).is_err());
    // A missing directory is looked up again when the scopes are set again.
    fs::create_dir(&missing).unwrap();
    assert!(sandbox.check_directories().is_err());
    sandbox.set_scopes(sandbox.scopes().clone());
    sandbox.check_directories().unwrap();
    Guest::new(&sandbox);
}

/// C libraries look for their preopens until the answer is BADF, and end the program on any other error.
#[test]
fn a_descriptor_that_is_not_a_preopen_ends_the_search_for_them() {
    let world = World::new();
    let mut guest = Guest::new(&sandbox(&world.d, Access::ReadWrite, FILES));
    let file = guest.open("a/b/name", 0, READ_RIGHTS).unwrap();
    let directory = guest.open("a", DIRECTORY, READ_RIGHTS).unwrap();
    assert_eq!(guest.call("fd_prestat_get", &[3, OUT.into()]), SUCCESS);
    for fd in [0, 1, 2, file, directory, 99] {
        assert_eq!(guest.call("fd_prestat_get", &[fd, OUT.into()]), BADF, "{fd}");
        let args = [fd, DATA.into(), 10];
        assert_eq!(guest.call("fd_prestat_dir_name", &args), BADF, "{fd}");
    }
}

/// A descriptor that a program still uses for its output must not become a file that it opens later.
#[test]
fn descriptor_numbers_of_the_console_are_not_reused() {
    let world = World::new();
    let sandbox = sandbox(&world.d, Access::ReadWrite, FILES | Capabilities::CONSOLE);
    let mut guest = Guest::new(&sandbox);
    for fd in 0..3 {
        assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
    }
    assert_eq!(guest.open("a/b/name", 0, READ_RIGHTS), Ok(4));
    assert_eq!(guest.call("fd_write", &[1, BUFFERS.into(), 0, OUT.into()]), BADF);
    // Unless the guest requests exactly that.
    let fd = guest.open("new", CREAT, ALL_RIGHTS).unwrap();
    let mut again = Guest::new(&sandbox);
    let other = again.open("new", 0, ALL_RIGHTS).unwrap();
    assert_eq!(again.call("fd_renumber", &[other, 1]), SUCCESS);
    assert_eq!(again.call("fd_tell", &[1, OUT.into()]), SUCCESS);
    assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
}
