//! Names of files, listings of directories, and a file system that behaves like the host's own.

use super::guest::{errno::*, *};
use dynload_caps::{Access, DirScope};
use dynload_sandbox::*;
use proptest::prelude::*;
use std::{collections::BTreeSet, path::Path};

pub(crate) const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);

pub(crate) fn world() -> (tempfile::TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::new(&sandbox(dir.path(), Access::ReadWrite, FILES));
    (dir, guest)
}

#[test]
fn hard_links_are_names_of_one_file() {
    let (dir, mut guest) = world();
    guest.write("one", b"text").unwrap();
    assert_eq!(guest.hard_link("one", "two"), SUCCESS);
    assert_eq!(guest.hard_link("one", "two"), EXIST);
    assert_eq!(guest.stat("two", true), SUCCESS);
    assert_eq!(guest.u64(OUT + 24), 2);
    assert_eq!(guest.unlink("one"), SUCCESS);
    assert_eq!(guest.read("two").unwrap(), b"text");
    assert_eq!(std::fs::read(dir.path().join("two")).unwrap(), b"text");
}

/// A second name in a writable directory would make a read-only file writable.
#[test]
fn no_links_out_of_a_read_only_directory() {
    let (fixed, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(fixed.path().join("file"), "fixed").unwrap();
    let mut scopes = Scopes::none();
    for (dir, name, access) in [
        (&fixed, "/fixed", Access::ReadOnly),
        (&open, "/open", Access::ReadWrite),
    ] {
        scopes
            .dirs
            .push(DirScope::new(dir.path().to_str().unwrap(), name, access).unwrap());
    }
    let mut guest = Guest::new(
        &Sandbox::new(Limits::DEFAULT)
            .with_capabilities(FILES)
            .with_scopes(scopes),
    );
    let [old, old_len] = guest.other_path("file");
    let [new, new_len] = guest.path("new");
    for (from, to) in [(3, 4), (4, 3), (3, 3)] {
        assert_eq!(
            guest.call("path_link", &[from, 0, old, old_len, to, new, new_len]),
            NOTCAPABLE
        );
        assert_eq!(
            guest.call("path_rename", &[from, old, old_len, to, new, new_len]),
            NOTCAPABLE
        );
    }
}

/// Lists a directory with buffers of a size, and returns the names in order.
fn list(guest: &mut Guest, fd: i64, size: u32) -> Vec<String> {
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        assert_eq!(
            guest.call("fd_readdir", &[fd, DATA.into(), size.into(), cookie, OUT.into()]),
            SUCCESS
        );
        let used = guest.u32(OUT);
        let bytes = guest.bytes(DATA, used);
        let mut at = 0;
        while at + 24 <= bytes.len() {
            let len = u32::from_le_bytes(bytes[at + 16..at + 20].try_into().unwrap()) as usize;
            if at + 24 + len > bytes.len() {
                break;
            }
            cookie = i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            names.push(String::from_utf8(bytes[at + 24..at + 24 + len].to_vec()).unwrap());
            at += 24 + len;
        }
        if used < size {
            return names;
        }
    }
}

#[test]
fn directories_are_listed_completely_with_any_buffer() {
    let (dir, mut guest) = world();
    let mut wanted = BTreeSet::from([".".to_string(), "..".to_string()]);
    for n in 0..300 {
        let name = format!("{n}-{}", "x".repeat(n % 100));
        std::fs::write(dir.path().join(&name), "").unwrap();
        wanted.insert(name);
    }
    for size in [150, 151, 200, 1000, 4096, 60_000] {
        let names = list(&mut guest, 3, size);
        assert_eq!(names.len(), wanted.len(), "{size}");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), wanted, "{size}");
    }
    // An earlier cookie leads back to its position.
    let all = list(&mut guest, 3, 60_000);
    for cookie in [0, 1, 2, 3, 77, 299, 301] {
        assert_eq!(
            guest.call("fd_readdir", &[3, DATA.into(), 400, cookie, OUT.into()]),
            SUCCESS
        );
        let len = guest.u32(DATA + 16);
        assert_eq!(guest.bytes(DATA + 24, len), all[cookie as usize].as_bytes());
    }
    for cookie in [302, 303, 1_000_000, i64::MAX, -1] {
        assert_eq!(
            guest.call("fd_readdir", &[3, DATA.into(), 400, cookie, OUT.into()]),
            SUCCESS
        );
        assert_eq!(guest.u32(OUT), 0, "{cookie}");
    }
    // Removing all that was listed leaves nothing.
    let names = list(&mut guest, 3, 60_000);
    for name in names.iter().skip(2) {
        assert_eq!(guest.unlink(name), SUCCESS);
    }
    assert_eq!(list(&mut guest, 3, 4096), [".", ".."]);
}

