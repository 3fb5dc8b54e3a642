//! Directories that are granted inside others: the innermost grant governs, and read-only files do not change.

use super::guest::{errno::*, *};
use dynload_caps::Access::{self, ReadOnly, ReadWrite};
use dynload_sandbox::*;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);

/// `d` with `keys` in it, and `keys/open` in that; links to the keys from everywhere.
struct World {
    _dir: tempfile::TempDir,
    d: PathBuf,
    before: BTreeSet<String>,
}

/// The inode, and the number of names.
#[cfg(unix)]
fn identity(found: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.ino(), found.nlink())
}

/// The time of creation.
#[cfg(windows)]
fn identity(found: &fs::Metadata) -> std::time::SystemTime {
    found.created().unwrap()
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().join("d");
        fs::create_dir_all(d.join("a/keys/sub")).unwrap();
        fs::create_dir_all(d.join("a/keys/open/more")).unwrap();
        fs::create_dir_all(d.join("dir/empty")).unwrap();
        fs::write(d.join("a/keys/secret"), "as it was").unwrap();
        fs::write(d.join("a/keys/sub/deep"), "as it was").unwrap();
        fs::write(d.join("a/keys/open/file"), "open").unwrap();
        fs::write(d.join("file"), "a file").unwrap();
        let links = [
            ("a/keys", "to-keys"),
            ("a/keys/secret", "to-secret"),
            ("to-secret", "twice"),
            ("../a/keys/secret", "dir/up-to-secret"),
            ("a/keys/nothing", "to-nothing"),
            ("a/keys/sub/", "to-sub"),
        ];
        for (target, link) in links.into_iter().filter(|_| cfg!(unix)) {
            symlink(target, d.join(link)).unwrap();
        }
        let mut world = World {
            _dir: dir,
            d,
            before: BTreeSet::new(),
        };
        world.before = world.picture();
        world
    }

    fn keys(&self) -> PathBuf {
        self.d.join("a/keys")
    }

    /// Everything that is read-only: names, modes, contents, and when each was last changed. Without `keys/open`.
    fn picture(&self) -> BTreeSet<String> {
        fn below(path: &Path, into: &mut BTreeSet<String>) {
            let found = fs::symlink_metadata(path).unwrap();
            if path.ends_with("open") {
                return;
            }
            let text = if found.is_file() {
                fs::read(path).unwrap()
            } else {
                Vec::new()
            };
            let (permissions, times) = (found.permissions(), found.modified().unwrap());
            let more = identity(&found);
            into.insert(format!("{path:?} {permissions:?} {times:?} {text:?} {more:?}"));
            if found.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    below(&entry.unwrap().path(), into);
                }
            }
        }
        let mut into = BTreeSet::new();
        below(&self.keys(), &mut into);
        into
    }

    #[track_caller]
    fn assert_keys_untouched(&self) {
        assert_eq!(self.picture(), self.before);
    }
}

