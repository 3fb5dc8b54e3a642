//! Symbolic links that guests make, move and give second names: none of them leads out of the directory that it is in.

use super::{
    escapes::Done,
    guest::{errno::*, *},
    links::{FILES, picture, world},
};
use dynload_caps::Access;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// A link leads to something below the directory that it is in, or is not made.
#[test]
fn a_guest_makes_no_link_that_leads_out() {
    let (_dir, mut guest) = world();
    for path in ["a", "a/b", "a/b/c"] {
        assert_eq!(guest.mkdir(path), SUCCESS);
    }
    for (n, (target, wanted)) in [
        ("/etc/passwd", PERM),
        ("/", PERM),
        ("..", PERM),
        ("../x", PERM),
        ("./..", PERM),
        ("a/../x", PERM),
        ("x/..", PERM),
        ("x/../", PERM),
        ("a/../../outside", PERM),
        (".//../x", PERM),
        ("a/b", SUCCESS),
        ("./a//b/", SUCCESS),
        (".", SUCCESS),
        ("..x/...", SUCCESS),
        ("nothing", SUCCESS),
        ("", NOENT),
    ]
    .into_iter()
    .enumerate()
    {
        for below in ["", "a/", "a/b/c/", "a/b/../"] {
            let path = format!("{below}link{n}");
            let again = wanted == SUCCESS && below == "a/b/../"; // `a` once more
            let wanted = if again { EXIST } else { wanted };
            assert_eq!(guest.symlink(target, &path), wanted, "{path} -> {target}");
        }
    }
}

/// A link goes where its directory goes, and needs nothing from above it.
#[test]
fn moving_makes_no_link_that_leads_out() {
    let (dir, mut guest) = world();
    for path in ["a", "a/b", "a/b/c"] {
        assert_eq!(guest.mkdir(path), SUCCESS);
    }
    // Deep as seen from the directory of the guest, at the top as seen from the descriptor of `a/b`.
    assert_eq!(guest.symlink("../../../etc", "a/b/c/link"), PERM);
    let fd = guest.open("a/b", DIRECTORY, ALL_RIGHTS).unwrap();
    assert_eq!(guest.symlink_at("../x", fd, "c/link"), PERM);
    assert_eq!(guest.symlink_at("x", fd, "c/link"), SUCCESS);
    assert_eq!(guest.rename_at(fd, "c", 3, "up"), SUCCESS);
    assert_eq!(guest.rename("up/link", "link"), SUCCESS);
    assert_eq!(guest.hard_link("link", "a/second"), SUCCESS);
    for link in ["link", "a/second"] {
        assert_eq!(fs::read_link(dir.path().join(link)).unwrap(), Path::new("x"));
    }
}

/// What others made is moved as any other file.
#[test]
fn links_of_others_are_moved_as_files_are() {
    let (dir, mut guest) = world();
    assert_eq!(guest.mkdir("a"), SUCCESS);
    symlink("../x", dir.path().join("a/link")).unwrap();
    assert_eq!(guest.rename("a/link", "link"), SUCCESS);
    assert_eq!(guest.hard_link("link", "a/second"), SUCCESS);
    // It leads the guest nowhere all the same.
    assert_eq!(guest.read("link"), Err(PERM));
}

/// A worker that changes where the link comes to lie, while it is made, moved or gets a second name, wins nothing by it.
#[test]
fn a_race_makes_no_link_that_leads_out() {
    let (dir, mut guest) = world();
    for path in ["a", "a/b"] {
        assert_eq!(guest.mkdir(path), SUCCESS);
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sandbox = sandbox(dir.path(), Access::ReadWrite, FILES);
        let done = &done;
        scope.spawn(move || {
            let mut other = Guest::new(&sandbox);
            assert_eq!(other.symlink("a/b", "deep"), SUCCESS);
            assert_eq!(other.symlink(".", "shallow"), SUCCESS);
            while !done.load(Ordering::Relaxed) {
                for name in ["deep", "shallow"] {
                    assert_eq!(other.rename(name, "s"), SUCCESS);
                    assert_eq!(other.rename("s", name), SUCCESS);
                }
            }
        });
        let _done = Done(done);
        for n in 0..3000 {
            for target in ["../..", "../../etc", "../x"] {
                let errno = guest.symlink(target, "s/link");
                assert_eq!(errno, PERM, "{n}");
            }
        }
    });
    let mut found = BTreeSet::new();
    picture(dir.path(), "", &mut found);
    assert!(!found.iter().any(|entry| entry.contains("..")), "{found:?}");
}
