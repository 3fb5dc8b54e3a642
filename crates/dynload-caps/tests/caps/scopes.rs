//! Directories, variables, programs, and the intersection of two sets of scopes.

use dynload_caps::{Access, Capabilities, DirScope, EnvScope, Grant, ProgramScope, ScopeError, Scopes};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[track_caller]
fn dir(host: &str, guest: &str, access: Access) -> DirScope {
    DirScope::new(host, guest, access).unwrap()
}

#[track_caller]
fn narrowed(have: &[DirScope], want: &[DirScope]) -> Vec<DirScope> {
    let scopes = |dirs: &[DirScope]| dirs.iter().cloned().fold(Scopes::none(), Scopes::with_dir);
    scopes(have).intersection(&scopes(want)).dirs
}

use Access::{ReadOnly, ReadWrite};

#[test]
fn a_directory_inside_an_allowed_one_is_granted_and_one_outside_is_not() {
    let have = [dir("/srv/data", "/data", ReadWrite)];
    assert_eq!(
        narrowed(&have, &[dir("/srv/./data//x/", "/x", ReadOnly)]),
        [dir("/srv/./data//x/", "/x", ReadOnly)]
    );
    for outside in [
        "/srv/database",
        "/srv",
        "srv/data",
        "/srv/data/../secret",
        "/",
        "data",
        ".",
    ] {
        let granted = narrowed(&have, &[dir(outside, "/x", ReadWrite)]);
        assert!(
            granted.iter().all(|dir| dir.host == "/srv/data"),
            "{outside}: {granted:?}"
        );
    }
    assert_eq!(narrowed(&have, &[dir("/srv/database", "/x", ReadWrite)]), []);
    assert_eq!(
        narrowed(&have, &[dir("/srv/data/../secret", "/x", ReadWrite)]),
        []
    );
}

#[test]
fn a_directory_without_links_stays_without_links() {
    let plain = |host: &str| dir(host, "/x", ReadWrite);
    let fixed = |host: &str| plain(host).without_links();
    for (have, want) in [
        (fixed("/srv"), fixed("/srv/a")),
        (fixed("/srv"), plain("/srv/a")),
        (plain("/srv"), fixed("/srv/a")),
        (fixed("/srv/a"), fixed("/srv")),
        (fixed("/srv/a"), plain("/srv")),
    ] {
        let granted = narrowed(&[have], &[want]);
        assert!(
            granted.iter().all(|dir| dir.no_links) && granted.len() == 1,
            "{granted:?}"
        );
    }
    // The path is that of the host, which may have links.
    assert!(!narrowed(&[plain("/srv/a")], &[fixed("/srv")])[0].no_links);
    // Listed twice, the lesser one applies.
    assert!(narrowed(&[plain("/srv")], &[plain("/srv"), fixed("/srv")])[0].no_links);
}

/// A read-only directory inside a writable one stays read-only, whatever else is requested.
#[test]
fn a_read_only_directory_inside_a_granted_one_is_granted_too() {
    let have = [
        dir("/srv/data", "/data", ReadWrite),
        dir("/srv/data/keys", "/keys", ReadOnly),
        dir("/srv/other", "/other", ReadWrite),
    ];
    let both = [
        dir("/srv/data", "/x", ReadWrite),
        dir("/srv/data/keys", "/x/keys", ReadOnly),
    ];
    assert_eq!(narrowed(&have, &[dir("/srv/data", "/x", ReadWrite)]), both);
    // Requesting it separately with more access does not increase the access.
    let again = [
        dir("/srv/data", "/x", ReadWrite),
        dir("/srv/data/keys", "/x/keys", ReadWrite),
    ];
    assert_eq!(narrowed(&have, &again), both);
    // A plugin that uses the name for another directory cannot write there.
    let taken = dir("/srv/other", "/x/keys", ReadWrite);
    assert_eq!(
        narrowed(&have, &[taken.clone(), dir("/srv/data", "/x", ReadWrite)]),
        [taken, dir("/srv/data", "/x", ReadOnly)]
    );
}

/// If a directory is listed twice, the lesser access applies.
#[test]
fn a_directory_allowed_twice_has_the_lesser_access() {
    let (less, more) = (
        dir("/srv/data", "/a", ReadOnly),
        dir("/srv/data", "/b", ReadWrite),
    );
    for have in [[less.clone(), more.clone()], [more, less]] {
        for (want, host, guest) in [
            ("/srv/data", "/srv/data", "/x"),
            ("/srv/data/in", "/srv/data/in", "/x"),
            ("/srv", "/srv/data", "/x/data"),
        ] {
            assert_eq!(
                narrowed(&have, &[dir(want, "/x", ReadWrite)]),
                [dir(host, guest, ReadOnly)]
            );
        }
    }
}