/// Tries every operation that changes something, by paths from one descriptor that lead to read-only files.
#[track_caller]
fn assert_nothing_changes(world: &World, guest: &mut Guest, fd: i64, keys: &str) {
    let at = |name: &str| format!("{keys}/{name}");
    for name in ["secret", "sub/deep", "sub/../secret"] {
        let path = at(name);
        assert_eq!(guest.write_at(fd, &path, b"changed"), Err(NOTCAPABLE), "{path}");
        for (oflags, rights, fdflags) in [
            (0, ALL_RIGHTS, 0),
            (0, 1 << 6, 0),
            (TRUNC, READ_RIGHTS, 0),
            (CREAT, READ_RIGHTS, 0),
            (0, READ_RIGHTS, 1),
        ] {
            for lookup in [0, 1] {
                assert_eq!(
                    guest.open_at(fd, &path, lookup, oflags, rights, fdflags),
                    Err(NOTCAPABLE),
                    "{path} {oflags} {rights:x} {fdflags}"
                );
            }
        }
        assert_eq!(guest.unlink_at(fd, &path), NOTCAPABLE, "{path}");
        assert_eq!(guest.touch_at(fd, &path, true), NOTCAPABLE, "{path}");
        assert_eq!(guest.touch_at(fd, &path, false), NOTCAPABLE, "{path}");
        assert_eq!(guest.hard_link_at(fd, &path, 3, "stolen"), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(fd, &path, 3, "stolen"), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(fd, &path, fd, &at("moved")), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(3, "file", fd, &path), NOTCAPABLE, "{path}");
    }
    for name in ["new", "sub/new"] {
        let path = at(name);
        assert_eq!(guest.write_at(fd, &path, b""), Err(NOTCAPABLE), "{path}");
        assert_eq!(
            guest.open_at(fd, &path, 0, CREAT | 4, ALL_RIGHTS, 0),
            Err(NOTCAPABLE)
        );
        assert_eq!(guest.mkdir_at(fd, &path), NOTCAPABLE, "{path}");
        assert_eq!(guest.mkdir_at(fd, &format!("{path}/")), NOTCAPABLE, "{path}");
        assert_eq!(guest.symlink_at("secret", fd, &path), NOTCAPABLE, "{path}");
        assert_eq!(guest.hard_link_at(3, "file", fd, &path), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(3, "file", fd, &path), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(3, "dir", fd, &path), NOTCAPABLE, "{path}");
    }
    assert_eq!(guest.rmdir_at(fd, &at("sub")), NOTCAPABLE);
    assert_eq!(guest.rename_at(fd, &at("sub"), 3, "sub"), NOTCAPABLE);
    assert_eq!(guest.touch_at(fd, &at("."), true), NOTCAPABLE);
    // A descriptor that was opened there can read, and nothing else.
    let rights = READ_RIGHTS | 1 << 8 | 1 << 22 | 1 << 23;
    let file = guest.open_at(fd, &at("secret"), 1, 0, rights, 0).unwrap();
    assert_eq!(guest.call("fd_filestat_set_times", &[file, 0, 0, 10]), NOTCAPABLE);
    assert_eq!(guest.call("fd_filestat_set_size", &[file, 0]), NOTCAPABLE);
    assert_eq!(guest.call("fd_allocate", &[file, 0, 100]), NOTCAPABLE);
    let [list, count] = guest.buffer(DATA, 4);
    assert_eq!(
        guest.call("fd_write", &[file, list, count, OUT.into()]),
        NOTCAPABLE
    );
    assert_eq!(guest.call("fd_close", &[file]), SUCCESS);
    assert_eq!(guest.read_at(fd, &at("secret")).unwrap(), b"as it was");
    world.assert_keys_untouched();
}

/// A guest cannot change what a grant makes read-only, through any grant or path.
#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn read_only_inside_of_read_write() {
    let world = World::new();
    let mut guest = Guest::new(&sandbox_of(
        &[(&world.d, ReadWrite), (&world.keys(), ReadOnly)],
        FILES,
    ));
    for keys in [
        "a/keys",
        "a/../a/keys",
        "./a//keys",
        "dir/empty/../../a/keys",
        "to-keys",
    ] {
        assert_nothing_changes(&world, &mut guest, 3, keys);
    }
    assert_nothing_changes(&world, &mut guest, 4, ".");
    // Through descriptors that were opened along the path, of the directory above and of the keys.
    for (path, below) in [
        ("a", "keys"),
        ("a/keys", "."),
        ("to-keys", "."),
        ("a/keys/sub", ".."),
    ] {
        for oflags in [0, DIRECTORY] {
            let rights = if oflags == 0 {
                READ_RIGHTS | 1 << 13
            } else {
                ALL_RIGHTS
            };
            let fd = guest.open_at(3, path, 1, oflags, rights, 0).unwrap();
            if below == ".." {
                assert_eq!(guest.mkdir_at(fd, "new"), NOTCAPABLE);
            } else if oflags == DIRECTORY {
                assert_nothing_changes(&world, &mut guest, fd, below);
            } else {
                assert_eq!(guest.touch_at(fd, &format!("{below}/secret"), true), NOTCAPABLE);
            }
            assert_eq!(
                guest.call("fd_filestat_set_times", &[fd, 0, 0, 10]) != SUCCESS,
                path != "a" || oflags == 0
            );
            assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
        }
    }
    world.assert_keys_untouched();
}

