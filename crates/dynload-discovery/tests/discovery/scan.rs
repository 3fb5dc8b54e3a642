//! Scans: the plugins that are found, and the problems that are reported.

use std::ffi::OsString;
use std::fs;
use std::num::NonZero;

use crate::support::{EMPTY_MODULE, Plugins, ids, manifest, problems};
use dynload_discovery::{
    CacheLocation, DecidedBy, Format, Manifest, ProblemKind, Scanner, SearchPath, Severity, Source,
};

#[test]
fn directories_and_lone_files_are_found() {
    let plugins = Plugins::new();
    plugins.plugin("one", "org.example.one", "1.2.3", "");
    plugins.write("lone.wasm", EMPTY_MODULE);
    plugins.write("source.vais", "F main() -> i64 { 0 }");
    plugins.write("libnative.so", "\x7fELF");
    plugins.write("libversioned.so.1.2", "\x7fELF");
    plugins.write("tool.dll", "MZ");
    plugins.write("README.md", "not a plugin");
    plugins.write(".hidden/plugin.toml", "not a manifest");
    plugins.write("two/.wasm", "");
    plugins.plugin("two", "two", "0.1.0-rc.1", "");
    let found = plugins.scanner().scan();
    assert_eq!(
        ids(&found),
        [
            "lone",
            "native",
            "org.example.one",
            "source",
            "tool",
            "two",
            "versioned"
        ]
    );
    let formats: Vec<Format> = found.plugins.iter().map(|plugin| plugin.format()).collect();
    use Format::{Native, Vais, Wasm};
    assert_eq!(formats, [Wasm, Native, Wasm, Vais, Native, Wasm, Native]);
    let one = found.get("org.example.one").unwrap();
    assert_eq!(one.version().unwrap().to_string(), "1.2.3");
    assert_eq!(one.dir(), plugins.root().join("one"));
    assert_eq!(one.entry_path().unwrap(), plugins.root().join("one/plugin.wasm"));
    assert_eq!(one.read_entry(100).unwrap(), EMPTY_MODULE);
    assert_eq!((one.source(), one.rank()), (Source::Explicit, 0));
    let lone = found.get("lone").unwrap();
    assert_eq!((lone.version(), lone.manifest()), (None, None));
    assert_eq!(lone.read_entry(100).unwrap(), EMPTY_MODULE);
    #[cfg(target_os = "linux")]
    assert_eq!(
        problems(&found, &plugins.root()),
        [
            "warning: tool.dll: plugin tool has no entry for linux-x86_64, only for windows"
                .replace("x86_64", std::env::consts::ARCH)
        ]
    );
}

#[test]
fn a_search_directory_can_be_a_plugin_itself() {
    let plugins = Plugins::new();
    plugins.plugin("one", "one", "1.0.0", "");
    plugins.write("one/lone.wasm", EMPTY_MODULE);
    let dir = plugins.root().join("one");
    for _ in 0..2 {
        let found = Scanner::new(SearchPath::empty().with_dir(&dir))
            .with_cache(CacheLocation::File(plugins.cache()))
            .scan();
        assert_eq!(ids(&found), ["one"]);
        assert_eq!(found.plugins[0].found_at(), dir);
    }
}

