//! A loader for text plugins, and waiting functions for all tests.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use dynload_hotreload::{
    Artifact, Builder, Config, Event, EventKind, Guard, LoadError, Loader, ReloadError, Reloader, Step,
};

/// Longer than any step of these tests takes on a busy machine.
pub(crate) const ROOM: Duration = Duration::from_secs(60);

/// A text plugin: `text NUMBER end`. Without `end` it is incomplete; with `broken` it does not load.
pub(crate) struct Text {
    pub(crate) number: u64,
    pub(crate) alive: AtomicBool,
}

impl Text {
    /// Calls the plugin, as a caller does: a caller must never see a dropped version.
    #[track_caller]
    pub(crate) fn call(&self) -> u64 {
        assert!(
            self.alive.load(Ordering::SeqCst),
            "called a version that was dropped"
        );
        self.number
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub(crate) struct TextLoader;

pub(crate) fn text(number: u64) -> String {
    format!("text {number} end")
}

impl Loader for TextLoader {
    type Loaded = Text;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        let content = read(artifact)?;
        if content.trim_end().ends_with("end") {
            Ok(())
        } else {
            Err(LoadError::incomplete("the end is missing"))
        }
    }

    fn load(&self, artifact: &Artifact) -> Result<Text, LoadError> {
        let content = read(artifact)?;
        let number = content.split(' ').nth(1).unwrap_or_default();
        match number.parse() {
            Ok(number) => Ok(Text {
                number,
                alive: AtomicBool::new(true),
            }),
            Err(error) => Err(LoadError::new(format!("`{number}` is not a number")).with_source(error)),
        }
    }
}

fn read(artifact: &Artifact) -> Result<String, LoadError> {
    fs::read_to_string(&artifact.path).map_err(|error| LoadError::new("not a text").with_source(error))
}

/// A directory that is removed after the test.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    #[cfg(unix)]
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

/// Returns the settings for a text plugin without a build, whose changes are processed immediately. A file that a writer has
/// emptied is waited for as long as it takes on a busy disk.
pub(crate) fn text_config(source: &Path) -> Config {
    Config::new(source)
        .with_builder(Builder::None)
        .with_debounce(Duration::ZERO)
        .with_settle_timeout(Duration::from_millis(300))
        .with_shrink_timeout(ROOM)
}

pub(crate) fn text_reloader(config: Config) -> Reloader<TextLoader> {
    Reloader::new(config, TextLoader).unwrap()
}

/// Waits until version `version` is announced, for at most [`ROOM`].
#[track_caller]
pub(crate) fn await_version<L: Loader>(reloader: &Reloader<L>, version: u64) {
    let deadline = Instant::now() + ROOM;
    loop {
        match reloader.wait(deadline.saturating_duration_since(Instant::now())) {
            Some(announced) if announced < version => {}
            Some(_) => break,
            None => {
                let error = reloader.last_error().map(|error| error.report());
                panic!("version {version} was not announced; {reloader:?}, last error {error:?}");
            }
        }
    }
    assert_eq!(reloader.version(), version, "a save was loaded twice");
}

/// The events so far and the ones to come.
pub(crate) struct Trace {
    receiver: Receiver<Event>,
    pub(crate) seen: Vec<Event>,
}

impl Trace {
    pub(crate) fn of<L: Loader>(reloader: &Reloader<L>) -> Self {
        Self {
            receiver: reloader.subscribe(),
            seen: Vec::new(),
        }
    }