#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn links_to_read_only_files() {
    let world = World::new();
    let mut guest = Guest::new(&sandbox_of(
        &[(&world.d, ReadWrite), (&world.keys(), ReadOnly)],
        FILES,
    ));
    assert_eq!(guest.symlink("a/keys/secret", "own"), SUCCESS);
    for link in ["to-secret", "twice", "dir/up-to-secret", "own"] {
        assert_eq!(guest.write(link, b"changed"), Err(NOTCAPABLE), "{link}");
        assert_eq!(guest.open(link, TRUNC, READ_RIGHTS), Err(NOTCAPABLE), "{link}");
        assert_eq!(guest.touch_at(3, link, true), NOTCAPABLE, "{link}");
        assert_eq!(guest.read(link).unwrap(), b"as it was", "{link}");
        let fd = guest.open(link, 0, READ_RIGHTS | 1 << 23).unwrap();
        assert_eq!(guest.call("fd_filestat_set_times", &[fd, 0, 0, 10]), NOTCAPABLE);
    }
    assert_eq!(guest.write("to-nothing", b"made"), Err(NOTCAPABLE));
    assert_eq!(guest.open("to-nothing", CREAT | 4, ALL_RIGHTS), Err(EXIST));
    assert_eq!(guest.mkdir("to-sub/new"), NOTCAPABLE);
    assert_eq!(guest.touch_at(3, "to-sub", true), NOTCAPABLE);
    assert_eq!(guest.touch_at(3, "to-keys/", false), NOTCAPABLE);
    // The links themselves are in a writable directory.
    assert_eq!(guest.touch_at(3, "to-secret", false), SUCCESS);
    assert_eq!(guest.hard_link("to-secret", "dir/second"), SUCCESS);
    assert_eq!(guest.rename("to-secret", "renamed"), SUCCESS);
    assert_eq!(guest.unlink("renamed"), SUCCESS);
    assert_eq!(guest.write_at(3, "file/", b""), Err(ISDIR));
    for n in 0..50 {
        symlink(format!("l{}", n + 1), world.d.join(format!("l{n}"))).unwrap();
    }
    fs::write(world.d.join("l50"), "").unwrap();
    assert_eq!(guest.write("l0", b""), Err(LOOP));
    assert_eq!(guest.write("l20", b"far"), Ok(()));
    assert_eq!(fs::read(world.d.join("l50")).unwrap(), b"far");
    symlink("/etc/passwd", world.d.join("absolute")).unwrap();
    symlink("../../outside", world.d.join("dir/outside")).unwrap();
    assert_eq!(guest.write("absolute", b""), Err(PERM));
    assert_eq!(guest.write("dir/outside", b""), Err(PERM));
    assert_eq!(guest.touch_at(3, "dir/outside", true), PERM);
    world.assert_keys_untouched();
}

/// Neither a protected directory nor one above it can be removed, or replaced by another one.
#[test]
fn a_protected_directory_stays_in_place() {
    let world = World::new();
    fs::create_dir(world.d.join("hollow")).unwrap();
    let dirs = [
        (&*world.d, ReadWrite),
        (&world.keys(), ReadOnly),
        (&world.d.join("hollow"), ReadOnly),
    ];
    let mut guest = Guest::new(&sandbox_of(&dirs, FILES));
    for path in ["hollow", "a/keys", "a", "a/", "dir/../a", "a/keys/.."] {
        assert_ne!(guest.rename(path, "gone"), SUCCESS, "{path}");
        assert_ne!(guest.rename_at(3, path, 3, "dir/gone"), SUCCESS, "{path}");
        assert_ne!(guest.rmdir_at(3, path), SUCCESS, "{path}");
        assert_ne!(guest.unlink(path), SUCCESS, "{path}");
        assert_ne!(guest.rename("dir/empty", path), SUCCESS, "{path}");
    }
    assert_eq!(guest.rename("hollow", "gone"), BUSY);
    assert_eq!(guest.rename("a", "gone"), BUSY);
    assert_eq!(guest.rmdir_at(3, "hollow"), BUSY);
    assert_eq!(guest.rename("dir/empty", "hollow"), BUSY);
    assert_eq!(guest.touch_at(3, "hollow", true), NOTCAPABLE);
    assert_eq!(guest.touch_at(3, "a", true), SUCCESS);
    assert!(world.d.join("hollow").is_dir());
    world.assert_keys_untouched();
    // Everything beside it is as writable as before.
    assert_eq!(guest.write("file", b"changed"), Ok(()));
    assert_eq!(guest.write("a/new", b"new"), Ok(()));
    assert_eq!(guest.mkdir("a/made/"), SUCCESS);
    if cfg!(windows) {
        // A directory does not replace another one.
        assert_eq!(guest.rmdir_at(3, "a/made"), SUCCESS);
    }
    assert_eq!(guest.rename("dir", "a/made"), SUCCESS);
    assert_eq!(guest.rmdir_at(3, "a/made/empty/"), SUCCESS);
    if cfg!(unix) {
        assert_eq!(guest.symlink("new", "a/link"), SUCCESS);
        assert_eq!(guest.write("a/link", b"by link"), Ok(()));
    }
    assert_eq!(guest.unlink("a/new/"), NOTDIR);
    assert_eq!(guest.unlink("a/new"), SUCCESS);
}