#[test]
fn the_search_path_is_ordered_by_source() {
    // An absolute path of Windows has a drive.
    let [one, two] = if cfg!(windows) {
        ["C:/from/env", "C:/second"]
    } else {
        ["/from/env", "/second"]
    };
    let list: OsString = std::env::join_paths([one, "", "relative", two]).unwrap();
    let path = SearchPath::empty()
        .with_plugin_path(&list)
        .with_user_dirs()
        .with_system_dirs()
        .with_dir("/a")
        .with_dir("b");
    let dirs: Vec<(&str, Source)> = path
        .dirs()
        .iter()
        .map(|dir| (dir.path.to_str().unwrap(), dir.source))
        .collect();
    assert_eq!(
        dirs[..4],
        [
            ("/a", Source::Explicit),
            ("b", Source::Explicit),
            (one, Source::Environment),
            (two, Source::Environment)
        ]
    );
    assert!(dirs[4..].is_sorted_by_key(|(_, source)| *source));
    #[cfg(target_os = "linux")]
    {
        let home = std::env::home_dir().unwrap().join(".vais/plugins");
        assert_eq!(dirs[4], (home.to_str().unwrap(), Source::User));
        assert_eq!(dirs[5], ("/usr/local/lib/vais/plugins", Source::System));
        assert_eq!(dynload_discovery::user_plugin_dir(), Some(home.clone()));
    }
    let found = Scanner::new(SearchPath::empty().with_plugin_path(&list))
        .with_cache(CacheLocation::None)
        .scan();
    assert!(matches!(found.problems[..], [ref one] if matches!(one.kind, ProblemKind::RelativeSearchDir)));
}

#[test]
fn a_missing_search_directory_is_not_an_error_and_a_file_is_one() {
    let plugins = Plugins::new();
    let file = plugins.write("file", "");
    let path = SearchPath::empty()
        .with_dir("/nonexistent/plugins")
        .with_dir(&file)
        .with_dir(plugins.root());
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    assert_eq!(
        problems(&found, &plugins.root()),
        ["error: file: is in the search path but is not a directory: specify the directory that contains it"]
    );
}

#[test]
fn a_directory_listed_twice_counts_once() {
    let plugins = Plugins::new();
    plugins.plugin("one", "one", "1.0.0", "");
    let path = plugins.path().with_dir(plugins.root().join("../plugins"));
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    assert_eq!((ids(&found), found.duplicates.len()), (vec!["one"], 0));
}

#[test]
fn a_bad_plugin_does_not_hide_others_and_each_one_is_reported() {
    let plugins = Plugins::new();
    plugins.plugin("good", "good", "1.0.0", "");
    plugins.write("broken/plugin.toml", "[plugin\nid = 1");
    plugins.write("binary/plugin.toml", b"[plugin]\n\xff\xfe");
    plugins.write("empty/other.txt", "");
    plugins.write("gone/plugin.toml", manifest("gone", "1.0.0", "gone.wasm", ""));
    plugins.write("huge/plugin.toml", "#".repeat(300_000));
    plugins.write("folder/plugin.toml/file", "");
    plugins.write("entry-is-dir/plugin.toml", manifest("x", "1.0.0", "lib", ""));
    plugins.write("entry-is-dir/lib/file", "");
    plugins.write("b\u{e4}d.wasm", EMPTY_MODULE);
    plugins.plugin(
        "asks",
        "asks",
        "1.0.0",
        "[capabilities]\nneeds = [\"network\"]\nworkers = 2",
    );
    let found = plugins.scanner().scan();
    assert_eq!(ids(&found), ["asks", "good"]);
    let problems = problems(&found, &plugins.root());
    let expected = [
        "warning: asks/plugin.toml: requests network with an empty scope, which opens nothing: list what it needs to reach",
        "warning: asks/plugin.toml: has a scope for threading but does not request it: add it to `capabilities.needs`",
        "error: binary/plugin.toml:2: has invalid UTF-8 at byte 9: save it as UTF-8",
        "error: broken/plugin.toml:1: not TOML: ",
        "error: b\u{e4}d.wasm: bad plugin id \"b\u{e4}d\": use ASCII letters, digits, `.`, `_` and `-` only; rename the file, or move it into a directory with a plugin.toml",
        "note: empty: has no plugin.toml and was skipped: add one, or move the directory elsewhere",
        "error: entry-is-dir/lib: is not a regular file",
        "error: folder/plugin.toml: is not a regular file",
        "error: gone/gone.wasm: entry \"gone.wasm\" does not exist: build it, or correct `plugin.entry`",
        "error: huge/plugin.toml: has 300000 bytes, over the limit of 262144 for a manifest",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\n  is not\n{expected}");
    }
    assert!(
        found
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Note)
    );
}

