//! Hot reload through the flat API: Wasm versions, calls that continue in an old one, and what a callback may do meanwhile.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use dynload_ffi::ErrorCode;
use dynload_ffi::abi::HotReloadConfig;
use dynload_ffi::flat::*;

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn address(text: &CString) -> i64 {
    text.as_ptr() as i64
}

fn last_error() -> String {
    match get_load_error() {
        0 => String::new(),
        // SAFETY: a text, copied before the next call.
        at => unsafe { std::ffi::CStr::from_ptr(at as *const _) }
            .to_str()
            .unwrap()
            .to_owned(),
    }
}

fn plugin(path: &Path, version: i64, extra: &str) {
    let wat = format!(
        "(module {extra} (import \"env\" \"meanwhile\" (func $meanwhile (result i64)))
           (func (export \"version\") (result i64) (i64.const {version}))
           (func (export \"wait\") (result i64) (drop (call $meanwhile)) (i64.const {version})))"
    );
    fs::write(path, wat).unwrap();
}

/// Waits until a new version runs.
fn wait_for_version(r: dynload_ffi::abi::HotReloader) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while hot_reloader_check(r) == 0 {
        assert_eq!(get_load_error_code(), 0, "{}", last_error());
        assert!(Instant::now() < deadline, "no new version was loaded");
        std::thread::yield_now();
    }
}

static RELOADER: AtomicI64 = AtomicI64::new(0);
static STARTED_FROM_CALLBACK: AtomicI64 = AtomicI64::new(-1);

/// Called by the guest. While the guest is being loaded (`path` is 0), starts its reloader, which is already started. While the
/// guest runs, writes the next version and waits for it.
unsafe extern "C" fn meanwhile(path: i64, _: i64, _: *const i64, _: i64, results: *mut i64, _: i64) -> i64 {
    let r = dynload_ffi::abi::HotReloader {
        handle: RELOADER.load(Ordering::SeqCst),
        version: 0,
        running: 0,
    };
    if path == 0 {
        // While it is being loaded.
        hot_reloader_start(r);
        STARTED_FROM_CALLBACK.store(get_load_error_code(), Ordering::SeqCst);
    } else {
        // While it runs.
        // SAFETY: the text of the path, which lives as long as the test.
        let path = unsafe { std::ffi::CStr::from_ptr(path as *const _) }
            .to_str()
            .unwrap();
        plugin(Path::new(path), 2, "");
        wait_for_version(r);
    }
    // SAFETY: the function has one result.
    unsafe { *results = 0 };
    0
}

#[test]
fn a_call_ends_in_the_version_in_which_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wat");
    plugin(&path, 1, "");
    let source = text(path.to_str().unwrap());
    let (env, name, signature) = (text("env"), text("meanwhile"), text("() -> (i64)"));
    // SAFETY: the texts live until the end of the test, and the callback has the right type.
    unsafe {
        let r = hot_reloader_with_config(HotReloadConfig {
            source_path: address(&source),
            output_dir: 0,
            debounce_ms: 5,
            verbose: 0,
        });
        RELOADER.store(r.handle, Ordering::SeqCst);
        let s = hot_reloader_sandbox(r);
        let callback = meanwhile as *const () as i64;
        sandbox_host_function(
            s,
            address(&env),
            address(&name),
            address(&signature),
            callback,
            address(&source),
            0,
        );
        sandbox_set_fuel(s, 1_000_000);
        let r = hot_reloader_start(r);
        assert_eq!((r.version, last_error().as_str()), (1, ""));
        let old = hot_reloader_wasm(r);
        let (version, wait) = (text("version"), text("wait"));
        assert_eq!(wasm_call(old, address(&version)), 1);
        // The file changes and the next version runs before this call ends.
        assert_eq!((wasm_call(old, address(&wait)), last_error().as_str()), (1, ""));
        assert_eq!(hot_reloader_version(r), 2);
        assert_eq!(wasm_is_valid(old), 0);
        let new = hot_reloader_wasm(r);
        assert_eq!(wasm_call(new, address(&version)), 2);
        // A version that does not load: the previous one keeps running.
        fs::write(&path, "(module (func (export \"version\") (result i64)").unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while get_load_error_code() == 0 && Instant::now() < deadline {
            assert_eq!(hot_reloader_check(r), 0);
        }
        assert!(
            last_error().contains("is not WebAssembly text"),
            "{}",
            last_error()
        );
        assert_eq!(wasm_call(hot_reloader_wasm(r), address(&version)), 2);

        // A version whose start function starts the reloader that loads it: no deadlock.
        assert_eq!(
            sandbox_host_function(
                s,
                address(&env),
                address(&name),
                address(&signature),
                callback,
                0,
                0
            ),
            1
        );
        plugin(&path, 3, "(start $begin) (func $begin (drop (call $meanwhile)))");
        let text = fs::read_to_string(&path).unwrap();
        // Imports must come before functions.
        let import = "(import \"env\" \"meanwhile\" (func $meanwhile (result i64)))";
        let moved = text
            .replace(import, "")
            .replacen("(module", &format!("(module {import}"), 1);
        fs::write(&path, moved).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while hot_reloader_version(r) < 3 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(hot_reloader_version(r), 3);
        // The reloader was already started. The latest completed change was the one before this one, and it failed.
        assert_eq!(
            STARTED_FROM_CALLBACK.load(Ordering::SeqCst),
            ErrorCode::Load as i64
        );
        assert_eq!(hot_reloader_destroy(r), 1);
    }
}

#[test]
fn a_start_that_is_stopped_is_an_interrupted_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wat");
    // Incomplete, so the reloader waits for the rest.
    fs::write(&path, "").unwrap();
    let source = text(path.to_str().unwrap());
    // SAFETY: the text lives until the end of the test.
    let r = unsafe { hot_reloader_new(address(&source)) };
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let started = hot_reloader_start(r);
            (
                started.handle,
                started.running,
                get_load_error_code(),
                last_error(),
            )
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        while dynload_ffi::primitives::vais_hot_reload_is_running(r.handle) == 0 {
            assert!(Instant::now() < deadline);
        }
        assert_eq!(hot_reloader_stop(r).running, 0);
        let (handle, running, code, error) = starting.join().unwrap();
        assert_eq!((running, code), (0, ErrorCode::Interrupted as i64), "{error}");
        assert!(handle == 0 || handle == r.handle, "{handle}");
    });
    assert_eq!(hot_reloader_destroy(r), 1);
}

