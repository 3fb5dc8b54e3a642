//! Tests of files that are empty or much shorter for a while, because their writers pause.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynload_hotreload::{Artifact, BuildCommand, Builder, Config, EventKind, LoadError, Loader, Reloader};

use crate::harness::*;
#[cfg(unix)]
use crate::native;

/// A loader that accepts any file, also an empty one.
struct Anything;

impl Loader for Anything {
    type Loaded = String;

    fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
        fs::read_to_string(&artifact.path).map_err(|error| LoadError::new("not a text").with_source(error))
    }
}

const LONG: &str = "a text of more than forty characters in total";
const OTHER: &str = "another text of more than forty characters in total";

fn waiting(kind: &EventKind) -> Option<(std::path::PathBuf, u64)> {
    match kind {
        EventKind::Waiting { path, size, .. } => Some((path.clone(), *size)),
        _ => None,
    }
}

fn copied(source: &Path) -> Config {
    let cp = BuildCommand::new("cp").args(["{src}", "{out}"]);
    text_config(source).with_builder(Builder::Command(cp))
}

/// Closes the file after its first bytes, and writes the rest when the reloader has said that it waits.
fn a_paused_writer_is_waited_for(first: &str, config: impl Fn(&Path) -> Config) {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", LONG);
    // The test fails by its own deadline if the file is used before it is complete, or never.
    let config = config(&source).with_shrink_timeout(ROOM * 2);
    let reloader = Reloader::new(config, Anything).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", first);
    let waited = trace.await_some("the wait", waiting);
    assert_eq!(waited, (source.clone(), first.len() as u64));
    assert_eq!((reloader.version(), &**reloader.current().unwrap()), (1, LONG));
    let mut file = fs::File::options().append(true).open(&source).unwrap();
    file.write_all(&OTHER.as_bytes()[first.len()..]).unwrap();
    drop(file);
    await_version(&reloader, 2);
    assert_eq!(*reloader.current().unwrap(), OTHER);
    assert_eq!((trace.count("waiting"), trace.count("swapped")), (1, 2));
}

#[test]
fn a_source_that_is_empty_while_its_writer_pauses_is_not_loaded() {
    a_paused_writer_is_waited_for("", text_config);
}

#[test]
fn a_source_that_is_short_while_its_writer_pauses_is_not_loaded() {
    a_paused_writer_is_waited_for(&OTHER[..20], text_config);
}

#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn a_source_that_is_empty_while_its_writer_pauses_is_not_built() {
    a_paused_writer_is_waited_for("", copied);
}

#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn a_source_that_is_short_while_its_writer_pauses_is_not_built() {
    a_paused_writer_is_waited_for(&OTHER[..20], copied);
}

#[test]
fn polling_waits_for_a_paused_writer_too() {
    a_paused_writer_is_waited_for("", |source| {
        text_config(source).with_watch_mode(dynload_hotreload::WatchMode::Poll(Duration::from_millis(2)))
    });
}

#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn a_header_that_is_empty_while_its_writer_pauses_is_not_built() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", LONG);
    let header = dir.write("a.h", "1");
    let config = copied(&source).watch_also(&header).with_shrink_timeout(ROOM * 2);
    let reloader = Reloader::new(config, Anything).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("a.h", "");
    assert_eq!(trace.await_some("the wait", waiting), (header, 0));
    dir.write("a.h", "2");
    trace.await_name("unchanged");
    assert_eq!((trace.count("waiting"), trace.count("building")), (1, 2));
}