#[test]
fn duplicates_have_a_total_order() {
    let plugins = Plugins::new();
    let second = Plugins::new();
    // Compatibility decides first.
    plugins.plugin("a", "a", "9.0.0", "host_version = \">=2\"");
    second.plugin("a", "a", "1.0.0", "");
    // Then the position in the search path.
    plugins.plugin("b", "b", "1.0.0", "");
    second.plugin("b", "b", "2.0.0", "");
    // Then the version, then the path; a file without a version comes after one with a version.
    plugins.plugin("c-old", "c", "1.9.0", "");
    plugins.plugin("c-new", "c", "1.10.0", "");
    plugins.plugin("c-pre", "c", "1.10.0-rc.1", "");
    plugins.plugin("c-same", "c", "1.10.0", "");
    plugins.write("c.wasm", EMPTY_MODULE);
    let path = SearchPath::empty()
        .with_dir(plugins.root())
        .with_dir(second.root());
    let scanner = Scanner::new(path)
        .with_cache(CacheLocation::None)
        .with_host_version("1.0.0".parse().unwrap());
    let found = scanner.scan();
    let at = |id: &str| found.get(id).unwrap().found_at().to_owned();
    assert_eq!(at("a"), second.root().join("a"));
    assert_eq!(at("b"), plugins.root().join("b"));
    assert_eq!(at("c"), plugins.root().join("c-new"));
    let losers: Vec<(String, DecidedBy)> = found
        .duplicates
        .iter()
        .map(|one| {
            (
                one.loser
                    .found_at()
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
                one.decided_by,
            )
        })
        .collect();
    let expected = [
        ("a", DecidedBy::Compatibility),
        ("b", DecidedBy::SearchRank),
        ("c-same", DecidedBy::Path),
        ("c-pre", DecidedBy::Version),
        ("c-old", DecidedBy::Version),
        ("c.wasm", DecidedBy::Version),
    ];
    assert_eq!(losers, expected.map(|(name, by)| (name.to_owned(), by)));
    assert!(
        found
            .duplicates
            .iter()
            .all(|one| one.winner == at(one.id.as_str()))
    );
    assert!(found.problems.iter().any(|one| {
        one.to_string()
            .contains("requires host version >=2, but this host is 1.0.0")
    }));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn links_out_of_the_directory_are_refused() {
        let plugins = Plugins::new();
        let outside = plugins.write("../outside.wasm", EMPTY_MODULE);
        plugins.write("../outside.toml", manifest("x", "1.0.0", "plugin.wasm", ""));
        for (name, target) in [
            ("absolute", outside.to_str().unwrap()),
            ("relative", "../../outside.wasm"),
        ] {
            plugins.write(
                &format!("{name}/plugin.toml"),
                manifest(name, "1.0.0", "lib/plugin.wasm", ""),
            );
            fs::create_dir(plugins.root().join(name).join("lib")).unwrap();
            let target = if name == "relative" {
                "../../../outside.wasm"
            } else {
                target
            };
            symlink(target, plugins.root().join(name).join("lib/plugin.wasm")).unwrap();
        }
        // A directory along the path is the link.
        plugins.write(
            "through/plugin.toml",
            manifest("through", "1.0.0", "lib/outside.wasm", ""),
        );
        symlink("../..", plugins.root().join("through/lib")).unwrap();
        // The manifest is the link.
        plugins.write("manifest/plugin.wasm", EMPTY_MODULE);
        symlink("../../outside.toml", plugins.root().join("manifest/plugin.toml")).unwrap();
        // A link that stays inside is accepted.
        plugins.plugin("inside", "inside", "1.0.0", "");
        fs::rename(
            plugins.root().join("inside/plugin.wasm"),
            plugins.root().join("inside/real.wasm"),
        )
        .unwrap();
        symlink("real.wasm", plugins.root().join("inside/plugin.wasm")).unwrap();
        for scanner in [plugins.scanner(), plugins.cached(), plugins.cached()] {
            let found = scanner.scan();
            assert_eq!(ids(&found), ["inside"]);
            let escapes = found
                .problems
                .iter()
                .filter(|one| matches!(one.kind, ProblemKind::EntryEscapes { .. }));
            assert_eq!(escapes.count(), 4, "{:#?}", problems(&found, &plugins.root()));
        }
    }

    #[test]
    fn links_in_a_search_directory_are_followed() {
        let plugins = Plugins::new();
        plugins.plugin("../elsewhere/one", "one", "1.0.0", "");
        let lone = plugins.write("../elsewhere/two.wasm", EMPTY_MODULE);
        fs::create_dir_all(plugins.root()).unwrap();
        symlink("../elsewhere/one", plugins.root().join("one")).unwrap();
        symlink(&lone, plugins.root().join("two.wasm")).unwrap();
        symlink("nowhere", plugins.root().join("three")).unwrap();
        symlink("loop", plugins.root().join("loop")).unwrap();
        for scanner in [plugins.cached(), plugins.cached()] {
            let found = scanner.scan();
            assert_eq!(ids(&found), ["one", "two"]);
            assert_eq!(found.plugins[0].found_at(), plugins.root().join("one"));
            assert_eq!(
                found.plugins[0].dir(),
                fs::canonicalize(plugins.root().join("../elsewhere/one")).unwrap()
            );
            assert_eq!(found.plugins[1].read_entry(99).unwrap(), EMPTY_MODULE);
            assert_eq!(
                found.problems.len(),
                2,
                "{:#?}",
                problems(&found, &plugins.root())
            );
        }
    }

    #[test]
    fn files_that_others_can_write_to_are_reported_and_refused_on_request() {
        let plugins = Plugins::new();
        for name in ["dir", "manifest", "entry", "fine"] {
            plugins.plugin(name, name, "1.0.0", "");
            chmod(plugins.root().join(name), 0o755);
            chmod(plugins.root().join(name).join("plugin.toml"), 0o644);
            chmod(plugins.root().join(name).join("plugin.wasm"), 0o644);
        }
        chmod(plugins.root(), 0o755);
        chmod(plugins.root().join("dir"), 0o775);
        chmod(plugins.root().join("manifest/plugin.toml"), 0o666);
        chmod(plugins.root().join("entry/plugin.wasm"), 0o662);
        chmod(plugins.write("lone.wasm", EMPTY_MODULE), 0o646);
        // Without a cache, with a new one, and from the cache.
        for scanner in [plugins.scanner(), plugins.cached(), plugins.cached()] {
            let found = scanner.scan();
            assert_eq!(ids(&found), ["dir", "entry", "fine", "lone", "manifest"]);
            let text = problems(&found, &plugins.root());
            assert_eq!(text.len(), 4, "{text:#?}");
            assert!(
                text[0].starts_with("warning: dir: users other than its owner can write to it (mode 775)"),
                "{text:#?}"
            );
            assert!(text[1].starts_with("warning: entry/plugin.wasm: "), "{text:#?}");
            let found = scanner.refuse_writable(true).scan();
            assert_eq!(ids(&found), ["fine"]);
            assert_eq!(
                found
                    .problems
                    .iter()
                    .filter(|one| one.severity == Severity::Error)
                    .count(),
                4
            );
        }
        chmod(plugins.root(), 0o777);
        assert_eq!(plugins.scanner().scan().plugins.len(), 5);
        assert_eq!(plugins.scanner().refuse_writable(true).scan().plugins.len(), 0);
    }

    #[test]
    fn named_pipes_do_not_block() {
        let plugins = Plugins::new();
        plugins.plugin("good", "good", "1.0.0", "");
        plugins.write("pipe/x", "");
        plugins.write("entry/plugin.toml", manifest("entry", "1.0.0", "pipe.wasm", ""));
        for pipe in ["pipe/plugin.toml", "entry/pipe.wasm", "lone.wasm"] {
            assert!(
                Command::new("mkfifo")
                    .arg(plugins.root().join(pipe))
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let found = plugins.scanner().scan();
        assert_eq!(ids(&found), ["good"]);
        assert_eq!(
            problems(&found, &plugins.root()),
            [
                "error: entry/pipe.wasm: is not a regular file",
                "error: lone.wasm: is not a regular file",
                "error: pipe/plugin.toml: is not a regular file",
            ]
        );
    }
}

#[test]
fn hidden_names_other_extensions_and_missing_directories_are_skipped_without_a_report() {
    let plugins = Plugins::new();
    plugins.write(".hidden/plugin.toml", "not a manifest");
    plugins.write(".wasm", "not a module");
    plugins.write(".hidden.wasm", "not a module");
    plugins.write("README.md", "");
    plugins.write("wasm", "");
    plugins.write("plugin.wasm.bak", "");
    let path = plugins.path().with_dir(plugins.root().join("missing"));
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    assert!(
        found.plugins.is_empty() && found.problems.is_empty(),
        "{:?}",
        found.problems
    );
}

/// A library whose constructor leaves a file behind.
#[cfg(target_os = "linux")]
#[test]
fn neither_a_scan_nor_an_audit_runs_the_code_of_a_plugin() {
    let plugins = Plugins::new();
    let mark = plugins.root().join("mark");
    let source = plugins.write(
        "../x.c",
        format!("#include <stdio.h>\n__attribute__((constructor)) static void start(void) {{ fclose(fopen({mark:?}, \"w\")); }}\n"),
    );
    let library = plugins.write("libx.so", "");
    let mut cc = std::process::Command::new("cc");
    let status = cc
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success());
    let start = r#"(module (import "vais" "println" (func $f (param i32 i32))) (memory (export "memory") 1)
        (func $start (call $f (i32.const 0) (i32.const 0)) (unreachable)) (start $start))"#;
    plugins.write("start.wasm", wat::parse_str(start).unwrap());
    let scanner = plugins.scanner();
    let found = scanner.scan();
    assert_eq!(ids(&found), ["start", "x"]);
    for plugin in &found.plugins {
        assert!(!matches!(
            scanner.audit(plugin).unwrap().facts,
            dynload_discovery::Facts::Invalid { .. }
        ));
    }
    assert!(!mark.exists());
}

