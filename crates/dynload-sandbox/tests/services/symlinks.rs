//! Symbolic links that guests create, move and give second names: none leads out of the directory that it is in.

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

/// A link leads to something below the directory that it is in, or is not created.
#[test]
fn a_guest_cannot_create_a_link_that_leads_out() {
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
            let again = wanted == SUCCESS && below == "a/b/../"; // `a` again
            let wanted = if again { EXIST } else { wanted };
            assert_eq!(guest.symlink(target, &path), wanted, "{path} -> {target}");
        }
    }
}

/// `..` after a directory does not lead out. It is not stored: `a` could become something else.
#[test]
fn a_link_through_a_directory_and_back() {
    let (dir, mut guest) = world();
    for path in ["a", "a/b", "a/b/c"] {
        assert_eq!(guest.mkdir(path), SUCCESS);
    }
    fs::write(dir.path().join("x"), "").unwrap();
    symlink("a/b", dir.path().join("to_b")).unwrap();
    symlink("/usr/lib", dir.path().join("out")).unwrap();
    for (n, (target, stored)) in [
        ("a/../x", "x"),
        ("a/b/../../x", "x"),
        ("a/../a/../a/b/../b", "a/b"),
        ("./a/./../x", "x"),
        ("a/..", "."),
        ("a/../a/", "a/"),
        ("a/../", "./"),
        ("a/../x/.", "x/"),
        ("a/../nothing/y", "nothing/y"),
    ]
    .into_iter()
    .enumerate()
    {
        let link = format!("link{n}");
        assert_eq!(guest.symlink(target, &link), SUCCESS, "{target}");
        assert_eq!(fs::read_link(dir.path().join(link)).unwrap().as_os_str(), stored);
    }
    // The target is relative to the directory that contains the link.
    assert_eq!(guest.symlink("b/../x", "a/link"), SUCCESS);
    assert_eq!(fs::read_link(dir.path().join("a/link")).unwrap(), Path::new("x"));
    assert_eq!(guest.symlink("a/../x", "a/other"), PERM);
    for target in [
        "x/../a",
        "missing/../x",
        "to_b/../x",
        "out/../x",
        "out/../../etc",
        "a/to/../../x",
        "a/../..",
        "a/../../x",
        "a/b/../../../x",
        "/a/../x",
    ] {
        assert_eq!(guest.symlink(target, "refused"), PERM, "{target}");
    }
    for (times, expected) in [(40, SUCCESS), (41, PERM)] {
        let far = "a/../".repeat(times) + "x";
        assert_eq!(guest.symlink(&far, "far"), expected, "{times}");
    }
}

/// A link moves with its directory, and needs nothing above it.
#[test]
fn moving_a_link_never_makes_it_lead_out() {
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

/// Links that others created are moved like any other file.
#[test]
fn links_created_by_others_are_moved_like_files() {
    let (dir, mut guest) = world();
    assert_eq!(guest.mkdir("a"), SUCCESS);
    symlink("../x", dir.path().join("a/link")).unwrap();
    assert_eq!(guest.rename("a/link", "link"), SUCCESS);
    assert_eq!(guest.hard_link("link", "a/second"), SUCCESS);
    // The guest still cannot follow it.
    assert_eq!(guest.read("link"), Err(PERM));
}

/// Another guest that changes where the link ends up, while it is created, gains nothing.
#[test]
fn a_race_creates_no_link_that_leads_out() {
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
