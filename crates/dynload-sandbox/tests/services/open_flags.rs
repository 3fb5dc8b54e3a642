//! `path_open`: the rights that its flags require, by the descriptions of the rights in the WASI documents.

use super::guest::*;
use dynload_caps::Access;
use dynload_sandbox::*;
use errno::*;

const FD_DATASYNC: i64 = 1 << 0;
const FD_SYNC: i64 = 1 << 4;
const PATH_CREATE_FILE: i64 = 1 << 10;
const PATH_OPEN: i64 = 1 << 13;
const PATH_FILESTAT_SET_SIZE: i64 = 1 << 19;

const DSYNC: i64 = 2;
const RSYNC: i64 = 8;
const SYNC: i64 = 16;

/// A guest whose directory has lost these rights.
fn without(dir: &std::path::Path, rights: i64) -> Guest {
    // `poll_oneoff` is a function of clocks, too.
    let capabilities = Capabilities::FS_READ | Capabilities::FS_WRITE | Capabilities::TIME;
    let mut guest = Guest::new(&sandbox(dir, Access::ReadWrite, capabilities));
    assert_eq!(guest.call("fd_fdstat_get", &[3, DATA.into()]), SUCCESS);
    let (base, inheriting) = (guest.u64(DATA + 8) as i64, guest.u64(DATA + 16) as i64);
    let set = guest.call("fd_fdstat_set_rights", &[3, base & !rights, inheriting]);
    assert_eq!(set, SUCCESS);
    guest
}

#[test]
fn flags_require_their_rights() {
    let both = FD_SYNC | FD_DATASYNC;
    for (lost, oflags, fdflags, expected) in [
        (PATH_OPEN, 0, 0, NOTCAPABLE),
        (PATH_CREATE_FILE, CREAT, 0, NOTCAPABLE),
        (PATH_CREATE_FILE, TRUNC, 0, SUCCESS),
        (PATH_FILESTAT_SET_SIZE, TRUNC, 0, NOTCAPABLE),
        (PATH_FILESTAT_SET_SIZE, CREAT, 0, SUCCESS),
        (FD_SYNC, 0, SYNC, NOTCAPABLE),
        (FD_SYNC, 0, RSYNC, NOTCAPABLE),
        (FD_SYNC, 0, DSYNC, SUCCESS),
        (FD_DATASYNC, 0, DSYNC, SUCCESS),
        (FD_DATASYNC, 0, SYNC | RSYNC, SUCCESS),
        (both, 0, DSYNC, NOTCAPABLE),
        (both, 0, 0, SUCCESS),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "contents").unwrap();
        let mut guest = without(dir.path(), lost);
        let rights = ALL_RIGHTS & !both;
        let opened = guest.open_with("f", 1, oflags, rights, fdflags);
        let what = format!("without {lost:#x}: oflags {oflags}, fdflags {fdflags}");
        match expected {
            SUCCESS => assert!(opened.is_ok(), "{what}: {opened:?}"),
            errno => {
                assert_eq!(opened, Err(errno), "{what}");
                let contents = std::fs::read_to_string(dir.path().join("f")).unwrap();
                assert_eq!(contents, "contents", "{what}");
            }
        }
    }
}

/// As open(2): a directory is never open for writing.
#[test]
fn a_directory_is_not_opened_for_writing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let mut guest = without(dir.path(), 0);
    for oflags in [0, DIRECTORY] {
        let [ptr, len] = guest.path("d");
        let open = |guest: &mut Guest, base: i64| {
            guest.call(
                "path_open",
                &[3, 1, ptr, len, oflags, base, ALL_RIGHTS, 0, OUT.into()],
            )
        };
        assert_eq!(open(&mut guest, 1 << 6), ISDIR, "oflags {oflags}");
        assert_eq!(open(&mut guest, READ_RIGHTS), SUCCESS, "oflags {oflags}");
    }
    // What the path names comes first.
    std::fs::write(dir.path().join("f"), "").unwrap();
    for (name, expected) in [("missing", NOENT), ("f", NOTDIR)] {
        let opened = guest.open_with(name, 1, DIRECTORY, 1 << 6, 0);
        assert_eq!(opened, Err(expected), "{name}");
    }
}