#[test]
fn a_problem_names_the_plugin_that_it_is_about() {
    let plugins = Plugins::new();
    plugins.write("directory/plugin.toml", "[plugin]\nid = \"org.example.broken\"\n");
    plugins.write("syntax/plugin.toml", "[plugin\n");
    plugins.write("lone.wasm", "not a module");
    plugins.write(
        "entry/plugin.toml",
        manifest("org.example.entry", "1.0.0", "gone.wasm", ""),
    );
    plugins.plugin(
        "warned",
        "org.example.warned",
        "1.0.0",
        "[capabilities]\nneeds = [\"fs_read\"]",
    );
    let path = plugins
        .path()
        .with_dir("nothing/at/all")
        .with_dir(plugins.write("file", ""));
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    let about: std::collections::BTreeSet<Option<&str>> = found
        .problems
        .iter()
        .map(|problem| problem.plugin.as_ref().map(|id| id.as_str()))
        .collect();
    let expected = [
        "lone",
        "org.example.broken",
        "org.example.entry",
        "org.example.warned",
        "syntax",
    ];
    assert_eq!(about, expected.map(Some).into_iter().chain([None]).collect());
}

#[test]
fn an_entry_that_changes_after_the_scan_is_not_read() {
    let plugins = Plugins::new();
    plugins.plugin("one", "one", "1.0.0", "");
    let found = plugins.scanner().scan();
    let one = found.get("one").unwrap();
    assert!(
        one.read_entry(7)
            .unwrap_err()
            .to_string()
            .contains("over the limit of 7")
    );
    let other = plugins.write("other", "not the module that was found");
    fs::rename(other, plugins.root().join("one/plugin.wasm")).unwrap();
    assert!(
        one.read_entry(1000)
            .unwrap_err()
            .to_string()
            .ends_with("has changed since it was found: scan again")
    );
    fs::remove_file(plugins.root().join("one/plugin.wasm")).unwrap();
    assert!(one.read_entry(1000).is_err());
}

