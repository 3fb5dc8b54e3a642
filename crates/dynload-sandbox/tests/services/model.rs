//! Guests and the host itself rename, link, open and write in random order below nested directories, and a
//! checker outside looks for violations: something read-only or outside that changed, something read from
//! outside, a link of a guest that leads out.

use super::{
    escapes::Done,
    guest::{errno::*, *},
};
use cap_std::{ambient_authority, fs::Dir};
use dynload_caps::Access::{ReadOnly, ReadWrite};
use dynload_sandbox::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);
const OUTSIDE: &[u8] = b"what is outside";
const KEY: &[u8] = b"as it was";

/// The targets of a guest's links contain this, to distinguish them from the host's.
const MARK: &str = "guest";

/// Numbers that look random, and repeat with the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len())]
    }

    fn path(&mut self) -> String {
        const NAMES: [&str; 14] = [
            "a", "keys", "open", "w", "w", "s", "t", "s", "secret", "sub", "..", "..", ".", "dir",
        ];
        let names: Vec<_> = (0..=self.throw(4)).map(|_| self.one(&NAMES)).collect();
        // With a trailing slash the system follows a link even where it should not.
        let slash = if self.throw(10) == 0 { "/" } else { "" };
        names.join("/") + slash
    }
}

/// `d` is granted, with `a/keys` read-only and `a/keys/open` read-write in it; `outside` and `elsewhere` are not.
struct World {
    root: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
    done: AtomicBool,
    calls: AtomicU64,
    successes: AtomicU64,
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        for dir in [
            "d/a/keys/sub",
            "d/a/keys/open",
            "d/w/dir",
            "outside/dir",
            "elsewhere",
        ] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for (file, bytes) in [
            ("outside/secret", OUTSIDE),
            ("outside/dir/secret", OUTSIDE),
            ("d/a/keys/secret", KEY),
            ("d/a/keys/sub/secret", KEY),
            ("d/w/secret", b"a file"),
        ] {
            fs::write(root.path().join(file), bytes).unwrap();
        }
        let mut world = World {
            root,
            before: BTreeMap::new(),
            done: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            successes: AtomicU64::new(0),
        };
        world.before = world.picture();
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Everything that must not change, with its modification time.
    fn picture(&self) -> BTreeMap<PathBuf, String> {
        fn below(path: &Path, into: &mut BTreeMap<PathBuf, String>) {
            let found = fs::symlink_metadata(path).unwrap();
            let bytes = if found.is_file() {
                fs::read(path).unwrap()
            } else {
                Vec::new()
            };
            let changed = if path.ends_with("open") {
                (0, 0)
            } else {
                (found.mtime(), found.mtime_nsec())
            };
            let text = format!("{:?} {} {changed:?} {bytes:?}", found.file_type(), found.ino());
            into.insert(path.into(), text);
            if found.is_dir() && !path.ends_with("open") {
                for entry in fs::read_dir(path).unwrap() {
                    below(&entry.unwrap().path(), into);
                }
            }
        }
        let mut into = BTreeMap::new();
        below(&self.at("outside"), &mut into);
        below(&self.at("d/a/keys"), &mut into);
        into
    }

    #[track_caller]
    fn check(&self, seed: u64) {
        let (now, before) = (self.picture(), &self.before);
        let changed = now
            .iter()
            .filter(|(path, found)| before.get(*path) != Some(found));
        let removed = before.keys().filter(|path| !now.contains_key(*path));
        let (changed, removed): (Vec<_>, Vec<_>) = (changed.collect(), removed.collect());
        assert!(
            changed.is_empty() && removed.is_empty(),
            "seed {seed}: {changed:#?}, removed: {removed:?}"
        );
    }