/// The WASI documents: the right to seek implies the right to tell.
#[test]
fn the_right_to_seek_implies_the_right_to_tell() {
    const FD_SEEK: i64 = 1 << 2;
    const FD_TELL: i64 = 1 << 5;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "contents").unwrap();
    let mut guest = without(dir.path(), 0);
    for (rights, tell, seek) in [
        (FD_SEEK, SUCCESS, SUCCESS),
        (FD_TELL, SUCCESS, NOTCAPABLE),
        (1 << 1, NOTCAPABLE, NOTCAPABLE),
    ] {
        let fd = guest.open_with("f", 1, 0, rights, 0).unwrap();
        assert_eq!(guest.call("fd_tell", &[fd, OUT.into()]), tell, "{rights}");
        assert_eq!(guest.call("fd_seek", &[fd, 0, 1, OUT.into()]), tell, "{rights}");
        assert_eq!(guest.call("fd_seek", &[fd, 1, 0, OUT.into()]), seek, "{rights}");
    }
}

/// A file that was not opened for synchronized writes does not become one: a flag without effect would be a false promise.
#[test]
fn synchronization_is_decided_when_a_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = without(dir.path(), 0);
    let fd = guest.open_with("f", 1, CREAT, ALL_RIGHTS, 0).unwrap();
    for flags in [DSYNC, RSYNC, SYNC] {
        for fd in [fd, 3] {
            assert_eq!(guest.call("fd_fdstat_set_flags", &[fd, flags]), INVAL, "{flags}");
        }
    }
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd, 1]), SUCCESS);
}

/// Go requests the right to change the size of a file that it opens to read.
#[test]
fn a_file_is_read_whatever_rights_over_its_size_are_requested() {
    const RIGHTS: i64 = READ_RIGHTS | 1 << 8 | 1 << 22;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "contents").unwrap();
    let (read, both) = (
        Capabilities::FS_READ,
        Capabilities::FS_READ | Capabilities::FS_WRITE,
    );
    for (access, capabilities) in [
        (Access::ReadOnly, read),
        (Access::ReadWrite, read),
        (Access::ReadWrite, both),
    ] {
        let mut guest = Guest::new(&sandbox(dir.path(), access, capabilities));
        let fd = guest.open_with("f", 1, 0, RIGHTS, 0).unwrap();
        // As ftruncate(2): only a descriptor that is open for writing changes the size.
        for (call, args) in [
            ("fd_filestat_set_size", vec![fd, 0]),
            ("fd_allocate", vec![fd, 0, 100]),
        ] {
            assert_eq!(guest.call(call, &args), NOTCAPABLE);
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "contents");
    }
}

/// A right to change the size of a file has no meaning on a directory, and is dropped.
#[test]
fn a_directory_is_opened_without_rights_over_files() {
    const FD_ALLOCATE: i64 = 1 << 8;
    const FD_FILESTAT_SET_SIZE: i64 = 1 << 22;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let mut guest = without(dir.path(), 0);
    for oflags in [0, DIRECTORY] {
        let rights = READ_RIGHTS | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
        let fd = guest.open_with("d", 1, oflags, rights, 0).unwrap();
        assert_eq!(guest.call("fd_fdstat_get", &[fd, DATA.into()]), SUCCESS);
        let base = guest.u64(DATA + 8) as i64;
        assert_eq!(base & (FD_ALLOCATE | FD_FILESTAT_SET_SIZE), 0);
    }
    let created = guest.open_with("d", 1, CREAT, READ_RIGHTS | FD_ALLOCATE, 0);
    assert_eq!(created, Err(ISDIR));
}

/// To wait for data requires the right to it.
#[test]
fn polling_requires_the_right_to_the_data() {
    const FD_READ: i64 = 1 << 1;
    const FD_WRITE: i64 = 1 << 6;
    const POLL_FD_READWRITE: i64 = 1 << 27;
    const TO_READ: u8 = 1;
    const TO_WRITE: u8 = 2;
    const SUBSCRIPTION: u32 = DATA + 1_000;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "contents").unwrap();
    let mut guest = without(dir.path(), 0);
    for (rights, kind, expected) in [
        (FD_READ | POLL_FD_READWRITE, TO_READ, SUCCESS),
        (FD_READ | POLL_FD_READWRITE, TO_WRITE, NOTCAPABLE),
        (FD_WRITE | POLL_FD_READWRITE, TO_READ, NOTCAPABLE),
        (FD_WRITE | POLL_FD_READWRITE, TO_WRITE, SUCCESS),
        (FD_READ, TO_READ, NOTCAPABLE),
    ] {
        let fd = guest.open_with("f", 1, 0, rights, 0).unwrap();
        guest.put(SUBSCRIPTION, &[0; 48]);
        guest.put(SUBSCRIPTION + 8, &[kind]);
        guest.put(SUBSCRIPTION + 16, &(fd as u32).to_le_bytes());
        let polled = guest.call("poll_oneoff", &[SUBSCRIPTION.into(), DATA.into(), 1, OUT.into()]);
        // If all subscriptions are denied, the call is.
        assert_eq!(polled, expected, "rights {rights:#x}, kind {kind}");
    }
}