#[test]
fn a_source_that_does_not_exist_yet_is_an_error_and_is_loaded_when_it_appears() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wat");
    let source = text(path.to_str().unwrap());
    // SAFETY: the text lives until the end of the test.
    let r = unsafe { hot_reloader_new(address(&source)) };
    let started = hot_reloader_start(r);
    assert_eq!(
        (started.handle, started.version, started.running),
        (r.handle, 0, 1)
    );
    assert_eq!(get_load_error_code(), ErrorCode::Io as i64, "{}", last_error());
    assert!(last_error().contains("plugin.wat"), "{}", last_error());
    fs::write(
        &path,
        "(module (func (export \"version\") (result i64) (i64.const 1)))",
    )
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while hot_reloader_check(r) == 0 {
        assert!(Instant::now() < deadline, "{}", last_error());
        std::thread::yield_now();
    }
    assert_eq!(hot_reloader_version(r), 1);
    assert_eq!(hot_reloader_destroy(r), 1);
}

fn reloader_of(source: &CString) -> dynload_ffi::abi::HotReloader {
    // SAFETY: the text outlives the call, and the code that is built is a constant of the tests below.
    let r = unsafe {
        hot_reloader_with_config(HotReloadConfig {
            source_path: address(source),
            output_dir: 0,
            debounce_ms: 5,
            verbose: 0,
        })
    };
    assert_eq!(get_load_error_code(), 0, "{}", last_error());
    r
}

/// Calls an exported `int64_t NAME(void)`.
fn call_at(function: i64) -> i64 {
    assert_ne!(function, 0, "{}", last_error());
    // SAFETY: the address of a function of that type, whose code stays in memory.
    let function: extern "C" fn() -> i64 = unsafe { std::mem::transmute(function as *const ()) };
    function()
}

