//! The cache: right when it is used, thrown away when it is odd, whole when processes are killed.

mod support;

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use dynload_discovery::{CacheLocation, Discovery, ProblemKind, Scanner, SearchPath};
use support::{Plugins, ids, manifest};

fn counts(found: &Discovery) -> (usize, usize) {
    (found.stats.parsed, found.stats.cached)
}

fn discarded(found: &Discovery) -> bool {
    found
        .problems
        .iter()
        .any(|problem| matches!(problem.kind, ProblemKind::CacheDiscarded { .. }))
}

fn three() -> Plugins {
    let plugins = Plugins::new();
    for id in ["a", "b", "c"] {
        plugins.plugin(id, id, "1.0.0", "");
    }
    plugins
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let plugins = three();
    let scanner = plugins.cached();
    assert_eq!(counts(&scanner.scan()), (3, 0));
    assert_eq!(counts(&scanner.scan()), (0, 3));
    assert_eq!(counts(&plugins.cached().scan()), (0, 3));
    assert_eq!(counts(&scanner.rescan(true)), (3, 0));
    assert_eq!(counts(&scanner.scan()), (0, 3));
    fs::remove_dir_all(plugins.root().join("b")).unwrap();
    assert_eq!(ids(&scanner.scan()), ["a", "c"]);
    plugins.plugin("b", "new", "1.0.0", "");
    assert_eq!(counts(&scanner.scan()), (1, 2));
}

/// Same length, same name, and the time of modification set back: the inode or the time of change still tells.
#[test]
fn a_change_that_hides_is_seen() {
    let plugins = three();
    let old = SystemTime::now() - Duration::from_secs(3600);
    let toml = plugins.root().join("a/plugin.toml");
    File::options()
        .write(true)
        .open(&toml)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let scanner = plugins.cached();
    let _ = scanner.scan();
    for version in ["2.0.0", "3.0.0"] {
        fs::write(&toml, manifest("a", version, "plugin.wasm", "")).unwrap();
        File::options()
            .write(true)
            .open(&toml)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let found = scanner.scan();
        assert_eq!(found.get("a").unwrap().version().unwrap().to_string(), version);
        assert_eq!(
            found.get("a").unwrap().manifest().unwrap().version.to_string(),
            version
        );
    }
    // An entry that was rebuilt in place is found with its new size.
    fs::write(
        plugins.root().join("a/plugin.wasm"),
        b"\0asm\x01\0\0\0\0\x02\x01x",
    )
    .unwrap();
    assert_eq!(scanner.scan().get("a").unwrap().read_entry(99).unwrap().len(), 12);
    fs::remove_file(plugins.root().join("a/plugin.wasm")).unwrap();
    let found = scanner.scan();
    assert!(matches!(found.problems[0].kind, ProblemKind::EntryMissing { .. }));
}

#[test]
fn programs_with_other_search_paths_keep_their_records() {
    let (one, two) = (three(), three());
    let scanner = |plugins: &Plugins| Scanner::new(plugins.path()).cache(CacheLocation::File(one.cache()));
    assert_eq!(counts(&scanner(&one).scan()), (3, 0));
    assert_eq!(counts(&scanner(&two).scan()), (3, 0));
    assert_eq!(counts(&scanner(&one).scan()), (0, 3));
    assert_eq!(counts(&scanner(&two).scan()), (0, 3));
}

#[test]
fn what_other_programs_found_stays() {
    let (one, two) = (three(), three());
    let scanner = |plugins: &Plugins| Scanner::new(plugins.path()).cache(CacheLocation::File(one.cache()));
    let (first, second) = (scanner(&one), scanner(&two));
    let (of_first, of_second) = (first.scan(), second.scan());
    let audit = |scanner: &Scanner, found: &Discovery| scanner.audit(found.get("a").unwrap()).unwrap();
    audit(&first, &of_first);
    audit(&second, &of_second);
    second.save_cache().unwrap();
    let with_one = fs::metadata(one.cache()).unwrap().len();
    first.save_cache().unwrap();
    let with_both = fs::metadata(one.cache()).unwrap().len();
    assert!(with_both > with_one, "{with_both} bytes after {with_one}");
    // Scanning by force forgets what is one's own, and that only.
    assert_eq!(counts(&scanner(&two).rescan(true)), (3, 0));
    assert_eq!(fs::metadata(one.cache()).unwrap().len(), with_one);
    assert_eq!(counts(&scanner(&one).scan()), (0, 3));
    // What is known of a plugin that is gone goes with it.
    fs::remove_dir_all(one.root().join("a")).unwrap();
    let _ = scanner(&one).scan();
    assert_eq!(counts(&scanner(&one).scan()), (0, 2));
    one.plugin("a", "a", "1.0.0", "");
    let _ = scanner(&one).scan();
    let without = fs::metadata(one.cache()).unwrap().len();
    assert!(without < with_one, "{without} bytes after {with_one}");
}

#[test]
fn an_odd_file_is_no_cache() {
    let plugins = three();
    let expected = plugins.cached().scan();
    let good = fs::read(plugins.cache()).unwrap();
    let mut odd: Vec<Vec<u8>> = (0..good.len()).step_by(7).map(|at| good[..at].to_vec()).collect();
    for at in (0..good.len()).step_by(5) {
        let mut damaged = good.clone();
        damaged[at] ^= 1 << (at % 8);
        odd.push(damaged);
    }
    odd.extend([
        b"".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
        [good.as_slice(), b"x"].concat(),
    ]);
    for bytes in odd {
        fs::write(plugins.cache(), &bytes).unwrap();
        let found = plugins.cached().scan();
        assert_eq!(
            (counts(&found), discarded(&found)),
            ((3, 0), true),
            "{} bytes",
            bytes.len()
        );
        assert_eq!(ids(&found), ids(&expected));
        assert_eq!(fs::read(plugins.cache()).unwrap().len(), good.len());
    }
    assert_eq!(counts(&plugins.cached().scan()), (0, 3));
}

