//! A long run of reloads and builds: descriptors, threads, mappings and temporary files stay as many as they are.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dynload_hotreload::{BuildCommand, Builder, Config, NativeLoader, Reloader, WatchMode};

use crate::children::alone;
use crate::harness::*;
use crate::native::{Patched, call, unmapping_loader};

/// What a process holds.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
    libraries: usize,
    files: usize,
}

impl Held {
    fn is_within(&self, other: &Held) -> bool {
        self.descriptors <= other.descriptors
            && self.threads <= other.threads
            && self.libraries <= other.libraries
            && self.files <= other.files
    }
}

fn entries(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| 1 + entries_of_dir(&entry)).sum()
}

fn entries_of_dir(entry: &fs::DirEntry) -> usize {
    match entry.file_type() {
        Ok(kind) if kind.is_dir() => entries(&entry.path()),
        _ => 0,
    }
}

fn held(out: &Path) -> Held {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let out_name = out.to_str().unwrap();
    Held {
        descriptors: count("fd"),
        threads: count("task"),
        libraries: maps.lines().filter(|line| line.contains(out_name)).count(),
        files: entries(out),
    }
}

/// A plugin and the library in its file.
struct Plugin {
    reloader: Reloader<NativeLoader>,
    version: u64,
}

impl Plugin {
    fn start(config: Config) -> Self {
        let reloader = Reloader::new(config, unmapping_loader()).unwrap();
        reloader.start().unwrap();
        let error = reloader.last_error().map(|error| error.report());
        assert_eq!(reloader.version(), 1, "{error:?}");
        Self { reloader, version: 1 }
    }

    fn save(&mut self, library: &[u8], value: u64) {
        let new = self.reloader.source().with_extension("new");
        fs::write(&new, library).unwrap();
        fs::rename(&new, self.reloader.source()).unwrap();
        self.version += 1;
        await_version(&self.reloader, self.version);
        assert_eq!(call(&self.reloader.current().unwrap(), "value"), value as i64);
    }

    /// Saves a library that fails, and returns when the failure is reported.
    fn fail(&self) {
        let mut trace = Trace::of(&self.reloader);
        fs::write(self.reloader.source(), "this is not a library, and fails").unwrap();
        trace.await_failure();
    }
}

#[test]
fn cycles_of_reloads_builds_failures_and_restarts_leave_nothing() {
    alone(
        &[],
        "soak::cycles_of_reloads_builds_failures_and_restarts_leave_nothing",
        || {
            let cycles = if std::env::var_os("DYNLOAD_PROVE").is_some() {
                5000
            } else {
                60
            };
            let dir = Dir::new();
            let patched = Patched::new(&dir);
            let config = |name: &str| {
                Config::new(dir.write(name, patched.with(0)))
                    .with_debounce(Duration::ZERO)
                    .with_settle_timeout(Duration::ZERO)
                    .with_shrink_timeout(Duration::ZERO)
                    .with_output_dir(dir.at("out"))
            };
            // A build fails if the file is not a library.
            let body = r#"[ "$(head -c 4 "$1" | tail -c 3)" = ELF ] && cp "$1" "$2""#;
            let build = BuildCommand::new(script(&dir, "tools/build", body)).args(["{src}", "{out}"]);
            let built = config("built.bin").with_builder(Builder::Command(build));
            let polled = config("polled.so").with_watch_mode(WatchMode::Poll(Duration::from_millis(2)));
            let mut plugins = [config("plugin.so"), built, polled].map(Plugin::start);
            let mut cycle = |number: u64| {
                let library = patched.with(number);
                // Polling takes longer.
                let count = if number % 8 == 1 { 3 } else { 2 };
                for plugin in &mut plugins[..count] {
                    if number % 5 == 1 {
                        plugin.fail();
                    }
                    if number % 7 == 1 {
                        plugin.reloader.stop();
                        plugin.reloader.start().unwrap();
                    }
                    plugin.save(&library, number);
                }
            };
            // One of each, before the measurement.
            (1..=9).for_each(&mut cycle);
            let now = || held(&dir.at("out"));
            // Threads that have just ended may still be exiting, and versions may still be dropped.
            let mut before = now();
            let mut readings = 0;
            await_until("what the process holds is stable", || {
                let last = std::mem::replace(&mut before, now());
                readings = if before == last { readings + 1 } else { 0 };
                readings == 100
            });
            (10..10 + cycles).for_each(&mut cycle);
            let deadline = Instant::now() + ROOM;
            while !now().is_within(&before) {
                assert!(Instant::now() < deadline, "{:?}, {before:?} before", now());
                std::thread::sleep(Duration::from_millis(2));
            }
        },
    );
}