#[test]
fn a_native_version_stays_callable_through_failures_reloads_and_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.c");
    let code = |value: i64| format!("long long value(void) {{ return {value}; }}\n");
    fs::write(&path, code(1)).unwrap();
    let (source, name) = (text(path.to_str().unwrap()), text("value"));
    // SAFETY: the text lives until the end of the test.
    let function = |r| unsafe { hot_reloader_get_function(r, address(&name)) };
    let r = hot_reloader_start(reloader_of(&source));
    assert_eq!((r.version, r.running, last_error().as_str()), (1, 1, ""));
    let (first, module) = (function(r), hot_reloader_module(r));
    assert_eq!(call_at(first), 1);
    // The module belongs to the reloader.
    // SAFETY: it is refused.
    assert_eq!(unsafe { unload_module(module) }, 0);
    assert_eq!(get_load_error_code(), ErrorCode::InvalidHandle as i64);
    // SAFETY: it is refused.
    assert_eq!(unsafe { reload_module(module) }.handle, 0);
    assert_eq!(get_load_error_code(), ErrorCode::InvalidHandle as i64);

    // A failure is the error of each check until a later change succeeds.
    fs::write(&path, "long long value(void) { return 2 }\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while get_load_error_code() != ErrorCode::Build as i64 {
        assert_eq!(hot_reloader_check(r), 0);
        assert!(Instant::now() < deadline);
    }
    for _ in 0..3 {
        assert_eq!(hot_reloader_check(r), 0);
        assert!(last_error().contains("plugin.c:1"), "{}", last_error());
    }
    assert_eq!((hot_reloader_version(r), call_at(function(r))), (1, 1));
    fs::write(&path, code(2)).unwrap();
    while hot_reloader_check(r) == 0 {
        assert!(Instant::now() < deadline, "{}", last_error());
    }
    assert_eq!(hot_reloader_check(r), 0, "a version is reported once");
    assert_eq!(get_load_error_code(), 0, "{}", last_error());
    assert_eq!((hot_reloader_version(r), call_at(function(r))), (2, 2));
    // The old code stays in memory; its handle does not stay valid.
    assert_eq!(call_at(first), 1);
    // SAFETY: a text, and a handle that may be stale.
    assert_eq!(unsafe { get_function(module, address(&name)) }, 0);
    assert_eq!(get_load_error_code(), ErrorCode::InvalidHandle as i64);

    let stopped = hot_reloader_stop(r);
    assert_eq!(
        (stopped.running, stopped.version, call_at(function(r))),
        (0, 2, 2)
    );
    // It continues from the version that it has; a second start changes nothing.
    for _ in 0..2 {
        let started = hot_reloader_start(r);
        assert_eq!(
            (started.running, started.version, get_load_error_code()),
            (1, 2, 0)
        );
    }
    assert_eq!(hot_reloader_destroy(r), 1);
    assert_eq!(call_at(first), 1);
}

#[test]
fn a_start_returns_although_the_build_changes_its_own_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Cargo.toml");
    let files = [
        (
            "Cargo.toml",
            "[package]\nname = \"stamped\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n[lib]\ncrate-type = [\"cdylib\"]\n",
        ),
        (
            "build.rs",
            "fn main() {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
                std::fs::write(\"src/generated.rs\", format!(\"// {now}\\n\")).unwrap();
            }",
        ),
        (
            "src/lib.rs",
            "mod generated; #[no_mangle] pub extern \"C\" fn value() -> i64 { 7 }",
        ),
    ];
    fs::create_dir(dir.path().join("src")).unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let source = text(path.to_str().unwrap());
    let r = hot_reloader_start(reloader_of(&source));
    assert_eq!((r.version, last_error().as_str()), (1, ""));
    let name = text("value");
    // SAFETY: the text lives until the end of the test.
    let function = unsafe { hot_reloader_get_function(r, address(&name)) };
    assert_eq!(call_at(function), 7);
    assert_eq!(hot_reloader_destroy(r), 1);
}