#[cfg(unix)]
#[test]
fn a_library_that_is_short_while_its_writer_pauses_is_not_loaded() {
    let dir = Dir::new();
    let [one, two] = [1, 2].map(|value| {
        let code = format!("long long value(void) {{ return {value}; }}");
        fs::read(native::compile(&dir, &format!("v{value}"), &code)).unwrap()
    });
    let source = dir.write("plugin.so", &one);
    // An incomplete library would be a failure at once.
    let config = Config::new(&source)
        .with_debounce(Duration::ZERO)
        .with_settle_timeout(Duration::ZERO)
        .with_shrink_timeout(ROOM * 2);
    let reloader = Reloader::new(config, native::loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.so", &two[..100]);
    assert_eq!(trace.await_some("the wait", waiting), (source, 100));
    dir.write("plugin.so", &two);
    await_version(&reloader, 2);
    assert_eq!(native::call(&reloader.current().unwrap(), "value"), 2);
    assert_eq!(trace.failures(), [""; 0]);
}

#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn a_file_that_stays_short_or_empty_is_believed_after_the_shrink_timeout() {
    for config in [text_config, copied] {
        let dir = Dir::new();
        let source = dir.write("plugin.txt", LONG);
        let limit = Duration::from_millis(50);
        let reloader = Reloader::new(config(&source).with_shrink_timeout(limit), Anything).unwrap();
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        for (version, content) in [(2, "short"), (3, ""), (4, LONG), (5, "")] {
            dir.write("plugin.txt", content);
            await_version(&reloader, version);
            assert_eq!(*reloader.current().unwrap(), content);
        }
        // What was believed is the measure for the next content: it is not waited for again.
        let seen = trace.count("waiting");
        reloader.stop();
        dir.write("plugin.txt", "");
        reloader.start().unwrap();
        assert!(seen <= 4 && reloader.version() == 5);
        // 0 uses such a file immediately.
        let none = config(&source).with_shrink_timeout(Duration::ZERO);
        let reloader = Reloader::new(none, Anything).unwrap();
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        assert_eq!((reloader.version(), trace.count("waiting")), (1, 0));
    }
}

#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn an_empty_file_that_is_written_again_and_again_does_not_hold_up_an_edit() {
    let dir = Dir::new();
    let source = dir.write("src/plugin.txt", LONG);
    let config = copied(&source)
        .watch_also(dir.at("src"))
        .with_shrink_timeout(Duration::from_millis(200));
    let reloader = Reloader::new(config, Anything).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                dir.write("src/heartbeat", "");
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        trace.await_some("the wait", waiting);
        dir.write("src/plugin.txt", OTHER);
        let announced = reloader.wait(ROOM);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(announced, Some(2));
    });
}

/// Among many files, there is time between the look at the source's size and the look at its content.
#[test]
#[cfg_attr(windows, ignore = "the build is a command of Unix")]
fn a_source_that_is_emptied_while_it_is_looked_at_is_not_built() {
    let dir = Dir::new();
    for number in 0..1000 {
        dir.write(&format!("src/{number}"), "x");
    }
    let source = dir.write("plugin.txt", LONG);
    let config = copied(&source)
        .watch_also(dir.at("src"))
        .with_shrink_timeout(ROOM * 2);
    let reloader = Reloader::new(config, Anything).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    for edit in 0..10 {
        let before = trace.count("changed");
        dir.write("plugin.txt", format!("{LONG} {edit}"));
        std::thread::sleep(Duration::from_millis(edit));
        dir.write("plugin.txt", "");
        // On a busy machine, the build may have begun before.
        let is_late = trace.count("changed") > before;
        let used = trace.await_some("the wait", |kind| match kind {
            EventKind::Waiting { size: 0, .. } => Some(LONG.len() as u64),
            EventKind::Staged { size, .. } if *size < LONG.len() as u64 => Some(*size),
            _ => None,
        });
        let is_whole = used == LONG.len() as u64;
        assert!(
            is_whole || is_late,
            "{used} bytes of a source that is being written were used"
        );
        let complete = format!("{OTHER} {edit}");
        dir.write("plugin.txt", &complete);
        await_until("the complete source is loaded", || {
            **reloader.current().unwrap() == complete
        });
    }
}

#[test]
fn an_empty_source_at_the_start_is_given_time() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "");
    let reloader = Reloader::new(text_config(&source).with_shrink_timeout(ROOM * 2), Anything).unwrap();
    let mut trace = Trace::of(&reloader);
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start().unwrap());
        trace.await_some("the wait", waiting);
        dir.write("plugin.txt", LONG);
        starting.join().unwrap();
    });
    assert_eq!(*reloader.current().unwrap(), LONG);
}