#[test]
fn the_lesser_access_is_granted() {
    for (have, want, granted) in [
        (ReadOnly, ReadWrite, ReadOnly),
        (ReadWrite, ReadOnly, ReadOnly),
        (ReadWrite, ReadWrite, ReadWrite),
    ] {
        assert_eq!(
            narrowed(&[dir("/d", "/h", have)], &[dir("/d", "/g", want)]),
            [dir("/d", "/g", granted)]
        );
    }
    // The innermost allowed directory decides: a read-only island stays read-only.
    let have = [dir("/d", "/d", ReadWrite), dir("/d/island", "/i", ReadOnly)];
    assert_eq!(
        narrowed(&have, &[dir("/d/island/x", "/x", ReadWrite)]),
        [dir("/d/island/x", "/x", ReadOnly)]
    );
}

#[test]
fn allowed_directories_inside_the_requested_one_are_granted() {
    let have = [
        dir("/srv/a", "/whatever", ReadOnly),
        dir("/srv/b/c", "/other", ReadWrite),
    ];
    assert_eq!(
        narrowed(&have, &[dir("/srv", "/root/", ReadWrite)]),
        [
            dir("/srv/a", "/root/a", ReadOnly),
            dir("/srv/b/c", "/root/b/c", ReadWrite)
        ]
    );
    assert_eq!(
        narrowed(&have, &[dir("/", "/", ReadOnly)])[0],
        dir("/srv/a", "/srv/a", ReadOnly)
    );
}

#[test]
fn the_working_directory_is_not_the_root() {
    assert_eq!(
        narrowed(&[dir(".", "/", ReadOnly)], &[dir("/etc", "/etc", ReadOnly)]),
        []
    );
    assert_eq!(
        narrowed(&[dir("/", "/", ReadOnly)], &[dir("etc", "/etc", ReadOnly)]),
        []
    );
    assert_eq!(
        narrowed(&[dir(".", "/", ReadOnly)], &[dir("x", "/x", ReadOnly)]).len(),
        1
    );
}

#[test]
fn variables_programs_and_workers_are_intersected() {
    let env = |name: &str, value: Option<&str>| EnvScope {
        name: name.into(),
        value: value.map(Into::into),
    };
    let program = |path: &str| ProgramScope { path: path.into() };
    let have = Scopes::none()
        .with_env(env("A", None))
        .with_env(env("B", Some("host")))
        .with_env(env("C", None))
        .with_program(program("/bin/ls"))
        .with_max_workers(4);
    let want = Scopes::none()
        .with_env(env("A", None))
        .with_env(env("B", Some("plugin")))
        .with_env(env("C", Some("plugin")))
        .with_env(env("D", None))
        .with_program(program("/bin/sh"))
        .with_program(program("/bin/ls"))
        .with_max_workers(9);
    let granted = have.intersection(&want);
    assert_eq!(
        granted.env,
        [env("A", None), env("B", Some("host")), env("C", Some("plugin"))]
    );
    assert_eq!(
        granted.programs,
        [ProgramScope {
            path: "/bin/ls".into()
        }]
    );
    assert_eq!(granted.max_workers, 4);
}

#[test]
fn invalid_entries_are_refused() {
    assert!(matches!(
        DirScope::new("", "/x", ReadOnly),
        Err(ScopeError::Dir { .. })
    ));
    assert!(matches!(
        DirScope::new("/x", "", ReadOnly),
        Err(ScopeError::Dir { .. })
    ));
    assert!(matches!(
        DirScope::new("/x", "/a/../b", ReadOnly),
        Err(ScopeError::Dir { .. })
    ));
    assert!(matches!(
        DirScope::new("/x\0", "/a", ReadOnly),
        Err(ScopeError::Dir { .. })
    ));
    for name in ["", "A=B", "A\0"] {
        assert!(
            matches!(EnvScope::host(name), Err(ScopeError::Env { .. })),
            "{name:?}"
        );
    }
    assert!(EnvScope::fixed("A", "x\0y").is_err());
    for path in [
        "",
        "ls",
        "./ls",
        "../bin/ls",
        "/bin/../bin/ls",
        "/bin/./ls",
        "/bin/",
        "/bin/l\0s",
    ] {
        assert!(
            matches!(ProgramScope::new(path), Err(ScopeError::Program { .. })),
            "{path:?}"
        );
        assert!(!ProgramScope { path: path.into() }.matches(path), "{path:?}");
    }
    #[cfg(unix)]
    assert!(
        ProgramScope::new("C:\\Windows\\cmd.exe").is_err(),
        "a relative name here"
    );

    let twice = |one: &str, two: &str| {
        Scopes::none()
            .with_dir(dir("/a", one, ReadOnly))
            .with_dir(dir("/b", two, ReadOnly))
    };
    assert!(matches!(
        twice("/x", "/x/.").validate(),
        Err(ScopeError::DuplicateGuest { .. })
    ));
    assert_eq!(twice("/x", "/y").validate(), Ok(()));
    let names = vec![EnvScope::host("A").unwrap(), EnvScope::fixed("A", "1").unwrap()];
    let scopes = names.into_iter().fold(Scopes::none(), Scopes::with_env);
    assert!(matches!(scopes.validate(), Err(ScopeError::DuplicateEnv { .. })));
}

