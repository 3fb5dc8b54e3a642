//! Tests of guards, versions, and the caller's view of a reloader.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dynload_hotreload::{
    Artifact, Config, EventKind, Guard, LoadError, Loader, NativeLoader, ReloadError, Reloader, Step,
    WatchMode, WatchState,
};

use crate::harness::*;

#[test]
fn a_guard_keeps_its_version_and_the_last_one_retires_it() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let old = reloader.current().unwrap();
    let staged = trace.await_some("staged", |kind| match kind {
        EventKind::Staged { path, .. } => Some(path.clone()),
        _ => None,
    });
    assert_ne!(staged, source);
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
    let same = old.clone();
    assert_eq!((Guard::version(&old), old.call()), (1, 1));
    assert_eq!(
        (
            Guard::version(&reloader.current().unwrap()),
            reloader.current().unwrap().call()
        ),
        (2, 2)
    );
    drop(old);
    assert_eq!(trace.count("retired"), 0);
    assert!(staged.exists());
    assert_eq!(same.call(), 1);
    drop(same);
    // The worker may hold its guard a moment longer than this test.
    trace.await_name("retired");
    assert!(!staged.exists(), "its copy is removed with it");
}

#[test]
fn a_version_without_guards_is_dropped_before_the_next_one_is_announced() {
    /// Code whose drop takes a while.
    struct Lasting(Arc<AtomicUsize>);
    impl Drop for Lasting {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(100));
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    struct LastingLoader(Arc<AtomicUsize>);
    impl Loader for LastingLoader {
        type Loaded = Lasting;
        fn load(&self, _: &Artifact) -> Result<Lasting, LoadError> {
            Ok(Lasting(Arc::clone(&self.0)))
        }
    }
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "1");
    let dropped = Arc::new(AtomicUsize::new(0));
    let reloader = Reloader::new(text_config(&source), LastingLoader(Arc::clone(&dropped))).unwrap();
    reloader.start().unwrap();
    dir.write("plugin.txt", "2");
    assert_eq!(reloader.wait(ROOM), Some(2));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn unlimited_durations_are_treated_as_very_long_ones() {
    let dir = Dir::new();
    let unlimited = |config: Config| {
        config
            .with_build_timeout(Duration::MAX)
            .with_settle_timeout(Duration::MAX)
            .with_watch_mode(WatchMode::Poll(Duration::MAX))
    };
    let reloader = text_reloader(unlimited(text_config(&dir.write("plugin.txt", text(1)))));
    reloader.start().unwrap();
    assert_eq!(Guard::version(&reloader.current().unwrap()), 1);
    // All reloaders share the watching thread: it continues for the others.
    let source = dir.write("other.txt", text(1));
    let other = text_reloader(text_config(&source).with_debounce(Duration::MAX));
    other.start().unwrap();
    dir.write("other.txt", text(2));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(Guard::version(&other.current().unwrap()), 1);
    let third = text_reloader(text_config(&source));
    third.start().unwrap();
    dir.write("other.txt", text(3));
    await_version(&third, 2);
    assert!(reloader.is_running() && other.is_running());
}

#[test]
fn guards_outlive_the_reloader() {
    let dir = Dir::new();
    let reloader = text_reloader(text_config(&dir.write("plugin.txt", text(1))));
    reloader.start().unwrap();
    let guard = reloader.current().unwrap();
    drop(reloader);
    assert_eq!(guard.call(), 1);
}

#[test]
fn check_and_wait_announce_a_version_once() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
    assert!(!reloader.check(), "the version that start loads is not announced");
    assert_eq!(reloader.wait(Duration::ZERO), None);
    dir.write("plugin.txt", text(2));
    await_until("check announces the reload", || reloader.check());
    assert!(!reloader.check());
    assert_eq!(reloader.wait(Duration::ZERO), None);
    dir.write("plugin.txt", text(3));
    assert_eq!(reloader.wait(ROOM), Some(3));
    assert!(!reloader.check());
    // Of many concurrent calls, only one announces the version.
    dir.write("plugin.txt", text(4));
    let announced = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                await_until("a check announces version 4", || {
                    announced.fetch_add(reloader.check().into(), Ordering::SeqCst);
                    announced.load(Ordering::SeqCst) > 0
                });
                announced.fetch_add(reloader.check().into(), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(announced.into_inner(), 1);
}

