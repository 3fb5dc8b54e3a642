//! Tests of starts that are delayed: by an incomplete file, by a stop, by a callback.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use dynload_hotreload::{Artifact, EventKind, LoadError, Loader, Reloader, StartError, State, Stop};

use crate::harness::*;

#[test]
fn a_file_that_keeps_changing_does_not_block_start() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "text ");
    let reloader = text_reloader(text_config(&source));
    let started = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&source).unwrap();
            while !started.load(Ordering::SeqCst) {
                file.write_all(b"0").unwrap();
                std::thread::sleep(Duration::from_millis(3));
            }
            file.write_all(b"7 end").unwrap();
        });
        reloader.start().unwrap();
        assert!(reloader.version() == 0 && reloader.last_error().is_some());
        started.store(true, Ordering::SeqCst);
    });
    assert_eq!(reloader.wait(ROOM), Some(1), "the complete file is loaded");
    assert_eq!(reloader.current().unwrap().call(), 7);
}

#[test]
fn stop_ends_a_start_that_waits_for_an_incomplete_file() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "text 7");
    let reloader = text_reloader(text_config(&source).with_settle_timeout(Duration::MAX));
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start());
        await_until("the reloader has started", || reloader.is_running());
        reloader.stop();
        let started = starting.join().unwrap();
        assert!(matches!(started, Err(StartError::Stopped)), "{started:?}");
    });
    assert!(!reloader.is_running() && reloader.last_error().is_none());
    dir.write("plugin.txt", text(7));
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
}

#[test]
fn start_in_a_callback_does_nothing_unless_the_reloader_is_stopping() {
    let dir = Dir::new();
    let reloader = Arc::new(text_reloader(text_config(&dir.write("plugin.txt", text(1)))));
    let itself: Arc<OnceLock<Weak<Reloader<TextLoader>>>> = Arc::default();
    let (inner, results) = (Arc::clone(&itself), Arc::new(Mutex::new(Vec::new())));
    let results_of_callback = Arc::clone(&results);
    reloader.on_event(move |event| {
        if name(&event.kind) == "swapped" {
            let reloader = inner.get().unwrap().upgrade().unwrap();
            let before = reloader.start();
            reloader.stop();
            *results_of_callback.lock().unwrap() = vec![before, reloader.start()];
        }
    });
    itself.set(Arc::downgrade(&reloader)).unwrap();
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1, "the attempt ended before the stop");
    let results = std::mem::take(&mut *results.lock().unwrap());
    assert!(
        matches!(results[..], [Ok(()), Err(StartError::Stopped)]),
        "{results:?}"
    );
    await_until("the reloader has stopped", || !reloader.is_running());
}

#[test]
fn a_start_while_a_callback_that_stopped_the_reloader_still_runs_starts_it_again() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = Arc::new(text_reloader(text_config(&source)));
    let itself = Arc::downgrade(&reloader);
    let ((stopped, is_stopped), (over, is_over)) = (channel(), channel::<()>());
    reloader.on_event(move |event| {
        if matches!(event.kind, EventKind::Swapped { version: 2, .. }) {
            let result = itself.upgrade().map(|reloader| reloader.stop());
            stopped.send(result).unwrap();
            // The start waits for this callback, so it cannot end it.
            let _ = is_over.recv_timeout(Duration::from_millis(300));
        }
    });
    reloader.start().unwrap();
    dir.write("plugin.txt", text(2));
    assert_eq!(is_stopped.recv_timeout(ROOM), Ok(Some(Stop::Requested)));
    reloader.start().unwrap();
    let _ = over.send(());
    dir.write("plugin.txt", text(3));
    await_version(&reloader, 3);
}

/// A loader that stops its reloader, as the constructor of a plugin may.
#[derive(Default)]
struct Stopping {
    itself: OnceLock<Weak<Reloader<Stopping>>>,
    results: Mutex<Vec<Stop>>,
}

impl Loader for Stopping {
    type Loaded = String;

    fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
        let reloader = self.itself.get().unwrap().upgrade().unwrap();
        self.results.lock().unwrap().push(reloader.stop());
        let content = fs::read_to_string(&artifact.path).unwrap();
        if content == "bad" {
            return Err(LoadError::new("bad"));
        }
        Ok(content)
    }
}

#[test]
fn a_stop_by_the_code_that_start_loads_is_an_error_of_start() {
    let dir = Dir::new();
    for (content, version) in [("good", 1), ("bad", 0)] {
        let source = dir.write("plugin.txt", content);
        let reloader = Arc::new(Reloader::new(text_config(&source), Stopping::default()).unwrap());
        reloader.loader().itself.set(Arc::downgrade(&reloader)).unwrap();
        let started = reloader.start();
        assert!(matches!(started, Err(StartError::Stopped)), "{started:?}");
        assert_eq!(*reloader.loader().results.lock().unwrap(), [Stop::Requested]);
        assert_eq!((reloader.is_running(), reloader.version()), (false, version));
        assert_eq!(reloader.last_error().is_some(), content == "bad");
        assert!(!reloader.check(), "the version that start loads is not announced");
        assert_eq!(reloader.stop(), Stop::Complete);
    }
}

/// A loader that refuses the state for version 2, whose refused version panics when it is dropped.
struct Stubborn;

struct Version {
    number: u64,
    refused: AtomicBool,
}

impl Drop for Version {
    fn drop(&mut self) {
        assert!(
            !self.refused.load(Ordering::SeqCst),
            "a refused version is dropped"
        );
    }
}

impl Loader for Stubborn {
    type Loaded = Version;

    fn load(&self, artifact: &Artifact) -> Result<Version, LoadError> {
        let text = fs::read_to_string(&artifact.path).unwrap();
        Ok(Version {
            number: text.parse().map_err(|_| LoadError::new("not a number"))?,
            refused: AtomicBool::new(false),
        })
    }

    fn save(&self, _: &Version) -> Result<Option<State>, LoadError> {
        Ok(Some(State {
            schema: 1,
            bytes: Vec::new(),
        }))
    }

    fn restore(&self, new: &Version, _: &State) -> Result<(), LoadError> {
        if new.number == 2 {
            new.refused.store(true, Ordering::SeqCst);
            return Err(LoadError::new("not two"));
        }
        Ok(())
    }
}

#[test]
fn a_refused_version_that_panics_in_drop_does_not_end_the_reloader() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "1");
    let reloader = Reloader::new(text_config(&source), Stubborn).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", "2");
    let (_, error) = trace.await_failure();
    assert!(error.report().contains("not two"), "{}", error.report());
    dir.write("plugin.txt", "3");
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().number, 3);
}

/// The file mode mask of a daemon may remove no permission.
#[cfg(target_os = "linux")]
#[test]
fn an_output_directory_that_the_reloader_creates_is_not_refused_whatever_the_mask() {
    let test = "starts::an_output_directory_that_the_reloader_creates_is_not_refused_whatever_the_mask";
    crate::children::alone(&["sh", "-c", "umask 0; exec \"$@\"", "sh"], test, || {
        use std::os::unix::fs::PermissionsExt;
        let dir = Dir::new();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let config = text_config(&dir.write("plugin.txt", text(1))).with_output_dir(dir.at("new/out"));
        let reloader = text_reloader(config);
        reloader.start().unwrap();
        let error = reloader.last_error().map(|error| error.report());
        assert_eq!((reloader.version(), error), (1, None));
    });
}