    /// Waits for an event for which `wanted` returns a value.
    #[track_caller]
    pub(crate) fn await_some<T>(&mut self, what: &str, mut wanted: impl FnMut(&EventKind) -> Option<T>) -> T {
        let deadline = Instant::now() + ROOM;
        loop {
            match self
                .receiver
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(event) => {
                    self.seen.push(event);
                    if let Some(found) = wanted(&self.seen.last().unwrap().kind) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what}; the events were {:#?}", self.names()),
                Err(RecvTimeoutError::Disconnected) => panic!("the reloader was dropped before {what}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn await_failure(&mut self) -> (Step, Arc<ReloadError>) {
        self.await_some("failure", |kind| match kind {
            EventKind::Failed { step, error, .. } => Some((*step, Arc::clone(error))),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn await_name(&mut self, wanted: &str) {
        self.await_some(wanted, |kind| (name(kind) == wanted).then_some(()));
    }

    /// Returns the names of all events until now.
    pub(crate) fn names(&mut self) -> Vec<&'static str> {
        self.seen.extend(self.receiver.try_iter());
        self.seen.iter().map(|event| name(&event.kind)).collect()
    }

    /// Returns the report of every failure until now.
    pub(crate) fn failures(&mut self) -> Vec<String> {
        self.names();
        let failures = self.seen.iter().filter_map(|event| match &event.kind {
            EventKind::Failed { error, .. } => Some(error.report()),
            _ => None,
        });
        failures.collect()
    }

    pub(crate) fn count(&mut self, wanted: &str) -> usize {
        self.names().iter().filter(|name| **name == wanted).count()
    }
}

pub(crate) fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Changed { .. } => "changed",
        EventKind::Building { .. } => "building",
        EventKind::Built { .. } => "built",
        EventKind::Staged { .. } => "staged",
        EventKind::Loaded { .. } => "loaded",
        EventKind::Swapped { .. } => "swapped",
        EventKind::Retired { .. } => "retired",
        EventKind::Unchanged { .. } => "unchanged",
        EventKind::Cancelled => "cancelled",
        EventKind::Waiting { .. } => "waiting",
        EventKind::WrittenByBuild { .. } => "written by build",
        EventKind::Failed { .. } => "failed",
        EventKind::Watch { .. } => "watch",
        _ => "another",
    }
}

/// Calls the plugin on four threads until the calls are ended, and checks the results.
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<HashSet<u64>>>,
}

impl Callers {
    pub(crate) fn start<L: Loader>(
        reloader: &Arc<Reloader<L>>,
        call: impl Fn(&L::Loaded) -> u64 + Send + Clone + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..4)
            .map(|_| {
                let (reloader, stop, call) = (Arc::clone(reloader), Arc::clone(&stop), call.clone());
                std::thread::spawn(move || {
                    let mut seen = HashSet::new();
                    let mut newest = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let plugin = reloader.current().expect("the running plugin was lost");
                        assert!(
                            Guard::version(&plugin) >= newest,
                            "the version went back from {newest} to {}",
                            Guard::version(&plugin)
                        );
                        newest = Guard::version(&plugin);
                        let first = call(&plugin);
                        // The other threads, and the reloader, can run in the middle of the call.
                        std::thread::sleep(Duration::from_micros(200));
                        assert_eq!(call(&plugin), first, "one guard called two versions");
                        seen.insert(first);
                    }
                    seen
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Ends the calls and returns all results.
    pub(crate) fn finish(self) -> HashSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a caller failed"))
            .collect()
    }
}

/// Returns whether a process with this ID is alive (a zombie is not).
#[cfg(unix)]
pub(crate) fn is_alive(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit(')')
                .next()
                .map(|rest| !rest.trim_start().starts_with('Z'))
        })
        .unwrap_or(false)
}

/// Waits until `condition` is true, for at most [`ROOM`].
#[track_caller]
pub(crate) fn await_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + ROOM;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes a new file and renames it over the old one.
#[track_caller]
pub(crate) fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    // Before version 10, as in Wine, Windows refuses while the file is open. Editors try again too.
    let mut result = fs::rename(&new, path);
    let deadline = Instant::now() + ROOM;
    while cfg!(windows) && result.is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
        result = fs::rename(&new, path);
    }
    result.unwrap();
}

/// Creates an executable script.
#[cfg(unix)]
pub(crate) fn script(dir: &Dir, name: &str, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.write(name, format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