#[test]
fn wait_ends_when_the_reloader_stops() {
    let dir = Dir::new();
    let reloader = text_reloader(text_config(&dir.write("plugin.txt", text(1))));
    assert_eq!(reloader.wait(ROOM), None, "not started");
    reloader.start().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reloader.wait(Duration::MAX));
        reloader.stop();
        assert_eq!(waiting.join().unwrap(), None);
    });
}

#[test]
fn a_source_that_is_broken_or_missing_at_the_start_is_loaded_later() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "text x end");
    let reloader = text_reloader(text_config(&source));
    reloader.start().unwrap();
    assert_eq!((reloader.version(), reloader.current().is_none()), (0, true));
    assert!(
        reloader
            .last_error()
            .unwrap()
            .report()
            .contains("`x` is not a number")
    );
    dir.write("plugin.txt", text(1));
    assert_eq!(
        reloader.wait(ROOM),
        Some(1),
        "a first version that is loaded after the start is announced"
    );

    let missing = text_reloader(text_config(&dir.at("missing.txt")));
    missing.start().unwrap();
    let error = missing.last_error().unwrap();
    assert!(
        matches!(&*error, ReloadError::Source { path, .. } if *path == dir.at("missing.txt")),
        "{error:?}"
    );
    dir.write("missing.txt", text(5));
    assert_eq!(missing.wait(ROOM), Some(1));
    assert!(missing.last_error().is_none());
}

#[test]
fn a_restart_continues_from_the_running_version() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    assert_eq!(reloader.watch_state(), WatchState::Stopped);
    reloader.start().unwrap();
    reloader.start().unwrap();
    assert!(reloader.is_running());
    assert_eq!(reloader.watch_state(), WatchState::Active);
    reloader.stop();
    reloader.stop();
    assert!(!reloader.is_running());
    assert_eq!(
        reloader.current().unwrap().call(),
        1,
        "the version can still be called"
    );
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1, "nothing has changed since the stop");
    reloader.stop();
    dir.write("plugin.txt", text(2));
    assert_eq!(reloader.version(), 1, "the stopped reloader does not watch");
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 2);
    assert!(reloader.check(), "a change that start finds is announced");
}

#[test]
fn a_panic_in_the_loader_is_a_failed_reload() {
    struct Panicking;
    impl Loader for Panicking {
        type Loaded = u64;
        fn load(&self, artifact: &Artifact) -> Result<u64, LoadError> {
            let content = std::fs::read_to_string(&artifact.path).unwrap();
            Ok(content.parse().expect("only numbers"))
        }
    }
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "1");
    let reloader = Reloader::new(text_config(&source), Panicking).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", "I");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Load);
    assert!(error.to_string().contains("only numbers"), "{error}");
    dir.write("plugin.txt", "2");
    await_version(&reloader, 2);
    assert_eq!(*reloader.current().unwrap(), 2);
}

#[test]
fn stop_in_a_callback_stops_the_reloader() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = Arc::new(text_reloader(text_config(&source)));
    let handle = Arc::new(OnceLock::new());
    let inner = Arc::clone(&handle);
    reloader.on_event(move |event| {
        if matches!(event.kind, EventKind::Swapped { version: 2, .. }) {
            let reloader: &std::sync::Weak<Reloader<TextLoader>> = inner.get().unwrap();
            reloader.upgrade().unwrap().stop();
        }
    });
    handle.set(Arc::downgrade(&reloader)).unwrap();
    reloader.start().unwrap();
    dir.write("plugin.txt", text(2));
    await_until("the reloader has stopped", || !reloader.is_running());
    assert_eq!(reloader.version(), 2);
    reloader.start().unwrap();
    dir.write("plugin.txt", text(3));
    await_version(&reloader, 3);
}

