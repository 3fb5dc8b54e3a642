//! Unusual contents of a search path, which others may have put there: links, names, permissions, files that come and go.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::{EMPTY_MODULE, Plugins, ids, manifest, problems};
use dynload_discovery::{CacheLocation, Manifest, ProblemKind, Scanner, SearchPath, Severity};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn directories_between_a_plugin_and_its_entry_are_checked() {
    let plugins = Plugins::new();
    for id in ["safe", "open", "linked"] {
        plugins.write(
            &format!("{id}/plugin.toml"),
            manifest(id, "1.0.0", "bin/deep/p.wasm", ""),
        );
    }
    plugins.write("safe/bin/deep/p.wasm", EMPTY_MODULE);
    plugins.write("open/bin/deep/p.wasm", EMPTY_MODULE);
    plugins.write("linked/real/more/deep/p.wasm", EMPTY_MODULE);
    // The manifest itself may be a link into another directory.
    let toml = plugins.root().join("safe/plugin.toml");
    plugins.write(
        "described/there/plugin.toml",
        fs::read_to_string(toml).unwrap().replace("safe", "described"),
    );
    plugins.write("described/bin/deep/p.wasm", EMPTY_MODULE);
    symlink("there/plugin.toml", plugins.root().join("described/plugin.toml")).unwrap();
    mode(&plugins.root().join("described/there"), 0o777);
    // A directory that is only on the path of a link.
    plugins.write("through/plugin.toml", manifest("through", "1.0.0", "p.wasm", ""));
    plugins.write("through/bin/p.wasm", EMPTY_MODULE);
    fs::create_dir(plugins.root().join("through/next")).unwrap();
    symlink("../bin/p.wasm", plugins.root().join("through/next/p.wasm")).unwrap();
    symlink("next/p.wasm", plugins.root().join("through/p.wasm")).unwrap();
    mode(&plugins.root().join("through/next"), 0o777);
    symlink("real/more", plugins.root().join("linked/bin")).unwrap();
    mode(&plugins.root().join("open/bin"), 0o777);
    mode(&plugins.root().join("open"), 0o777);
    mode(&plugins.root().join("linked/real"), 0o777);
    let expected = |severity: &str| {
        [
            "described/there",
            "linked/real",
            "open",
            "open/bin",
            "through/next",
        ]
        .map(|path| {
            format!(
                "{severity}: {path}: users other than its owner can write to it (mode 777): run `chmod go-w` on it"
            )
        })
        .to_vec()
    };
    for _ in 0..2 {
        // The second scan uses the cache.
        let found = plugins.cached().scan();
        assert_eq!(ids(&found), ["described", "linked", "open", "safe", "through"]);
        assert_eq!(problems(&found, &plugins.root()), expected("warning"));
        let found = plugins.cached().refuse_writable(true).scan();
        assert_eq!(ids(&found), ["safe"]);
        assert_eq!(problems(&found, &plugins.root()), expected("error"));
    }
}

#[test]
fn a_link_whose_target_others_can_replace_is_refused() {
    let (plugins, elsewhere) = (Plugins::new(), Plugins::new());
    elsewhere.plugin("dir", "dir", "1.0.0", "");
    let lone = elsewhere.write("lone.wasm", EMPTY_MODULE);
    fs::create_dir_all(plugins.root()).unwrap();
    symlink(elsewhere.root().join("dir"), plugins.root().join("dir")).unwrap();
    symlink(&lone, plugins.root().join("lone.wasm")).unwrap();
    let scanner = plugins.scanner().refuse_writable(true);
    assert_eq!(ids(&scanner.scan()), ["dir", "lone"]);
    mode(&elsewhere.root(), 0o777);
    let found = scanner.scan();
    assert!(found.plugins.is_empty());
    assert_eq!(found.problems.len(), 2);
    for problem in &found.problems {
        assert_eq!(problem.path, elsewhere.root());
        assert!(matches!(problem.kind, ProblemKind::WritableByOthers { mode, .. } if mode & 0o777 == 0o777));
    }
    // As in /tmp: others can add files, but not replace them.
    mode(&elsewhere.root(), 0o1777);
    assert_eq!(ids(&scanner.scan()), ["dir", "lone"]);
}