#[test]
fn appending_and_positions() {
    let (dir, mut guest) = world();
    let fd = guest.open_with("log", 1, CREAT, ALL_RIGHTS, 1).unwrap();
    guest.put(DATA, b"abcdef");
    let [list, count] = guest.buffer(DATA, 3);
    for _ in 0..2 {
        assert_eq!(guest.call("fd_seek", &[fd, 0, 0, OUT.into()]), SUCCESS);
        assert_eq!(guest.call("fd_write", &[fd, list, count, OUT.into()]), SUCCESS);
    }
    assert_eq!(std::fs::read(dir.path().join("log")).unwrap(), b"abcabc");
    // An explicit offset is used, whatever the append flag says.
    guest.buffer(DATA + 3, 2);
    assert_eq!(
        guest.call("fd_pwrite", &[fd, list, count, 1, OUT.into()]),
        SUCCESS
    );
    assert_eq!(std::fs::read(dir.path().join("log")).unwrap(), b"adeabc");
    // The flag can be cleared.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd, 0]), SUCCESS);
    assert_eq!(guest.call("fd_seek", &[fd, 0, 0, OUT.into()]), SUCCESS);
    assert_eq!(guest.call("fd_write", &[fd, list, count, OUT.into()]), SUCCESS);
    assert_eq!(std::fs::read(dir.path().join("log")).unwrap(), b"deeabc");
    assert_eq!(guest.call("fd_tell", &[fd, OUT.into()]), SUCCESS);
    assert_eq!(guest.u64(OUT), 2);
}

#[test]
fn dropped_rights_cannot_be_regained() {
    let (_dir, mut guest) = world();
    guest.write("file", b"text").unwrap();
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    assert_eq!(guest.call("fd_fdstat_set_rights", &[fd, 1 << 1, 0]), SUCCESS);
    let [list, count] = guest.buffer(DATA, 4);
    assert_eq!(guest.call("fd_read", &[fd, list, count, OUT.into()]), SUCCESS);
    assert_eq!(guest.call("fd_write", &[fd, list, count, OUT.into()]), NOTCAPABLE);
    assert_eq!(guest.call("fd_seek", &[fd, 0, 0, OUT.into()]), NOTCAPABLE);
    assert_eq!(
        guest.call("fd_fdstat_set_rights", &[fd, 1 << 1 | 1 << 6, 0]),
        NOTCAPABLE
    );
    // A right that is not among a directory's inheriting rights is unavailable below it.
    assert_eq!(guest.call("fd_fdstat_set_rights", &[3, 1 << 13, 1 << 1]), SUCCESS);
    assert_eq!(guest.open("file", 0, 1 << 6), Err(NOTCAPABLE));
    let [ptr, len] = guest.path("file");
    assert_eq!(
        guest.call("path_open", &[3, 0, ptr, len, 0, 1 << 1, 0, 0, OUT.into()]),
        SUCCESS
    );
}

#[test]
fn renumbering_replaces_a_descriptor() {
    let (_dir, mut guest) = world();
    guest.write("a", b"first").unwrap();
    guest.write("b", b"second").unwrap();
    let (a, b) = (
        guest.open("a", 0, READ_RIGHTS).unwrap(),
        guest.open("b", 0, READ_RIGHTS).unwrap(),
    );
    assert_eq!(guest.call("fd_renumber", &[a, b]), SUCCESS);
    let [list, count] = guest.buffer(DATA, 10);
    assert_eq!(guest.call("fd_read", &[a, list, count, OUT.into()]), BADF);
    assert_eq!(guest.call("fd_read", &[b, list, count, OUT.into()]), SUCCESS);
    assert_eq!(guest.bytes(DATA, 5), b"first");
    assert_eq!(guest.call("fd_renumber", &[b, 10_000]), BADF);
    assert_eq!(guest.call("fd_renumber", &[b, b]), SUCCESS);
    assert_eq!(guest.call("fd_tell", &[b, OUT.into()]), SUCCESS);
}

