//! Paths that try to leave a directory do not lead out: with the system call `openat2` and without it.

use super::guest::{errno::*, *};
use dynload_caps::Access;
use dynload_sandbox::*;
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);
const SECRET: &[u8] = b"what is outside";

/// `inside` is granted to the guest, `outside` is not.
struct World {
    _dir: tempfile::TempDir,
    inside: PathBuf,
    outside: PathBuf,
    guest: Guest,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
        std::fs::create_dir_all(inside.join("a/b/c")).unwrap();
        std::fs::write(inside.join("file"), "inside").unwrap();
        std::fs::write(inside.join("a/b/c/deep"), "deep inside").unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("secret"), SECRET).unwrap();
        let guest = Guest::new(&sandbox(&inside, Access::ReadWrite, FILES));
        World {
            _dir: dir,
            inside,
            outside,
            guest,
        }
    }

    fn secret(&self) -> String {
        self.outside.join("secret").to_str().unwrap().into()
    }

    /// Asserts that nothing outside was changed, created or removed.
    #[track_caller]
    fn assert_nothing_happened(&self) {
        assert_eq!(std::fs::read(self.outside.join("secret")).unwrap(), SECRET);
        let names: Vec<_> = std::fs::read_dir(&self.outside)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(
            std::fs::read_dir(self.outside.parent().unwrap()).unwrap().count(),
            2
        );
    }

    /// Asserts that every operation fails on this path, which leads out.
    #[track_caller]
    fn assert_refused(&mut self, path: &str) {
        // A link is a name like any other: linking or replacing it does not follow it.
        let is_link = std::fs::symlink_metadata(self.inside.join(path)).is_ok_and(|found| found.is_symlink());
        let guest = &mut self.guest;
        let refused = [
            PERM,
            NOTCAPABLE,
            NOENT,
            LOOP,
            NOTDIR,
            EXIST,
            ISDIR,
            INVAL,
            NAMETOOLONG,
        ];
        let mut outcomes = vec![
            ("read", guest.read(path).err().unwrap_or(0)),
            ("write", guest.write(path, b"changed").err().unwrap_or(0)),
            (
                "open a directory",
                guest.open(path, DIRECTORY, READ_RIGHTS).err().unwrap_or(0),
            ),
            ("stat", guest.stat(path, true)),
        ];
        if !is_link {
            outcomes.push(("link from", guest.hard_link(path, "stolen")));
            outcomes.push(("link to", guest.hard_link("file", path)));
            outcomes.push(("rename to", guest.rename("file", path)));
        }
        outcomes.push(("times", guest.touch_at(3, path, true)));
        let slash = format!("{path}/");
        outcomes.push(("times with a slash", guest.touch_at(3, &slash, false)));
        for (what, errno) in outcomes {
            assert!(refused.contains(&errno), "{what} {path:?} returned {errno}");
        }
        self.assert_nothing_happened();
    }
}

#[test]
fn dots_and_absolute_paths() {
    let mut world = World::new();
    let secret = world.secret();
    for path in [
        "..",
        "../",
        "../outside",
        "../outside/secret",
        "./../outside/secret",
        "a/../../outside/secret",
        "a/b/c/../../../../outside/secret",
        "a/b/c/../../../../../../../../../../etc/passwd",
        "../inside/../outside/secret",
        "//../outside/secret",
        "/",
        "//",
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "a//..//../outside/secret",
        "a/..../b",
        "../outside/secret/",
    ] {
        world.assert_refused(path);
    }
    world.assert_refused(&secret);
    for path in ["../outside/new", "/tmp/dynload-escaped", "a/../../new"] {
        assert_eq!(world.guest.mkdir(path), PERM, "{path}");
        assert_eq!(world.guest.symlink("file", path), PERM, "{path}");
        assert_eq!(world.guest.rename("file", path), PERM, "{path}");
        assert_eq!(world.guest.rename(path, "file"), PERM, "{path}");
        assert_eq!(world.guest.unlink(path), PERM, "{path}");
    }
    world.assert_nothing_happened();
    assert!(!Path::new("/tmp/dynload-escaped").exists());
}

#[test]
fn paths_that_stay_inside() {
    let mut world = World::new();
    for path in [
        "file",
        "./file",
        "a/../file",
        "a/b/../../file",
        "a/b/c/../../../file",
        ".//file",
        "a/./b/.././../file",
    ] {
        assert_eq!(world.guest.read(path).unwrap(), b"inside", "{path}");
    }
    assert_eq!(world.guest.stat(".", true), SUCCESS);
    assert_eq!(world.guest.stat("a/..", true), SUCCESS);
}