#[test]
fn an_entry_whose_directory_moved_outside_is_refused() {
    let plugins = Plugins::new();
    plugins.write("one/bin/p.wasm", EMPTY_MODULE);
    plugins.write("one/plugin.toml", manifest("one", "1.0.0", "bin/p.wasm", ""));
    assert_eq!(ids(&plugins.cached().scan()), ["one"]);
    // The same file, with the same times.
    let outside = plugins.root().parent().unwrap().join("outside");
    fs::rename(plugins.root().join("one/bin"), &outside).unwrap();
    symlink(&outside, plugins.root().join("one/bin")).unwrap();
    let found = plugins.cached().scan();
    assert!(found.plugins.is_empty(), "{found:?}");
    assert!(
        matches!(found.problems[0].kind, ProblemKind::EntryEscapes { .. }),
        "{found:?}"
    );
    // A relative link that stays inside is accepted.
    fs::remove_file(plugins.root().join("one/bin")).unwrap();
    fs::rename(&outside, plugins.root().join("one/real")).unwrap();
    symlink("real", plugins.root().join("one/bin")).unwrap();
    assert_eq!(ids(&plugins.cached().scan()), ["one"]);
}

#[test]
fn names_cannot_control_the_terminal() {
    let plugins = Plugins::new();
    plugins.write(
        "one/plugin.toml",
        "\"\\u001b[2J\" = 1\n[plugin]\nid = \"one\"\nversion = \"1.0.0\"\nformat = \"wasm\"\n[config.\"a\\r\"]\ntype = 1",
    );
    plugins.write("two\u{1b}]0;x\u{7}.wasm", EMPTY_MODULE);
    let found = plugins.scanner().scan();
    let text: Vec<String> = problems(&found, &plugins.root());
    assert!(text.len() >= 3, "{text:?}");
    assert!(!text.concat().contains(char::is_control), "{text:?}");
    assert!(text.iter().any(|text| text.contains(r"`\u{1b}[2J`")), "{text:?}");
    let errors = Manifest::parse("\"a\\u001b\" = 1").unwrap_err();
    assert!(!errors.to_string().replace('\n', "").contains(char::is_control));
    assert!(!errors.errors()[0].to_string().contains('\u{1b}'));
}

#[test]
fn lone_plugins_are_named_after_their_files() {
    let plugins = Plugins::new();
    plugins.write("libfoo.so.bar.so", "\x7fELF");
    plugins.write("libbaz.so.1.2", "\x7fELF");
    plugins.write("libqux.so.1.so.2", "\x7fELF");
    fs::write(
        plugins.root().join(OsStr::from_bytes(b"b\xffd.wasm")),
        EMPTY_MODULE,
    )
    .unwrap();
    let found = plugins.scanner().scan();
    assert_eq!(ids(&found), ["baz", "foo.so.bar", "qux.so.1"]);
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    assert!(matches!(found.problems[0].kind, ProblemKind::FileName(_)));
}

#[test]
fn a_broken_link_is_an_error_only_if_it_has_the_name_of_a_plugin() {
    let plugins = Plugins::new();
    fs::create_dir_all(plugins.root()).unwrap();
    for name in ["gone.wasm", "greeter"] {
        symlink("no/such/file", plugins.root().join(name)).unwrap();
    }
    let found = plugins.scanner().scan();
    let severities: Vec<Severity> = found.problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Note]);
}

#[test]
fn an_entry_that_cannot_be_opened_is_a_problem() {
    let plugins = Plugins::new();
    plugins.write("one/plugin.toml", manifest("one", "1.0.0", "p.wasm", ""));
    let socket = std::os::unix::net::UnixListener::bind(plugins.root().join("one/p.wasm"));
    let found = plugins.scanner().scan();
    assert!(socket.is_ok() && found.plugins.is_empty());
    assert!(
        matches!(found.problems[0].kind, ProblemKind::Unreadable(_)),
        "{found:?}"
    );
}

#[test]
fn a_plugin_found_through_two_paths_counts_once() {
    let plugins = Plugins::new();
    plugins.plugin("a", "a", "1.0.0", "");
    plugins.plugin("b", "b", "1.0.0", "");
    plugins.write("lone.wasm", EMPTY_MODULE);
    symlink("b", plugins.root().join("c")).unwrap();
    symlink("lone.wasm", plugins.root().join("other.wasm")).unwrap();
    let path = SearchPath::empty()
        .with_dir(plugins.root())
        .with_dir(plugins.root().join("a"));
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    assert_eq!(ids(&found), ["a", "b", "lone", "other"]);
    assert!(found.duplicates.is_empty(), "{:?}", found.duplicates);
}