/// A directory granted read-write inside one granted read-only is writable only through its own descriptor.
#[test]
fn read_write_inside_of_read_only() {
    let world = World::new();
    let open = world.keys().join("open");
    let mut guest = Guest::new(&sandbox_of(&[(&world.d, ReadOnly), (&open, ReadWrite)], FILES));
    assert_eq!(guest.write_at(4, "new", b"written"), Ok(()));
    assert_eq!(guest.rename_at(4, "new", 4, "more/new"), SUCCESS);
    for path in ["file", "a/keys/open/file", "a/keys/open/new"] {
        assert_eq!(guest.write_at(3, path, b""), Err(NOTCAPABLE), "{path}");
        assert_eq!(guest.unlink(path), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename_at(3, path, 4, "stolen"), NOTCAPABLE, "{path}");
        assert_eq!(guest.hard_link_at(3, path, 4, "stolen"), NOTCAPABLE, "{path}");
    }
    assert_eq!(guest.read_at(3, "a/keys/open/more/new").unwrap(), b"written");
}

/// Three levels, writable, read-only, writable again: each governs down to the next.
#[test]
fn nested_three_deep() {
    let world = World::new();
    let (keys, open) = (world.keys(), world.keys().join("open"));
    // In whatever order they are granted.
    for turn in 0..3 {
        let mut dirs: Vec<(&Path, Access)> =
            vec![(&world.d, ReadWrite), (&keys, ReadOnly), (&open, ReadWrite)];
        dirs.rotate_left(turn);
        let fd = |dir: &Path| 3 + dirs.iter().position(|(path, _)| *path == dir).unwrap() as i64;
        let mut guest = Guest::new(&sandbox_of(&dirs, FILES));
        assert_eq!(guest.write_at(fd(&open), "file", b"by its own"), Ok(()));
        assert_eq!(guest.write_at(fd(&open), "more/new", b"new"), Ok(()));
        assert_eq!(guest.write_at(fd(&keys), "open/file", b""), Err(NOTCAPABLE));
        assert_eq!(
            guest.write_at(fd(&world.d), "a/keys/secret", b""),
            Err(NOTCAPABLE)
        );
        // Through the outermost, the innermost still governs.
        assert_eq!(
            guest.write_at(fd(&world.d), "a/keys/open/file", b"from above"),
            Ok(())
        );
        // Its own name is in a read-only directory.
        assert_eq!(
            guest.rename_at(fd(&world.d), "a/keys/open", fd(&world.d), "open"),
            NOTCAPABLE
        );
        // A file that is writable on both sides can be moved between them.
        assert_eq!(
            guest.rename_at(fd(&open), "more/new", fd(&world.d), "new"),
            SUCCESS
        );
        assert_eq!(guest.write_at(fd(&world.d), "new", b"moved"), Ok(()));
        world.assert_keys_untouched();
    }
}

/// Where the parents have to be walked, the walk has a limit.
#[test]
#[cfg_attr(windows, ignore = "paths are shorter than that")]
fn directories_nested_deeper_than_the_limit() {
    let world = World::new();
    let mut guest = Guest::new(&sandbox_of(
        &[(&world.d, ReadWrite), (&world.keys(), ReadOnly)],
        FILES,
    ));
    let (mut fd, mut depth) = (3, 0);
    let errno = loop {
        match guest.mkdir_at(fd, "x") {
            SUCCESS if depth < 1000 => depth += 1,
            errno => break errno,
        }
        let below = guest.open_at(fd, "x", 0, DIRECTORY, ALL_RIGHTS, 0);
        if fd != 3 {
            assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
        }
        match below {
            Ok(below) => fd = below,
            Err(errno) => break errno,
        }
    };
    assert_eq!((depth, errno), (256, NAMETOOLONG));
}

#[test]
fn the_same_directory_twice() {
    let world = World::new();
    for (first, second) in [(ReadWrite, ReadOnly), (ReadOnly, ReadWrite), (ReadOnly, ReadOnly)] {
        let keys = world.keys();
        let mut guest = Guest::new(&sandbox_of(&[(&keys, first), (&keys, second)], FILES));
        assert_nothing_changes(&world, &mut guest, 3, ".");
        assert_nothing_changes(&world, &mut guest, 4, ".");
    }
    let mut guest = Guest::new(&sandbox_of(
        &[(&world.d, ReadWrite), (&world.d, ReadWrite)],
        FILES,
    ));
    assert_eq!(guest.write_at(3, "a/keys/secret", b"3"), Ok(()));
    assert_eq!(guest.write_at(4, "a/keys/secret", b"4"), Ok(()));
    assert_eq!(guest.rename_at(3, "a", 4, "dir/a"), SUCCESS);
}

/// Through another path of the host, and through a link of the host, it is the same directory.
#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn a_directory_is_recognized_by_identity_and_not_by_path() {
    let world = World::new();
    let around = world.d.join("dir/../a/./keys");
    for keys in [world.d.join("to-keys"), around] {
        let mut guest = Guest::new(&sandbox_of(&[(&world.d, ReadWrite), (&keys, ReadOnly)], FILES));
        assert_nothing_changes(&world, &mut guest, 3, "a/keys");
    }
}
