//! The cache of audits: correct when it is used, discarded when it is damaged, consistent when processes are killed.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Plugins, ids};
use dynload_discovery::{Audit, CacheLocation, Discovery, ProblemKind, Scanner, SearchPath};

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

/// Returns a module that exports one function with this name.
fn module(export: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(module (func (export "{export}")))"#)).unwrap()
}

/// Audits every plugin, and writes the cache.
fn audit_all(scanner: &Scanner) -> Vec<Audit> {
    let found = scanner.scan();
    let audits = found
        .plugins
        .iter()
        .map(|plugin| scanner.audit(plugin).unwrap())
        .collect();
    scanner.save_cache().unwrap();
    audits
}

/// Waits until a later write is certain to change the times of the files.
fn settle() {
    std::thread::sleep(Duration::from_millis(2_100));
}

/// Identifies one state of the cache file: each write replaces the file.
#[cfg(unix)]
fn written(plugins: &Plugins) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(plugins.cache()).unwrap())
}

/// An audit from the cache adds no record, and without a new record the cache is not written.
#[cfg(unix)]
#[test]
fn an_unchanged_file_is_not_audited_again() {
    let plugins = three();
    settle();
    let audits = audit_all(&plugins.cached());
    let first = written(&plugins);
    for _ in 0..3 {
        assert_eq!(audit_all(&plugins.cached()), audits);
        assert_eq!(written(&plugins), first);
    }
    plugins.write("b/plugin.wasm", module("new"));
    let changed = audit_all(&plugins.cached());
    assert_ne!(written(&plugins), first);
    assert_eq!((&changed[0], &changed[2]), (&audits[0], &audits[2]));
    assert_ne!(changed[1].hash, audits[1].hash);
}

/// The length and the name are the same, and the modification time is set back: the inode or the change time still differs. The
/// standard library has neither on Windows.
#[cfg(unix)]
#[test]
fn a_hidden_change_is_detected() {
    let plugins = three();
    let old = std::time::SystemTime::now() - Duration::from_secs(3600);
    let write = |export: &str| {
        let path = plugins.write("a/plugin.wasm", module(export));
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    };
    let scanner = plugins.cached();
    for export in ["one", "two", "six"] {
        write(export);
        settle();
        let audits = audit_all(&scanner);
        let cold = Scanner::new(plugins.path()).with_cache(CacheLocation::None);
        assert_eq!(audits, audit_all(&cold), "{export}");
    }
}

#[cfg(unix)]
#[test]
fn programs_with_different_search_paths_share_a_cache() {
    let (one, two) = (three(), three());
    let scanner =
        |plugins: &Plugins| Scanner::new(plugins.path()).with_cache(CacheLocation::File(one.cache()));
    settle();
    // Both read the file before either writes it.
    let (first, second) = (scanner(&one), scanner(&two));
    let (of_first, of_second) = (first.scan(), second.scan());
    for (scanner, found) in [(&first, &of_first), (&second, &of_second)] {
        for plugin in &found.plugins {
            scanner.audit(plugin).unwrap();
        }
    }
    second.save_cache().unwrap();
    first.save_cache().unwrap();
    let before = written(&one);
    audit_all(&scanner(&one));
    audit_all(&scanner(&two));
    assert_eq!(written(&one), before);
}