#[test]
fn a_cache_for_another_platform_is_none() {
    let plugins = three();
    let _ = plugins.cached().scan();
    let found = plugins
        .cached()
        .platform("windows-aarch64".parse().unwrap())
        .scan();
    assert_eq!((counts(&found), discarded(&found)), ((3, 0), true));
}

#[cfg(unix)]
#[test]
fn a_cache_that_is_not_the_users_own_is_none() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let plugins = three();
    let _ = plugins.cached().scan();
    assert_eq!(
        fs::metadata(plugins.cache()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(plugins.cache().parent().unwrap())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    fs::set_permissions(plugins.cache(), fs::Permissions::from_mode(0o666)).unwrap();
    let found = plugins.cached().scan();
    assert_eq!((counts(&found), discarded(&found)), ((3, 0), true));
    assert_eq!(counts(&plugins.cached().scan()), (0, 3));
    let elsewhere = plugins.cache().with_file_name("elsewhere");
    fs::rename(plugins.cache(), &elsewhere).unwrap();
    symlink(&elsewhere, plugins.cache()).unwrap();
    let found = plugins.cached().scan();
    assert_eq!((counts(&found), discarded(&found)), ((3, 0), true));
    assert!(!fs::symlink_metadata(plugins.cache()).unwrap().is_symlink());
    // Only an administrator can give files away.
    if std::os::unix::fs::chown(plugins.cache(), Some(4_242), None).is_ok() {
        let found = plugins.cached().scan();
        assert_eq!((counts(&found), discarded(&found)), ((3, 0), true));
        assert_eq!(counts(&plugins.cached().scan()), (0, 3));
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_said_and_nothing_else() {
    let plugins = three();
    let file = plugins.write("../file", "");
    let found = Scanner::new(plugins.path())
        .cache(CacheLocation::File(file.join("cache")))
        .scan();
    assert_eq!(ids(&found), ["a", "b", "c"]);
    assert!(
        found
            .problems
            .iter()
            .any(|one| matches!(one.kind, ProblemKind::CacheNotWritten(_)))
    );
}

#[test]
fn an_audit_that_could_not_be_written_is_written_later() {
    let plugins = three();
    let scanner = plugins.cached();
    let found = scanner.scan();
    scanner.audit(found.get("a").unwrap()).unwrap();
    let directory = plugins.cache().parent().unwrap().to_owned();
    fs::rename(&directory, directory.with_extension("away")).unwrap();
    fs::write(&directory, "in the way").unwrap();
    scanner.save_cache().unwrap_err();
    fs::remove_file(&directory).unwrap();
    scanner.save_cache().unwrap();
    assert!(plugins.cache().exists());
}

const CHILD: &str = "DYNLOAD_TEST_CHILD";

/// What the processes of the next test do: change a plugin, scan, and so on until they are killed.
#[test]
#[ignore = "a part of `two_processes_killed_at_random`"]
fn child() {
    let dirs = std::env::var(CHILD).unwrap();
    let (root, rest) = dirs.split_once('|').unwrap();
    let (cache, own) = rest.split_once('|').unwrap();
    let scanner = Scanner::new(SearchPath::empty().first(root)).cache(CacheLocation::File(cache.into()));
    let toml = std::path::Path::new(root).join(own).join("plugin.toml");
    for round in 0.. {
        let spare = toml.with_extension("new");
        fs::write(&spare, manifest(own, &format!("1.0.{round}"), "plugin.wasm", "")).unwrap();
        fs::rename(spare, &toml).unwrap();
        let found = scanner.scan();
        // The other process may be anywhere, but the own plugin is as it was just written, and a cache is never half.
        assert_eq!(found.get(own).unwrap().manifest().unwrap().version.patch, round);
        assert!(!discarded(&found), "{:?}", found.problems);
    }
}

#[test]
fn two_processes_killed_at_random() {
    let plugins = Plugins::new();
    for number in 0..40 {
        plugins.plugin(&format!("p{number}"), &format!("p{number}"), "1.0.0", "");
    }
    let start = |own: &str| {
        let value = format!("{}|{}|{own}", plugins.root().display(), plugins.cache().display());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env(CHILD, value)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let rounds = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        500
    } else {
        12
    };
    let mut pause = 0u64;
    for _ in 0..rounds {
        let mut children = [start("p0"), start("p1")];
        // How long is of no matter: the point of the scan at which they are killed differs each time.
        pause = (pause * 37 + 61) % 251;
        std::thread::sleep(Duration::from_millis(40 + pause));
        for child in &mut children {
            assert!(child.try_wait().unwrap().is_none(), "a process failed by itself");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let cached = plugins.cached().scan();
        let forced = Scanner::new(plugins.path()).cache(CacheLocation::None).scan();
        assert!(!discarded(&cached), "{:?}", cached.problems);
        let versions = |found: &Discovery| -> Vec<String> {
            found
                .plugins
                .iter()
                .map(|plugin| plugin.version().unwrap().to_string())
                .collect()
        };
        assert_eq!(versions(&cached), versions(&forced));
    }
    assert!(plugins.cache().exists());
}
