//! Paths that are not regular files: functions that read them report an error immediately and never block.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use dynload_ffi::flat::*;

/// Anything that takes longer is assumed to block forever.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns paths that do not name a regular file with bytes in it, each with its kind.
fn kinds(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = dir.join("socket");
    std::mem::forget(UnixListener::bind(&socket).unwrap());
    let directory = dir.join("directory");
    std::fs::create_dir(&directory).unwrap();
    let mut kinds = vec![("pipe", pipe), ("socket", socket), ("directory", directory)];
    for (name, path) in [
        ("endless device", "/dev/zero"),
        ("device without bytes", "/dev/null"),
        ("terminal", "/dev/tty"),
        ("kernel's log", "/proc/kmsg"),
        ("file of proc", "/proc/self/status"),
    ] {
        kinds.push((name, path.into()));
    }
    kinds
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Calls `run` on its own thread. Returns its result, or panics if that takes too long.
#[track_caller]
fn bounded<R: Send + 'static>(what: &str, run: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = channel();
    std::thread::spawn(move || done.send(run()));
    result
        .recv_timeout(TIMEOUT)
        .unwrap_or_else(|_| panic!("{what} blocks"))
}

#[test]
fn paths_that_are_not_regular_files_never_block() {
    let dir = tempfile::tempdir().unwrap();
    for (n, (kind, path)) in kinds(dir.path()).into_iter().enumerate() {
        // By its own name, and through symlinks that have the right extensions.
        let named = |extension: &str| {
            let link = dir.path().join(format!("link{n}.{extension}"));
            symlink(&path, &link).unwrap();
            link
        };
        for path in [path.clone(), named("wasm"), named("wat"), named("so"), named("c")] {
            let seen = format!("{kind} as {}", path.display());
            let file = text(&path);
            let (bytes, error) = bounded(&seen, move || {
                // SAFETY: the text is alive.
                let bytes = unsafe { load_wasm_file(file.as_ptr() as i64) };
                (bytes, get_load_error_code())
            });
            assert!(bytes == 0 && error != 0, "{seen}: {bytes} {error}");
            let file = text(&path);
            let loaded = bounded(&seen, move || {
                // SAFETY: the text is alive, and none of these files is code.
                unsafe { load_module(file.as_ptr() as i64) }.loaded
            });
            assert_eq!(loaded, 0, "{seen}");
            let copy = path.clone();
            bounded(&seen, move || {
                dynload_native::inspect::inspect(copy).is_err().then_some(())
            })
            .expect(&seen);
            let copy = path.clone();
            bounded(&seen, move || dynload_native::is_plugin_library(copy));
        }
        // As the files that a plugin directory contains.
        for name in ["plugin.toml", "lone.wasm", "lone.so"] {
            let plugins = dir.path().join(format!("plugins{n}"));
            std::fs::create_dir_all(plugins.join("one")).unwrap();
            let _ = symlink(&path, plugins.join("one").join(name));
            let _ = symlink(&path, plugins.join(name));
            let file = text(&plugins);
            bounded(&format!("{kind} as {name}"), move || {
                // SAFETY: the text is alive.
                let list = unsafe { discover_plugins_in(file.as_ptr() as i64) };
                plugin_list_destroy(list);
            });
        }
    }
}

#[test]
fn a_source_that_is_not_a_regular_file_is_not_built() {
    let dir = tempfile::tempdir().unwrap();
    for (n, (kind, path)) in kinds(dir.path()).into_iter().enumerate() {
        let source = dir.path().join(format!("source{n}.wasm"));
        symlink(&path, &source).unwrap();
        let source = text(&source);
        let code = bounded(kind, move || {
            // SAFETY: the text is alive, and none of these files is code.
            let reloader = unsafe { hot_reloader_new(source.as_ptr() as i64) };
            let started = hot_reloader_start(reloader);
            let code = get_load_error_code();
            hot_reloader_stop(started);
            code
        });
        assert_ne!(code, 0, "{kind}");
    }
}

#[test]
fn reading_a_growing_file_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grows.wasm");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    let bytes = dynload_native::read_regular(&path, 1 << 20).unwrap();
    assert_eq!(bytes.len(), 1 << 20);
    std::fs::write(&path, vec![0; (1 << 20) + 1]).unwrap();
    let error = dynload_native::read_regular(&path, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    // Reading ends even while a writer keeps appending.
    let writer = path.clone();
    let (stop, stopped) = channel::<()>();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(writer).unwrap();
        while stopped.try_recv().is_err() && file.metadata().unwrap().len() < 1 << 28 {
            file.write_all(&[0; 4096]).unwrap();
        }
    });
    for _ in 0..100 {
        let copy = path.clone();
        if let Ok(bytes) = bounded("reading", move || dynload_native::read_regular(copy, 1 << 30)) {
            assert!(bytes.len() > 1 << 20);
        }
    }
    drop(stop);
    writing.join().unwrap();
}