/// Its author chooses how much there is to describe.
#[test]
fn a_plugin_with_a_huge_interface_is_not_cached_and_does_not_keep_others_from_it() {
    let plugins = three();
    let imports = "(import \"env\" \"0123456789\" (func))".repeat(20_000);
    let huge = plugins.write(
        "huge.wasm",
        wat::parse_str(format!("(module {imports})")).unwrap(),
    );
    settle();
    let scanner = plugins.cached();
    let found = scanner.scan();
    let expected: Vec<Audit> = found
        .plugins
        .iter()
        .map(|plugin| scanner.audit(plugin).unwrap())
        .collect();
    assert_eq!(scanner.save_cache().unwrap(), std::slice::from_ref(&huge));
    let again = plugins.cached();
    let found = again.scan();
    let audits: Vec<Audit> = found
        .plugins
        .iter()
        .map(|plugin| again.audit(plugin).unwrap())
        .collect();
    assert_eq!(audits, expected);
    let before = fs::metadata(plugins.cache()).unwrap();
    assert!(before.len() < 10_000, "{}", before.len());
    // The others came from the cache: there is nothing to write.
    assert_eq!(again.save_cache().unwrap(), [huge]);
    assert_eq!(
        fs::metadata(plugins.cache()).unwrap().modified().unwrap(),
        before.modified().unwrap()
    );
}

#[test]
fn records_of_missing_files_are_dropped() {
    let plugins = three();
    let size = || fs::metadata(plugins.cache()).unwrap().len();
    audit_all(&plugins.cached());
    let with_three = size();
    fs::remove_dir_all(plugins.root().join("a")).unwrap();
    plugins.write("b/plugin.wasm", module("x"));
    audit_all(&plugins.cached());
    let with_two = size();
    assert!(with_two < with_three, "{with_two} bytes after {with_three}");
}

#[test]
fn a_damaged_cache_is_discarded() {
    let plugins = three();
    let expected = audit_all(&plugins.cached());
    let good = fs::read(plugins.cache()).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..good.len()).step_by(7).map(|at| good[..at].to_vec()).collect();
    for at in (0..good.len()).step_by(5) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        damaged.push(flipped);
    }
    damaged.extend([
        b"".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
        [good.as_slice(), b"x"].concat(),
    ]);
    for bytes in damaged {
        fs::write(plugins.cache(), &bytes).unwrap();
        assert!(discarded(&plugins.cached().scan()), "{} bytes", bytes.len());
        assert_eq!(audit_all(&plugins.cached()), expected);
        assert_eq!(fs::read(plugins.cache()).unwrap().len(), good.len());
        assert!(!discarded(&plugins.cached().scan()));
    }
}

