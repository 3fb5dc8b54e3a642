//! Tests of builds that write into what is watched, and of saves during builds.

use std::fs;
use std::path::{Path, PathBuf};

use dynload_hotreload::{BuildCommand, Builder, Config, EventKind, Reloader};

use crate::harness::*;
use crate::native::{call, loader};

/// Returns the settings for a text plugin that a script builds, with the source and the output as arguments. Everything
/// beside the source is watched.
fn scripted(dir: &Dir, source: &Path, body: &str) -> Config {
    let script = script(dir, "tools/build", body);
    text_config(source)
        .with_builder(Builder::Command(
            BuildCommand::new(script).args(["{src}", "{out}"]),
        ))
        .with_build_timeout(ROOM)
        .watch_also(source.parent().unwrap())
}

fn written(kind: &EventKind) -> Option<Vec<PathBuf>> {
    match kind {
        EventKind::WrittenByBuild { paths, .. } => Some(paths.clone()),
        _ => None,
    }
}

#[test]
fn a_build_script_that_writes_into_src_comes_to_an_end() {
    let dir = Dir::new();
    let manifest = "[package]\nname = \"stamped\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
                    [lib]\ncrate-type = [\"cdylib\"]\n";
    let source = dir.write("Cargo.toml", manifest);
    let build = r#"fn main() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        std::fs::write("src/generated.rs", format!("pub const STAMP: u64 = {now};\n")).unwrap();
    }"#;
    dir.write("build.rs", build);
    let code = |value: u32| {
        format!(
            "mod generated;\n#[no_mangle] pub extern \"C\" fn value() -> i64 {{ {value} }}\n\
             #[no_mangle] pub extern \"C\" fn stamp() -> u64 {{ generated::STAMP }}\n"
        )
    };
    dir.write("src/lib.rs", code(1));
    // The default debounce: cargo writes while it compiles.
    let config = Config::new(&source)
        .with_output_dir(dir.at("out"))
        .with_build_env("CARGO_NET_OFFLINE", "true");
    let reloader = Reloader::new(config, loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let error = reloader.last_error().map(|error| error.report());
    assert!(reloader.version() > 0, "{error:?}");
    let generated = [dir.at("src/generated.rs")];
    assert_eq!(trace.await_some("the judgement", written), generated);
    assert_eq!(trace.count("building"), 3);
    assert!(trace.count("cancelled") <= 1);
    // From now on, each edit is one build.
    for value in 2..=3 {
        dir.write("src/lib.rs", code(value));
        assert_eq!(trace.await_some("the judgement", written), generated);
        trace.await_name("swapped");
        assert_eq!(call(&reloader.current().unwrap(), "value"), i64::from(value));
        assert_eq!(trace.count("building"), 2 + value as usize);
    }
}

#[test]
fn what_compilers_write_beside_the_source_is_not_a_reason_to_build() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let body = r#"here=$(dirname "$1"); mkdir -p "$here/.vais-cache" "$here/target/debug"
                  date +%N | tee "$1.ll" "$here/.vais-cache/entry" > "$here/target/debug/plugin.d"; cp "$1" "$2""#;
    let reloader = text_reloader(scripted(&dir, &source, body));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    for number in 2..=4 {
        dir.write("src/plugin.txt", text(number));
        await_version(&reloader, number);
    }
    assert_eq!(reloader.watched_files(), [source]);
    assert_eq!((trace.count("building"), trace.count("cancelled")), (4, 0));
    assert_eq!(trace.count("written by build"), 0);
}

#[test]
fn an_output_that_is_named_as_an_input_is_an_input() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let table = dir.write("src/table.ll", "1");
    let config = scripted(
        &dir,
        &source,
        r#"echo "text $(cat "$(dirname "$1")/table.ll") end" > "$2""#,
    );
    let reloader = text_reloader(config.watch_also(&table));
    reloader.start().unwrap();
    assert_eq!(reloader.watched_files(), [source, table]);
    dir.write("src/table.ll", "7");
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().call(), 7);
}

/// A build that writes a number into a watched file that differs each time.
const STAMPING: &str = r#"date +%s%N > "$(dirname "$1")/stamp.h"; cp "$1" "$2"; echo >> "$2""#;

#[test]
fn a_build_that_rewrites_a_watched_file_comes_to_an_end() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, STAMPING));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
    let stamp = [dir.at("src/stamp.h")];
    assert_eq!(trace.await_some("the judgement", written), stamp);
    assert_eq!(trace.count("building"), 3);
    // The user's edit is one build more.
    dir.write("src/plugin.txt", text(2));
    assert_eq!(trace.await_some("the judgement", written), stamp);
    trace.await_name("swapped");
    assert_eq!(trace.count("building"), 4);
    // A change of the file while no build runs is a reason again. Then it has to be judged again.
    dir.write("src/stamp.h", "mine");
    let changed = trace.await_some("change", |kind| match kind {
        EventKind::Changed { paths, .. } => Some(paths.clone()),
        _ => None,
    });
    assert_eq!(changed, stamp);
    assert_eq!(trace.await_some("the judgement", written), stamp);
    assert_eq!(trace.count("building"), 7);
    assert_eq!(trace.failures(), [""; 0]);
}