#[test]
fn the_intersection_of_grants_covers_flags_and_scopes() {
    let mut host = Grant::none().with_capabilities(Capabilities::NETWORK | Capabilities::TIME);
    host.scopes.net.push("*:443".parse().unwrap());
    let mut requested = Grant::none().with_capabilities(Capabilities::all());
    requested.scopes.net.push("example.com:*".parse().unwrap());
    requested.scopes.net.push("10.0.0.1:443".parse().unwrap());
    let granted = host.intersection(&requested);
    assert_eq!(granted.capabilities, Capabilities::NETWORK | Capabilities::TIME);
    assert_eq!(granted.scopes.net, ["example.com:443".parse().unwrap()]);
    assert_eq!(host.intersection(&Grant::none()), Grant::none());
}

#[cfg(windows)]
#[test]
fn a_share_or_a_drive_is_not_below_another() {
    let is_below = |top: &str, path: &str| {
        !narrowed(&[dir(top, "/a", ReadOnly)], &[dir(path, "/b", ReadOnly)]).is_empty()
    };
    for (top, path) in [
        ("/", "//server/share"),
        ("/", r"\\server\share\a"),
        (r"\\server", r"\\server\share"),
        (r"\\server\share", r"\\server\other"),
        (r"\\server\a", r"\\server\ab"),
        (r"C:\", r"D:\a"),
        ("C:", r"C:\a"),
        (r"C:\", "C:a"),
        (r"C:\a", r"\\?\C:\a\b"),
        (".", r"\a"),
        (".", r"C:\a"),
        (".", "C:a"),
    ] {
        assert!(!is_below(top, path), "{path} is not below {top}");
    }
    for (top, path) in [
        (r"\\server\share", r"\\server\share\a"),
        (r"\\?\C:\a", r"\\?\C:\a\b"),
        (r"C:\", r"C:/a\b"),
        (r"C:\a\.", r"C:\a"),
        (r"\", "/a"),
    ] {
        assert!(is_below(top, path), "{path} is below {top}");
    }
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["a", "b", "ab", ".", "..", ""][..]), 0..5)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn cases(short: u32, long: u32) -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (long, RngSeed::Random),
        None => (short, RngSeed::Fixed(0x6479_6e6c_6f61_6401)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(2_000, 100_000))]
    /// Every granted directory is inside an allowed and a requested one, with no more access than either of them; paths
    /// are compared with the standard library.
    #[test]
    fn only_allowed_directories_are_granted(
        have in prop::collection::vec((path(), any::<bool>()), 0..4),
        want in prop::collection::vec((path(), any::<bool>()), 0..4),
    ) {
        let dirs = |list: Vec<(String, bool)>| -> Vec<DirScope> {
            list.into_iter().enumerate().map(|(at, (host, write))| {
                dir(&host, &format!("/{at}"), if write { ReadWrite } else { ReadOnly })
            }).collect()
        };
        let (have, want) = (dirs(have), dirs(want));
        for granted in narrowed(&have, &want) {
            let within = |top: &&DirScope| std::path::Path::new(&granted.host).starts_with(&top.host);
            // (`starts_with` does not resolve `..`, so that is checked separately.)
            let climbs = granted.host.split('/').any(|part| part == "..");
            prop_assert!(!climbs, "{granted:?}");
            prop_assert!(have.iter().filter(within).any(|top| granted.access <= top.access), "{granted:?}");
            prop_assert!(want.iter().filter(within).any(|top| granted.access <= top.access), "{granted:?}");
        }
    }
}