    /// Checks that no link of a guest leads out of its directory.
    fn check_links(&self, below: &Path) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(target) = fs::read_link(&path) {
                let target = target.to_str().unwrap();
                let leads_out = target.starts_with('/') || target.split('/').any(|part| part == "..");
                assert!(!(target.contains(MARK) && leads_out), "{path:?} -> {target}");
            } else if path.is_dir() {
                self.check_links(&path);
            }
        }
    }

    /// Runs random operations as a guest.
    fn guest(&self, sandbox: &Sandbox, seed: u64) {
        let mut dice = Dice(seed);
        let mut guest = Guest::new(sandbox);
        let given = 3 + sandbox.scopes().dirs.len() as i64;
        let mut fds: Vec<i64> = (3..given).collect();
        while !self.done.load(Ordering::Relaxed) {
            let (fd, other) = (dice.one(&fds), dice.one(&fds));
            let (path, to) = (dice.path(), dice.path());
            let errno = match dice.throw(14) {
                0 => guest.write_at(fd, &path, MARK.as_bytes()).err().unwrap_or(0),
                1 => match guest.read_at(fd, &path) {
                    Ok(bytes) => {
                        assert_ne!(bytes, OUTSIDE, "{path} was read");
                        0
                    }
                    Err(errno) => errno,
                },
                2 => guest.mkdir_at(fd, &path),
                3 => guest.rmdir_at(fd, &path),
                4 => guest.unlink_at(fd, &path),
                5 | 6 => guest.rename_at(fd, &path, other, &to),
                7 => guest.hard_link_at(fd, &path, other, &to),
                8 | 9 => {
                    let target = dice.one(&["../", "/", "w/../../", "", "./s/", "s/.././"]);
                    guest.symlink_at(&format!("{target}{MARK}"), fd, &path)
                }
                10 => guest.symlink_at(dice.one(&["a/keys", "keys", "s", "t/secret", "dir"]), fd, &path),
                11 => guest.touch_at(fd, &path, dice.throw(2) == 0),
                12 => match guest.open_at(fd, &path, 1, DIRECTORY, ALL_RIGHTS, 0) {
                    Ok(opened) => {
                        fds.push(opened);
                        guest.call("fd_filestat_set_times", &[opened, 0, 0, 10])
                    }
                    Err(errno) => errno,
                },
                _ if fds.len() > 12 || dice.throw(200) == 0 => {
                    if dice.throw(2) == 0 {
                        guest.0.reset().unwrap();
                    } else {
                        guest = Guest::new(sandbox);
                    }
                    fds.truncate(given as usize - 3);
                    0
                }
                _ => guest.stat(&path, true),
            };
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.successes
                .fetch_add((errno == SUCCESS).into(), Ordering::Relaxed);
        }
    }

    /// Runs random operations as the host, in the granted directories and beside them, but not in those it
    /// promised not to change. To be sure of that, it uses only names in directories that it holds open.
    fn host(&self, dirs: &[Dir; 4], seed: u64) {
        let mut dice = Dice(seed);
        let outside = self.at("outside").to_str().unwrap().to_string();
        while !self.done.load(Ordering::Relaxed) {
            let names = ["s", "t", "w", "dir"];
            let (dir, other) = (&dirs[dice.throw(4)], &dirs[dice.throw(4)]);
            let (name, to) = (dice.one(&names), dice.one(&names));
            // Many of these fail, because the guests were there first.
            let _ = match dice.throw(8) {
                0 => dir.symlink_contents(&outside, name),
                1 => dir.symlink_contents(
                    dice.one(&["../outside", "../../outside", "../../outside/secret"]),
                    name,
                ),
                2 => dir.symlink_contents(dice.one(&["a/keys", "keys", "../a/keys/secret"]), name),
                3 => dir.create_dir(name),
                4 => dir.remove_file(name),
                _ => dir.rename(name, other, to),
            };
            thread::yield_now();
        }
    }
}

#[test]
fn no_link_leads_out_and_nothing_protected_changes() {
    let prove = std::env::var_os("DYNLOAD_PROVE").is_some();
    let time = Duration::from_secs(if prove { 120 } else { 3 });
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let world = World::new();
    let dir = |path: &str| world.at(path);
    let (d, a, keys, open, w) = (
        dir("d"),
        dir("d/a"),
        dir("d/a/keys"),
        dir("d/a/keys/open"),
        dir("d/w"),
    );
    let sandboxes = [
        sandbox_of(&[(&d, ReadWrite), (&keys, ReadOnly), (&open, ReadWrite)], FILES),
        sandbox_of(
            &[
                (&keys, ReadOnly),
                (&a, ReadWrite),
                (&w, ReadWrite),
                (&d, ReadOnly),
            ],
            FILES,
        ),
    ];
    // Opened before the guests start to move them.
    let held = ["d", "d/a", "d/w", "elsewhere"]
        .map(|path| Dir::open_ambient_dir(dir(path), ambient_authority()).unwrap());
    thread::scope(|scope| {
        let world = &world;
        let _done = Done(&world.done);
        for (n, which) in [0, 0, 1].into_iter().enumerate() {
            let sandbox = &sandboxes[which];
            let seed = seed.wrapping_mul(2 * n as u64 + 3) | 1;
            scope.spawn(move || {
                let _done = Done(&world.done);
                world.guest(sandbox, seed);
            });
        }
        scope.spawn(|| world.host(&held, seed));
        let started = Instant::now();
        while started.elapsed() < time && !world.done.load(Ordering::Relaxed) {
            world.check(seed);
            thread::sleep(Duration::from_millis(50));
        }
    });
    world.check(seed);
    for below in ["d", "elsewhere"] {
        world.check_links(&dir(below));
    }
    let (calls, successes) = (world.calls.into_inner(), world.successes.into_inner());
    assert!(
        calls > 100 && successes > 20,
        "{successes} of {calls} calls succeeded"
    );
}