#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn links_that_lead_out() {
    let mut world = World::new();
    let World { inside, outside, .. } = &world;
    symlink(outside.join("secret"), inside.join("absolute")).unwrap();
    symlink("../outside/secret", inside.join("relative")).unwrap();
    symlink("../../../outside", inside.join("a/b/directory")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("/", inside.join("root")).unwrap();
    symlink("/proc/self/root", inside.join("magic")).unwrap();
    symlink("/proc/self/cwd", inside.join("cwd")).unwrap();
    symlink("absolute", inside.join("twice")).unwrap();
    symlink("a/b/directory", inside.join("through")).unwrap();
    symlink("../outside/nothing-there", inside.join("dangling")).unwrap();
    for path in [
        "absolute",
        "relative",
        "a/b/directory/secret",
        "up/outside/secret",
        "root/etc/passwd",
        "magic/etc/passwd",
        "cwd/Cargo.toml",
        "twice",
        "through/secret",
        "dangling",
        "up/inside/../outside/secret",
    ] {
        world.assert_refused(path);
    }
    // The target of such a link is not revealed either, if it is absolute.
    let [ptr, len] = world.guest.path("root");
    assert_eq!(
        world
            .guest
            .call("path_readlink", &[3, ptr, len, DATA.into(), 100, OUT.into()]),
        PERM
    );
}

#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn links_that_stay_inside() {
    let mut world = World::new();
    symlink("../file", world.inside.join("a/up")).unwrap();
    symlink("a/b", world.inside.join("down")).unwrap();
    symlink("down/../up", world.inside.join("around")).unwrap();
    for path in ["a/up", "around", "down/../up"] {
        assert_eq!(world.guest.read(path).unwrap(), b"inside", "{path}");
    }
    assert_eq!(world.guest.read("down/c/deep").unwrap(), b"deep inside");
    // Without the flag to follow links, a link is not followed.
    assert_eq!(world.guest.open_with("a/up", 0, 0, READ_RIGHTS, 0), Err(LOOP));
}

#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn links_in_loops() {
    let mut world = World::new();
    symlink("loop", world.inside.join("loop")).unwrap();
    symlink("pong", world.inside.join("ping")).unwrap();
    symlink("ping", world.inside.join("pong")).unwrap();
    for n in 0..100 {
        symlink(format!("chain{}", n + 1), world.inside.join(format!("chain{n}"))).unwrap();
    }
    for path in ["loop", "ping", "loop/x", "chain0"] {
        assert_eq!(world.guest.read(path), Err(LOOP), "{path}");
        assert_eq!(world.guest.stat(path, true), LOOP, "{path}");
    }
    assert_eq!(world.guest.stat("loop", false), SUCCESS);
}

#[test]
fn long_and_odd_names() {
    let mut world = World::new();
    let most = "x".repeat(255);
    assert_eq!(world.guest.write(&most, b"long"), Ok(()));
    assert_eq!(world.guest.read(&most).unwrap(), b"long");
    assert_eq!(world.guest.write(&"x".repeat(256), b""), Err(NAMETOOLONG));
    assert_eq!(world.guest.read(&"a/../".repeat(1000)), Err(NAMETOOLONG));
    assert_eq!(
        world.guest.read(&format!("{}file", "a/../".repeat(800))).unwrap(),
        b"inside"
    );
    let odd = ["-rf", "~", "$HOME", "é", "日本", "🦀"];
    // Windows gives these another meaning.
    let unix = [" ", "new\nline", "tab\t", "*", "a\\b", "con", "a:b", "..."];
    for odd in odd.into_iter().chain(unix.into_iter().filter(|_| cfg!(unix))) {
        assert_eq!(world.guest.write(odd, odd.as_bytes()), Ok(()), "{odd:?}");
        assert_eq!(
            std::fs::read(world.inside.join(odd)).unwrap(),
            odd.as_bytes(),
            "{odd:?}"
        );
        assert_eq!(world.guest.read(odd).unwrap(), odd.as_bytes(), "{odd:?}");
    }
    assert_eq!(world.guest.read(""), Err(NOENT));
    assert_eq!(world.guest.read("a\0b"), Err(INVAL));
    world.guest.put(PATH, &[b'a', 0xff, 0xfe]);
    assert_eq!(
        world.guest.call("path_create_directory", &[3, PATH.into(), 3]),
        25
    );
}