#[test]
fn check_never_waits_for_a_load() {
    /// A loader whose load lasts until the test ends it.
    struct Slow(Arc<(AtomicUsize, AtomicUsize)>);
    impl Loader for Slow {
        type Loaded = ();
        fn load(&self, artifact: &Artifact) -> Result<(), LoadError> {
            if artifact.version > 1 {
                self.0.0.store(1, Ordering::SeqCst);
                await_until("the test has checked", || self.0.1.load(Ordering::SeqCst) == 1);
            }
            Ok(())
        }
    }
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "1");
    let flags = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let reloader = Reloader::new(text_config(&source), Slow(Arc::clone(&flags))).unwrap();
    reloader.start().unwrap();
    dir.write("plugin.txt", "2");
    await_until("the load has begun", || flags.0.load(Ordering::SeqCst) == 1);
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(!reloader.check());
        assert_eq!(reloader.version(), 1);
        assert_eq!(Guard::version(&reloader.current().unwrap()), 1);
    }
    assert!(started.elapsed() < ROOM / 4, "check waited for the load");
    flags.1.store(1, Ordering::SeqCst);
    await_version(&reloader, 2);
}

#[test]
fn reloaders_can_be_shared_and_boxed() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Reloader<NativeLoader>>();
    shareable::<Reloader<Box<dyn Loader<Loaded = Text>>>>();
    let dir = Dir::new();
    let boxed: Box<dyn Loader<Loaded = Text>> = Box::new(TextLoader);
    let reloader = Reloader::new(text_config(&dir.write("plugin.txt", text(9))), boxed).unwrap();
    reloader.start().unwrap();
    assert_eq!(reloader.current().unwrap().call(), 9);
}

#[test]
#[cfg_attr(
    windows,
    ignore = "in Wine, a removed file keeps its name until its last reader closes it"
)]
fn a_removed_output_directory_is_created_again() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    for (output, copies) in [(Some(dir.at("out")), 1), (None, 0)] {
        dir.write("plugin.txt", text(1));
        let mut config = text_config(&source).with_settle_timeout(ROOM);
        if let Some(output) = &output {
            config = config.with_output_dir(output);
        }
        let reloader = text_reloader(config);
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        if let Some(output) = &output {
            let count = std::fs::read_dir(output).unwrap().count();
            assert_eq!(count, copies);
            std::fs::remove_dir_all(output).unwrap();
        }
        dir.write("plugin.txt", text(2));
        await_version(&reloader, 2);
        assert_eq!(trace.failures(), [""; 0]);
        drop(reloader);
        if let Some(output) = &output {
            assert_eq!(
                std::fs::read_dir(output).unwrap().count(),
                0,
                "the output directory is not empty"
            );
        }
    }
}

/// Another user could replace what is loaded from there.
#[cfg(unix)]
#[test]
fn an_output_directory_in_which_others_can_replace_files_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let dir = Dir::new();
    let out = dir.at("out");
    let set = |path: &std::path::Path, mode| {
        std::fs::create_dir_all(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |source: &std::path::Path, loader_of: &dyn Fn(Config) -> String| {
        let report = loader_of(Config::new(source).with_output_dir(&out));
        assert!(report.contains("every user can write to it"), "{report}");
    };
    let text_report = |config: Config| {
        let reloader = text_reloader(config.with_builder(dynload_hotreload::Builder::None));
        reloader.start().unwrap();
        reloader
            .last_error()
            .map_or_else(String::new, |error| error.report())
    };
    let source = dir.write("plugin.txt", text(1));
    set(&out, 0o777);
    refused(&source, &text_report);
    // With the sticky bit, copies are safe. The target directory of cargo has a fixed name there.
    set(&out, 0o1777);
    assert_eq!(text_report(Config::new(&source).with_output_dir(&out)), "");
    set(&out.join("cargo-target"), 0o1777);
    let manifest = dir.write(
        "Cargo.toml",
        "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    );
    dir.write("src/lib.rs", "");
    refused(&manifest, &|config| {
        let reloader = Reloader::new(config, crate::native::loader()).unwrap();
        reloader.start().unwrap();
        reloader
            .last_error()
            .map_or_else(String::new, |error| error.report())
    });
}