#[test]
fn a_build_that_writes_another_file_each_time_comes_to_an_end() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let body = r#"date > "$(dirname "$1")/stamp-$(date +%s%N).h"; cp "$1" "$2""#;
    let reloader = text_reloader(scripted(&dir, &source, body));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(trace.await_some("the judgement", written).len(), 1);
    assert_eq!(trace.count("building"), 8);
    dir.write("src/plugin.txt", text(2));
    await_version(&reloader, 2);
}

/// The source of a failed build is tried again when it is saved again; but not when the build itself saves it.
#[test]
fn a_failing_build_that_touches_the_source_comes_to_an_end() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, r#"touch "$1"; exit 1"#));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(trace.await_some("the judgement", written), [source]);
    trace.await_name("failed");
    assert_eq!((trace.count("building"), trace.count("failed")), (3, 3));
}

#[test]
fn a_file_that_exists_only_during_a_build_cancels_one_build() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    // It waits until it is cancelled, at most once.
    let body = r#"temporary=$(dirname "$1")/temporary; trap 'rm -f "$temporary"; exit 1' TERM
                  once=yes; [ -e "$0.once" ] && once=no; echo > "$0.once"; echo > "$temporary"
                  while [ $once = yes ]; do sleep 0.005; done
                  sleep 0.3; rm "$temporary"; cp "$1" "$2""#;
    let reloader = text_reloader(scripted(&dir, &source, body));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
    assert_eq!((trace.count("building"), trace.count("cancelled")), (2, 1));
}

/// A build that reads its source, says so by a file, and waits for another file.
const WAITING: &str = r#"text=$(cat "$1"); here=$(dirname "$0"); echo > "$here/started"
                         while [ ! -e "$here/go" ]; do sleep 0.005; done; rm "$here/go"; echo "$text" > "$2""#;

#[test]
fn a_save_during_each_of_two_builds_is_built_and_cancels_only_the_first() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, WAITING));
    let mut trace = Trace::of(&reloader);
    std::thread::scope(|scope| {
        let started = || {
            await_until("the build has started", || dir.at("tools/started").exists());
            fs::remove_file(dir.at("tools/started")).unwrap();
        };
        let starting = scope.spawn(|| reloader.start().unwrap());
        started();
        dir.write("src/plugin.txt", text(2));
        trace.await_name("cancelled");
        started();
        dir.write("src/plugin.txt", text(3));
        dir.write("tools/go", "");
        starting.join().unwrap();
        assert_eq!(reloader.version(), 1);
        assert_eq!(reloader.current().unwrap().call(), 2, "the second build was used");
        started();
        dir.write("tools/go", "");
    });
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().call(), 3, "the newest save");
    assert_eq!((trace.count("building"), trace.count("cancelled")), (3, 1));
    assert_eq!(trace.count("written by build"), 0);
}

/// The user is told to save again.
#[test]
fn an_edit_that_was_taken_to_be_written_by_the_build_is_built_when_it_is_saved_again() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, WAITING));
    let mut trace = Trace::of(&reloader);
    let started = || {
        await_until("the build has started", || dir.at("tools/started").exists());
        fs::remove_file(dir.at("tools/started")).unwrap();
    };
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start().unwrap());
        started();
        dir.write("src/plugin.txt", text(2));
        trace.await_name("cancelled");
        for number in 3..=4 {
            started();
            dir.write("src/plugin.txt", text(number));
            dir.write("tools/go", "");
            trace.await_name("swapped");
        }
        starting.join().unwrap();
    });
    assert_eq!(trace.count("written by build"), 1);
    assert_eq!(reloader.current().unwrap().call(), 3);
    dir.write("src/plugin.txt", text(4));
    dir.write("tools/go", "");
    await_until("the edit runs", || reloader.current().unwrap().call() == 4);
}

#[test]
fn a_cancelled_build_is_followed_by_a_change_that_names_only_what_changed() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    for name in ["a.h", "b.h", "c.h"] {
        dir.write(&format!("src/{name}"), "1");
    }
    let reloader = text_reloader(scripted(&dir, &source, WAITING));
    let mut trace = Trace::of(&reloader);
    let mut changes = Vec::new();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start().unwrap());
        for name in ["src/b.h", "src/c.h"] {
            trace.await_name("building");
            dir.write(name, "22");
            trace.await_name("cancelled");
            changes.push(vec![dir.at(name)]);
        }
        trace.await_name("building");
        dir.write("tools/go", "");
        starting.join().unwrap();
    });
    let named = trace.seen.iter().filter_map(|event| match &event.kind {
        EventKind::Changed { paths, .. } => Some(paths.clone()),
        _ => None,
    });
    assert_eq!(named.skip(1).collect::<Vec<_>>(), changes);
}

/// A build is cancelled by a save, but not by a file that its writer has only emptied.
#[test]
fn a_file_that_is_emptied_during_a_build_does_not_cancel_it() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", text(1));
    let config = scripted(&dir, &source, WAITING).with_shrink_timeout(ROOM);
    let reloader = text_reloader(config);
    let mut trace = Trace::of(&reloader);
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start().unwrap());
        trace.await_name("building");
        await_until("the build has started", || dir.at("tools/started").exists());
        dir.write("src/plugin.txt", "");
        dir.write("tools/go", "");
        starting.join().unwrap();
        trace.await_name("swapped");
    });
    assert_eq!(reloader.current().unwrap().call(), 1);
    trace.await_name("waiting");
    dir.write("tools/go", "");
    dir.write("src/plugin.txt", text(2));
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().call(), 2);
    assert_eq!((trace.count("building"), trace.count("cancelled")), (2, 0));
}