/// While a thread keeps replacing entries by links and rewriting manifests, a scan lists only plugins that exist, and
/// nothing that is read from them comes from outside their directories.
#[cfg(unix)]
#[test]
fn entries_swapped_during_the_scan_never_lead_outside() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let plugins = Plugins::new();
    let secret = plugins.write("../secret", "secret");
    for number in 0..20 {
        plugins.plugin(&format!("p{number}"), &format!("p{number}"), "1.0.0", "");
    }
    let stop = AtomicBool::new(false);
    let rounds = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        5_000
    } else {
        150
    };
    let (mut read, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number = (number + 1) % 20;
                let entry = plugins.root().join(format!("p{number}/plugin.wasm"));
                let spare = plugins.root().join(format!("p{number}/spare"));
                std::os::unix::fs::symlink(&secret, &spare).unwrap();
                fs::rename(&spare, &entry).unwrap();
                fs::write(&spare, EMPTY_MODULE).unwrap();
                fs::rename(&spare, &entry).unwrap();
                let toml = plugins.root().join(format!("p{number}/plugin.toml"));
                fs::write(&toml, manifest(&format!("p{number}"), "1.0.0", "plugin.wasm", "")).unwrap();
            }
        });
        let scanners = [plugins.scanner(), plugins.cached()];
        for round in 0..rounds {
            let found = scanners[round % 2].scan();
            for plugin in &found.plugins {
                assert!(plugin.id().as_str().starts_with('p'));
                match plugin.read_entry(1000) {
                    Ok(bytes) => {
                        assert_eq!(bytes, EMPTY_MODULE);
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(read > 0, "{read} read, {refused} refused");
}

#[test]
fn thousands_of_plugins_are_found_and_ordered() {
    let plugins = Plugins::new();
    let count = if cfg!(debug_assertions) && std::env::var_os("DYNLOAD_PROVE").is_none() {
        2_000
    } else {
        10_000
    };
    for number in 0..count {
        let id = format!("p{number:05}");
        let needs = format!("[dependencies]\np{:05} = \"1\"", number + 1);
        plugins.plugin(&id, &id, "1.0.0", if number + 1 < count { &needs } else { "" });
    }
    plugins.write("broken/plugin.toml", "");
    let first = plugins.cached().with_threads(NonZero::new(4).unwrap()).scan();
    assert_eq!(
        (first.plugins.len(), first.problems.len(), first.stats.parsed),
        (count, 1, count)
    );
    let second = plugins.cached().scan();
    assert_eq!(
        (second.plugins.len(), second.problems.len(), second.stats.parsed),
        (count, 1, count)
    );
    assert_eq!(ids(&first), ids(&second));
    let manifests = |found: &dynload_discovery::Discovery| -> Vec<Manifest> {
        found
            .plugins
            .iter()
            .filter_map(|plugin| plugin.manifest().cloned())
            .collect()
    };
    assert_eq!(manifests(&first), manifests(&second));
    // The dependencies form one long chain, so the order is reversed.
    let order = second.resolve_all().order;
    assert_eq!(order.len(), count);
    assert!(order.is_sorted_by(|a, b| a > b));
}