/// After an upgrade, or where a home directory is shared between machines, this is not a problem of the user.
#[test]
fn a_cache_of_another_version_or_platform_is_replaced_without_a_word() {
    let plugins = three();
    let audits = audit_all(&plugins.cached());
    let other = plugins.cached().with_platform("windows-aarch64".parse().unwrap());
    assert!(!discarded(&other.scan()));

    let mut bytes = fs::read(plugins.cache()).unwrap();
    bytes[7] += 1;
    fs::write(plugins.cache(), &bytes).unwrap();
    assert!(!discarded(&plugins.cached().scan()));
    assert_eq!(audit_all(&plugins.cached()), audits);
    assert_ne!(fs::read(plugins.cache()).unwrap(), bytes);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_have_written_is_discarded() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let plugins = three();
    audit_all(&plugins.cached());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&plugins.cache()), 0o600);
    assert_eq!(mode(plugins.cache().parent().unwrap()), 0o700);

    fs::set_permissions(plugins.cache(), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(discarded(&plugins.cached().scan()));
    audit_all(&plugins.cached());
    assert!(!discarded(&plugins.cached().scan()));

    let elsewhere = plugins.cache().with_file_name("elsewhere");
    fs::rename(plugins.cache(), &elsewhere).unwrap();
    symlink(&elsewhere, plugins.cache()).unwrap();
    assert!(discarded(&plugins.cached().scan()));
    audit_all(&plugins.cached());
    assert!(!fs::symlink_metadata(plugins.cache()).unwrap().is_symlink());

    // Only an administrator can give files away.
    if std::os::unix::fs::chown(plugins.cache(), Some(4_242), None).is_ok() {
        assert!(discarded(&plugins.cached().scan()));
        audit_all(&plugins.cached());
        assert!(!discarded(&plugins.cached().scan()));
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_an_error_only_when_saving() {
    let plugins = three();
    let file = plugins.write("../file", "");
    let scanner = Scanner::new(plugins.path()).with_cache(CacheLocation::File(file.join("cache")));
    let found = scanner.scan();
    assert_eq!(ids(&found), ["a", "b", "c"]);
    scanner.audit(found.get("a").unwrap()).unwrap();
    scanner.save_cache().unwrap_err();
}

#[test]
fn an_audit_that_could_not_be_written_is_written_later() {
    let plugins = three();
    let scanner = plugins.cached();
    let found = scanner.scan();
    scanner.audit(found.get("a").unwrap()).unwrap();
    let directory = plugins.cache().parent().unwrap().to_owned();
    fs::write(&directory, "blocks the directory").unwrap();
    scanner.save_cache().unwrap_err();
    fs::remove_file(&directory).unwrap();
    scanner.save_cache().unwrap();
    assert!(plugins.cache().exists());
}

#[test]
fn an_audit_is_written_when_the_scanner_is_dropped() {
    let plugins = three();
    let scanner = plugins.cached();
    let found = scanner.scan();
    scanner.audit(found.get("a").unwrap()).unwrap();
    assert!(!plugins.cache().exists());
    drop(scanner);
    assert!(plugins.cache().exists());
}

const CHILD: &str = "DYNLOAD_TEST_CHILD";

/// The processes of the next test: each changes a plugin and audits it repeatedly, until it is killed.
#[test]
#[ignore = "run by `a_cache_survives_two_processes_killed_at_random`"]
fn child() {
    let dirs = std::env::var(CHILD).unwrap();
    let (root, rest) = dirs.split_once('|').unwrap();
    let (cache, own) = rest.split_once('|').unwrap();
    let wasm = std::path::Path::new(root).join(own).join("plugin.wasm");
    for round in 0.. {
        let spare = wasm.with_extension("new");
        fs::write(&spare, module(&format!("round{round}"))).unwrap();
        replaced(|| fs::rename(&spare, &wasm));
        let path = SearchPath::empty().with_dir(root);
        let scanner = Scanner::new(path).with_cache(CacheLocation::File(cache.into()));
        let found = scanner.scan();
        assert!(!discarded(&found), "{:?}", found.problems);
        // The other process may have changed its plugin, but this one is as it was just written.
        let audit = scanner.audit(found.get(own).unwrap()).unwrap();
        assert!(
            format!("{:?}", audit.facts).contains(&format!("round{round}\"")),
            "{audit:?}"
        );
        replaced(|| scanner.save_cache());
    }
}

/// Replaces a file that another process may be reading. Before version 10, as in Wine, Windows refuses that; try again.
fn replaced<T: std::fmt::Debug>(replace: impl Fn() -> std::io::Result<T>) {
    let mut result = replace();
    let mut refused = 0;
    while cfg!(windows) && result.is_err() && refused < 10_000 {
        std::thread::sleep(Duration::from_millis(1));
        refused += 1;
        result = replace();
    }
    result.unwrap();
}

#[test]
fn a_cache_survives_two_processes_killed_at_random() {
    let plugins = Plugins::new();
    for number in 0..40 {
        plugins.plugin(&format!("p{number}"), &format!("p{number}"), "1.0.0", "");
    }
    let start = |own: &str| {
        let value = format!("{}|{}|{own}", plugins.root().display(), plugins.cache().display());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::child", "--ignored"])
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
        // The exact duration does not matter, as long as the processes are killed at a different point each time.
        pause = (pause * 37 + 61) % 251;
        std::thread::sleep(Duration::from_millis(40 + pause));
        for child in &mut children {
            assert!(child.try_wait().unwrap().is_none(), "a process failed on its own");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(!discarded(&plugins.cached().scan()));
        let cold = Scanner::new(plugins.path()).with_cache(CacheLocation::None);
        assert_eq!(audit_all(&plugins.cached()), audit_all(&cold));
    }
    assert!(plugins.cache().exists());
}
