//! Tests of the events: their recipients and their order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynload_hotreload::{Event, EventKind, Guard, Step};

use crate::harness::*;

#[test]
fn events_come_in_order_with_their_times() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source).with_debounce(Duration::from_millis(30)));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
    trace.await_name("retired");
    let steps = ["changed", "staged", "loaded", "swapped"];
    assert_eq!(trace.names(), [&steps[..], &steps, &["retired"]].concat());
    let attempts: Vec<_> = trace.seen.iter().map(|event| event.attempt).collect();
    assert_eq!(attempts, [1, 1, 1, 1, 2, 2, 2, 2, 2]);
    assert!(trace.seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
    for event in &trace.seen[4..8] {
        assert!(
            event.since_change.unwrap() >= Duration::from_millis(30),
            "{event:?}"
        );
    }
    match &trace.seen[5].kind {
        EventKind::Staged { hash, size, .. } => {
            assert_eq!(*hash, Guard::hash(&reloader.current().unwrap()));
            assert_eq!(*size, text(2).len() as u64);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        trace.seen[4].to_string(),
        format!("changed: {}", source.display())
    );
    assert!(trace.seen[7].to_string().starts_with("version 2 runs, "));
}

#[test]
fn callbacks_receive_the_events_of_channels_on_one_thread() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    let mut trace = Trace::of(&reloader);
    let notes: Arc<Mutex<Vec<(Event, std::thread::ThreadId)>>> = Arc::default();
    let ours = Arc::clone(&notes);
    reloader.on_event(move |event| {
        ours.lock()
            .unwrap()
            .push((event.clone(), std::thread::current().id()))
    });
    reloader.on_event(|event| assert!(!matches!(event.kind, EventKind::Loaded { .. }), "on purpose"));
    reloader.start().unwrap();
    let guard = reloader.current().unwrap();
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
    drop(guard);
    dir.write("plugin.txt", "text x end");
    trace.await_failure();
    reloader.stop();
    let notes = notes.lock().unwrap();
    let names: Vec<_> = notes.iter().map(|(event, _)| name(&event.kind)).collect();
    assert_eq!(names, trace.names());
    assert_eq!(names.iter().filter(|name| **name == "retired").count(), 1);
    assert!(
        notes
            .iter()
            .all(|(_, thread)| *thread == notes[0].1 && *thread != std::thread::current().id())
    );
}

#[test]
fn a_failure_names_its_step_and_is_kept() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", "text one end");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Load);
    assert_eq!(
        error.report(),
        "cannot load the new version: `one` is not a number: invalid digit found in string"
    );
    let failed = trace.seen.last().unwrap();
    assert_eq!(failed.to_string(), format!("failed to load: {}", error.report()));
    // The same broken content is not reported again; the next good content is loaded.
    let file = std::fs::File::options().append(true).open(&source).unwrap();
    file.sync_all().unwrap();
    drop(file);
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
    assert_eq!(trace.count("failed"), 1);
    assert!(reloader.last_error().is_none());
}

/// Keeps the log records of all tests in this process.
struct Kept(Mutex<Vec<(log::Level, String)>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl log::Log for Kept {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "dynload_hotreload"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0
                .lock()
                .unwrap()
                .push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn verbose_logs_each_step() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let dir = Dir::new();
    for (name, verbose) in [("verbose.txt", true), ("quiet.txt", false)] {
        let reloader = text_reloader(text_config(&dir.write(name, text(1))).with_verbose(verbose));
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        dir.write(name, "text x end");
        trace.await_failure();
    }
    log::set_max_level(log::LevelFilter::Off);
    let kept = KEPT.0.lock().unwrap();
    let of = |name: &str| -> Vec<_> {
        kept.iter()
            .filter(|(_, text)| text.starts_with(name))
            .map(|(level, text)| (*level, text.as_str()))
            .collect()
    };
    let verbose = of("verbose.txt: ");
    assert!(
        verbose
            .iter()
            .any(|(level, text)| *level == log::Level::Info && text.contains("version 1 runs"))
    );
    let failure = (
        log::Level::Warn,
        "quiet.txt: failed to load: cannot load the new version: `x` is not a number: invalid digit found in string",
    );
    assert_eq!(
        of("quiet.txt: "),
        [failure],
        "without `verbose`, only failures are logged"
    );
}