/// A grant of `/proc` would be foolish; even so, its magic links lead nowhere.
#[test]
#[cfg_attr(windows, ignore = "/proc is of Linux")]
fn links_of_proc() {
    let mut guest = Guest::new(&sandbox(Path::new("/proc/self"), Access::ReadOnly, FILES));
    for path in [
        "root/etc/passwd",
        "cwd/Cargo.toml",
        "exe",
        "fd/0",
        "root",
        "../1/environ",
    ] {
        let errno = guest.read(path).unwrap_err();
        assert!([LOOP, PERM].contains(&errno), "{path} returned {errno}");
    }
    assert!(guest.read("status").unwrap().starts_with(b"Name:"));
}

/// Stops the other thread, even if an assertion in this one fails: the scope waits for both.
pub(crate) struct Done<'a>(pub(crate) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A component of the path alternates between a directory and a link to the outside.
#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn a_directory_that_becomes_a_link() {
    let mut world = World::new();
    let (inside, outside) = (world.inside.clone(), world.outside.clone());
    std::fs::create_dir(inside.join("real")).unwrap();
    std::fs::write(inside.join("real/secret"), "harmless").unwrap();
    symlink(&outside, inside.join("evil")).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for kind in ["real", "evil"] {
                    std::fs::rename(inside.join(kind), inside.join("swap")).unwrap();
                    std::fs::rename(inside.join("swap"), inside.join(kind)).unwrap();
                }
                symlink(&outside, inside.join("swap")).unwrap();
                std::fs::remove_file(inside.join("swap")).unwrap();
            }
        });
        let _done = Done(&done);
        // Until both cases have occurred often enough for the test to mean something.
        let (mut harmless, mut refused, mut tries) = (0, 0, 0);
        let started = std::time::Instant::now();
        while tries < 2000 || harmless < 3 || refused < 3 {
            assert!(
                started.elapsed().as_secs() < 40,
                "{harmless} harmless, {refused} refused of {tries}"
            );
            tries += 1;
            match world.guest.read("swap/secret") {
                Ok(bytes) => {
                    assert_eq!(bytes, b"harmless");
                    harmless += 1;
                }
                Err(PERM) => refused += 1,
                // INVAL: without `openat2`, a component that was a link when it was opened can be a directory
                // when it is read.
                Err(errno) => assert!([NOENT, LOOP, NOTDIR, AGAIN, INVAL].contains(&errno), "{errno}"),
            }
        }
    });
    world.assert_nothing_happened();
}

/// A directory moves out while `..` is resolved from inside it.
#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn a_parent_that_is_moved() {
    let mut world = World::new();
    let (inside, root) = (world.inside.clone(), world.outside.parent().unwrap().to_owned());
    std::fs::write(inside.join("outside"), "").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::fs::rename(inside.join("a/b"), root.join("b")).unwrap();
                std::fs::rename(root.join("b"), inside.join("a/b")).unwrap();
            }
        });
        let _done = Done(&done);
        for _ in 0..3000 {
            match world.guest.read("a/b/../../outside/secret") {
                Ok(bytes) => panic!("read {:?}", String::from_utf8_lossy(&bytes)),
                Err(errno) => assert!(
                    [NOENT, PERM, NOTDIR, NOTCAPABLE, AGAIN, LOOP].contains(&errno),
                    "{errno}"
                ),
            }
        }
    });
    world.assert_nothing_happened();
}

/// All of these tests again on a system without `openat2`, where paths are walked step by step.
#[cfg(target_os = "linux")]
#[test]
fn without_openat2() {
    if std::env::var_os("DYNLOAD_NO_OPENAT2").is_some() {
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_openat2");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests_c/no_openat2.c");
    let built = std::process::Command::new("cc")
        .arg(source)
        .arg("-o")
        .arg(&program)
        .status()
        .unwrap();
    assert!(built.success());
    let output = std::process::Command::new(program)
        .arg(std::env::current_exe().unwrap())
        .args([
            "escapes::",
            "links::",
            "grants::",
            "overlap::",
            "file_endings::",
            "model::",
        ])
        .env("DYNLOAD_NO_OPENAT2", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    // Otherwise a renamed test could make this filter match nothing.
    assert!(
        text.contains("test escapes::links_that_lead_out ... ok"),
        "{text}"
    );
    assert!(text.contains("test links::"), "{text}");
}