/// An operation on a small tree.
#[derive(Debug, Clone)]
enum Step {
    Write(String, Vec<u8>),
    Append(String, Vec<u8>),
    Truncate(String, u8),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
    HardLink(String, String),
    Symlink(String, String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = prop::sample::select(vec!["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "./a", "d/../b"])
        .prop_map(String::from);
    let bytes = prop::collection::vec(any::<u8>(), 0..20);
    let target = prop::sample::select(vec!["a", "b", "d", "e", "nothing"]).prop_map(String::from);
    let two = (path.clone(), path.clone());
    let step = prop_oneof![
        (path.clone(), bytes.clone()).prop_map(|(path, bytes)| Step::Write(path, bytes)),
        (path.clone(), bytes).prop_map(|(path, bytes)| Step::Append(path, bytes)),
        (path.clone(), any::<u8>()).prop_map(|(path, size)| Step::Truncate(path, size)),
        path.clone().prop_map(Step::Mkdir),
        path.clone().prop_map(Step::Rmdir),
        path.clone().prop_map(Step::Unlink),
        two.clone().prop_map(|(old, new)| Step::Rename(old, new)),
        two.prop_map(|(old, new)| Step::HardLink(old, new)),
        (target, path).prop_map(|(target, path)| Step::Symlink(target, path)),
    ];
    prop::collection::vec(step, 1..25)
}

/// Runs a step on the host's own file system. Returns whether it succeeded.
fn on_the_host(dir: &Path, step: &Step) -> bool {
    use std::{fs, io::Write};
    let at = |path: &str| dir.join(path);
    match step {
        Step::Write(path, bytes) => fs::write(at(path), bytes).is_ok(),
        Step::Append(path, bytes) => {
            let file = fs::OpenOptions::new().append(true).create(true).open(at(path));
            file.and_then(|mut file| file.write_all(bytes)).is_ok()
        }
        Step::Truncate(path, size) => {
            let file = fs::OpenOptions::new().write(true).open(at(path));
            file.and_then(|file| file.set_len((*size).into())).is_ok()
        }
        Step::Mkdir(path) => fs::create_dir(at(path)).is_ok(),
        Step::Rmdir(path) => fs::remove_dir(at(path)).is_ok(),
        Step::Unlink(path) => fs::remove_file(at(path)).is_ok(),
        Step::Rename(old, new) => fs::rename(at(old), at(new)).is_ok(),
        Step::HardLink(old, new) => fs::hard_link(at(old), at(new)).is_ok(),
        Step::Symlink(target, path) => std::os::unix::fs::symlink(target, at(path)).is_ok(),
    }
}

fn in_the_guest(guest: &mut Guest, step: &Step) -> bool {
    match step {
        Step::Write(path, bytes) => guest.write(path, bytes).is_ok(),
        Step::Append(path, bytes) => {
            let Ok(fd) = guest.open_with(path, 1, CREAT, ALL_RIGHTS & !(1 << 1), 1) else {
                return false;
            };
            guest.put(DATA, bytes);
            let [list, count] = guest.buffer(DATA, bytes.len() as u32);
            let errno = guest.call("fd_write", &[fd, list, count, OUT.into()]);
            guest.call("fd_close", &[fd]);
            errno == SUCCESS
        }
        Step::Truncate(path, size) => {
            let Ok(fd) = guest.open(path, 0, 1 << 6 | 1 << 22) else {
                return false;
            };
            let errno = guest.call("fd_filestat_set_size", &[fd, (*size).into()]);
            guest.call("fd_close", &[fd]);
            errno == SUCCESS
        }
        Step::Mkdir(path) => guest.mkdir(path) == SUCCESS,
        Step::Rmdir(path) => {
            let [ptr, len] = guest.path(path);
            guest.call("path_remove_directory", &[3, ptr, len]) == SUCCESS
        }
        Step::Unlink(path) => guest.unlink(path) == SUCCESS,
        Step::Rename(old, new) => guest.rename(old, new) == SUCCESS,
        Step::HardLink(old, new) => guest.hard_link(old, new) == SUCCESS,
        Step::Symlink(target, path) => guest.symlink(target, path) == SUCCESS,
    }
}

/// Collects everything below a directory, as text.
pub(crate) fn picture(dir: &Path, below: &str, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir.join(below)).unwrap() {
        let path = format!(
            "{below}/{}",
            entry.as_ref().unwrap().file_name().to_str().unwrap()
        );
        let ty = entry.unwrap().file_type().unwrap();
        let at = dir.join(path.trim_start_matches('/'));
        if ty.is_dir() {
            into.insert(format!("{path}/"));
            picture(dir, path.trim_start_matches('/'), into);
        } else if ty.is_symlink() {
            into.insert(format!("{path} -> {:?}", std::fs::read_link(at).unwrap()));
        } else {
            into.insert(format!("{path} = {:?}", std::fs::read(at).unwrap()));
        }
    }
}

/// Checks that a guest can do in its directory what the host can in another, with the same result.
fn compare(steps: &[Step], dir: &Path, mut guest: Guest) -> Result<(), TestCaseError> {
    let host = tempfile::tempdir().unwrap();
    for (n, step) in steps.iter().enumerate() {
        let wanted = on_the_host(host.path(), step);
        prop_assert_eq!(in_the_guest(&mut guest, step), wanted, "step {}: {:?}", n, step);
    }
    let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
    picture(host.path(), "", &mut wanted);
    picture(dir, "", &mut found);
    prop_assert_eq!(wanted, found);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("DYNLOAD_PROVE").is_some() { 5000 } else { 150 },
        fork: false,
        failure_persistence: None,
        rng_algorithm: prop::test_runner::RngAlgorithm::ChaCha,
        ..ProptestConfig::default()
    })]

    /// Operations that stay inside have the same effect as on the host.
    #[test]
    fn operations_behave_as_on_the_host(steps in steps()) {
        let (dir, guest) = world();
        compare(&steps, dir.path(), guest)?;
    }

    /// The same beside a protected directory, where each change is made from a directory that was checked.
    #[test]
    fn operations_behave_as_on_the_host_beside_a_protected_directory(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let keys = tempfile::tempdir_in(dir.path()).unwrap();
        let guest = Guest::new(&sandbox_of(&[(dir.path(), Access::ReadWrite), (keys.path(), Access::ReadOnly)], FILES));
        // The protected directory stays open, but is moved elsewhere.
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::rename(keys.path(), elsewhere.path().join("keys")).unwrap();
        compare(&steps, dir.path(), guest)?;
    }
}
