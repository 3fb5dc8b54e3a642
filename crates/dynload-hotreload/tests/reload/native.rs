//! Tests with real shared libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dynload_hotreload::native::Options;
use dynload_hotreload::{
    Artifact, ArtifactKind, Builder, Config, LoadError, Loader, NativeLoader, NativePlugin, Reloader, State,
    Step, native_loader,
};

use crate::harness::*;

pub(crate) fn loader() -> NativeLoader {
    // SAFETY: only the plugins of these tests are loaded, and they have no constructors.
    unsafe { native_loader!() }
}

/// Returns a loader that unmaps retired versions, for tests that load hundreds.
pub(crate) fn unmapping_loader() -> NativeLoader {
    loader().on_retire(|old| {
        // SAFETY: these plugins start no threads and keep no state; the last guard was dropped, and calls end before
        // their guard is dropped.
        unsafe { old.unload() }.unwrap();
    })
}

/// Calls the exported `int64_t NAME(void)`.
pub(crate) fn call(plugin: &NativePlugin, name: &str) -> i64 {
    // SAFETY: the plugins of these tests define it with this type.
    let function = unsafe { plugin.library().symbol::<extern "C" fn() -> i64>(name) }.unwrap();
    function()
}

/// Compiles C with `cc`.
#[track_caller]
pub(crate) fn compile(dir: &Dir, name: &str, code: &str) -> PathBuf {
    let source = dir.write(&format!("{name}.c"), code);
    let library = dir.at(&format!("{name}.so"));
    // Linked to another path and then renamed: GNU ld writes the build ID last, and without a debounce the library
    // would be loaded before that.
    let linked = dir.at(&format!("{name}.linked"));
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&linked, &source])
        .status()
        .unwrap();
    assert!(status.success());
    fs::rename(linked, &library).unwrap();
    library
}

/// A library whose `value()` can be patched in its bytes, so that a thousand versions cost one compilation.
pub(crate) struct Patched {
    bytes: Vec<u8>,
    at: usize,
}

impl Patched {
    const MARK: u64 = 0x5EED_F00D_1234_ABCD;

    pub(crate) fn new(dir: &Dir) -> Self {
        let code = format!(
            "volatile const long long mark = {}LL; long long value(void) {{ return mark; }}",
            Self::MARK as i64
        );
        let bytes = fs::read(compile(dir, "patched", &code)).unwrap();
        let mark = Self::MARK.to_le_bytes();
        let at = bytes.windows(8).position(|window| window == mark).unwrap();
        Self { bytes, at }
    }

    pub(crate) fn with(&self, value: u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[self.at..self.at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    }
}

fn config(source: &Path) -> Config {
    Config::new(source)
        .with_debounce(Duration::ZERO)
        .with_settle_timeout(Duration::from_millis(100))
}

fn edits(edits: u64, save: impl Fn(&Path, &[u8])) {
    let dir = Dir::new();
    let patched = Patched::new(&dir);
    let source = dir.write("plugin.so", patched.with(0));
    // On a busy disk, the writer may be delayed in the middle of a write.
    let config = config(&source)
        .with_settle_timeout(ROOM)
        .with_shrink_timeout(ROOM);
    let reloader = Arc::new(Reloader::new(config, unmapping_loader()).unwrap());
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let callers = Callers::start(&reloader, |plugin| call(plugin, "value") as u64);
    for edit in 1..=edits {
        save(&source, &patched.with(edit));
        await_version(&reloader, edit + 1);
        assert_eq!(call(&reloader.current().unwrap(), "value") as u64, edit);
        if edit % 100 == 0 {
            // A file in between that is complete and not a library changes nothing.
            save(&source, &vec![b'x'; patched.bytes.len()]);
            let (step, _) = trace.await_failure();
            assert_eq!(step, Step::Load);
            assert_eq!(call(&reloader.current().unwrap(), "value") as u64, edit);
        }
    }
    callers.finish();
    reloader.stop();
    assert_eq!(trace.count("swapped") as u64, edits + 1);
    let failures = trace.failures();
    assert_eq!(failures.len() as u64, edits / 100, "{failures:#?}");
    assert_eq!(trace.count("retired") as u64, edits);
}

#[test]
fn rename_1000() {
    edits(1000, |source, bytes| {
        let new = source.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, source).unwrap();
    });
}

#[test]
fn truncate_and_write_300() {
    edits(300, |source, bytes| fs::write(source, bytes).unwrap());
}

#[test]
fn delete_and_create_300() {
    edits(300, |source, bytes| {
        fs::remove_file(source).unwrap();
        fs::write(source, bytes).unwrap();
    });
}

#[test]
fn a_file_that_is_not_a_library_is_refused_and_the_old_version_stays() {
    let dir = Dir::new();
    let library = compile(&dir, "plugin", "long long value(void) { return 1; }");
    let reloader = Reloader::new(config(&library), loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let mut other_machine = fs::read(&library).unwrap();
    // e_machine of the ELF header: 0xF3 is RISC-V.
    other_machine[18] = 0xF3;
    let broken: [(&[u8], &str); 4] = [
        (b"#!/bin/sh\n", "script"),
        (b"", "not a library"),
        (b"\x7fELF", "not a library"),
        (&other_machine, "not a library"),
    ];
    for (bytes, expected) in broken {
        fs::write(&library, bytes).unwrap();
        let (step, error) = trace.await_failure();
        assert_eq!(step, Step::Load);
        assert!(error.report().contains(expected), "{}", error.report());
        assert_eq!(call(&reloader.current().unwrap(), "value"), 1);
    }
    assert_eq!(reloader.version(), 1);
    // A library with an undefined symbol is refused by the platform's loader.
    compile(
        &dir,
        "plugin",
        "long long nowhere(void); long long value(void) { return nowhere(); }",
    );
    let (_, error) = trace.await_failure();
    assert!(error.report().contains("nowhere"), "{}", error.report());
    compile(&dir, "plugin", "long long value(void) { return 2; }");
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
    assert!(reloader.last_error().is_none());
}

const COUNTER: &str = r#"
#include <stdint.h>
#include <string.h>
static int64_t count;
int64_t bump(void) { return ++count; }
uint64_t dynload_state_schema(void) { return SCHEMA; }
int64_t dynload_state_save(uint8_t *buffer, uint64_t capacity) {
    if (capacity >= sizeof count) memcpy(buffer, &count, sizeof count);
    return sizeof count;
}
int32_t dynload_state_restore(const uint8_t *state, uint64_t size, uint64_t schema) {
    if (schema != SCHEMA || size != sizeof count) return 7;
    memcpy(&count, state, sizeof count);
    return 0;
}
"#;

#[test]
fn state_is_passed_on_through_exported_functions() {
    let dir = Dir::new();
    let with = |schema: u32, more: &str| COUNTER.replace("SCHEMA", &schema.to_string()) + more;
    let library = compile(&dir, "counter", &with(1, ""));
    let reloader = Reloader::new(config(&library), loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(call(&reloader.current().unwrap(), "bump"), 1);
    assert_eq!(call(&reloader.current().unwrap(), "bump"), 2);
    compile(&dir, "counter", &with(1, "int another;"));
    await_version(&reloader, 2);
    assert_eq!(
        call(&reloader.current().unwrap(), "bump"),
        3,
        "the count was passed on"
    );

    // Another layout: refused, and the old version with its state stays.
    compile(&dir, "counter", &with(2, ""));
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Restore);
    assert_eq!(
        error.report(),
        "cannot transfer the state of the old version to the new one: `dynload_state_restore` refused the state \
         (schema 1, 8 bytes) with 7"
    );
    assert_eq!(call(&reloader.current().unwrap(), "bump"), 4);

    // A version without the function would lose the state.
    compile(&dir, "counter", "long long bump(void) { return -1; }");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Restore);
    assert!(
        error.report().contains("does not export `dynload_state_restore`"),
        "{}",
        error.report()
    );
    assert_eq!(call(&reloader.current().unwrap(), "bump"), 5);
}

#[test]
fn options_reach_the_library() {
    let dir = Dir::new();
    let library = compile(&dir, "plugin", "long long value(void) { return 1; }");
    // SAFETY: as for `loader`.
    let loader = unsafe { native_loader!(Options::new().require_descriptor(true)) };
    let reloader = Reloader::new(config(&library).with_builder(Builder::None), loader).unwrap();
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 0);
    assert!(reloader.last_error().unwrap().report().contains("descriptor"));
}

#[test]
fn each_version_receives_the_settings_before_it_runs() {
    let dir = Dir::new();
    let code = |version: u32| {
        format!(
            r#"
            #include <stddef.h>
            #include <string.h>
            static long long received;
            int dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {{
                received = received * 100 + (name_length * 10) + value_length;
                return strcmp(value, "refused") == 0;
            }}
            long long value(void) {{ return received * 10 + {version}; }}
            "#
        )
    };
    let source = compile(&dir, "plugin", &code(1));
    let loader = loader().with_settings([("a", "12"), ("bcd", "")]);
    let reloader = Reloader::new(config(&source), loader).unwrap();
    reloader.start().unwrap();
    assert_eq!(call(&reloader.current().unwrap(), "value"), 12_301);
    compile(&dir, "plugin", &code(2));
    assert_eq!(reloader.wait(ROOM), Some(2));
    assert_eq!(call(&reloader.current().unwrap(), "value"), 12_302);

    let refusing = super::native::loader().with_settings([("a", "refused")]);
    let reloader = Reloader::new(config(&source), refusing).unwrap();
    reloader.start().unwrap();
    let error = reloader.last_error().unwrap();
    assert_eq!(reloader.version(), 0);
    assert!(
        error.report().to_string().contains("refused its setting `a`"),
        "{error}"
    );
}

#[test]
fn a_loader_can_use_the_artifacts_kind() {
    /// A loader for a host with native and Wasm plugins.
    struct Either {
        native: NativeLoader,
        other: TextLoader,
    }
    enum Plugin {
        Native(NativePlugin),
        Other(Text),
    }
    impl Loader for Either {
        type Loaded = Plugin;
        fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
            match artifact.kind {
                ArtifactKind::Native => self.native.check(artifact),
                _ => self.other.check(artifact),
            }
        }
        fn load(&self, artifact: &Artifact) -> Result<Plugin, LoadError> {
            match artifact.kind {
                ArtifactKind::Native => self.native.load(artifact).map(Plugin::Native),
                _ => self.other.load(artifact).map(Plugin::Other),
            }
        }
        fn save(&self, old: &Plugin) -> Result<Option<State>, LoadError> {
            match old {
                Plugin::Native(plugin) => self.native.save(plugin),
                Plugin::Other(plugin) => self.other.save(plugin),
            }
        }
    }
    let dir = Dir::new();
    let library = compile(&dir, "plugin", "long long value(void) { return 5; }");
    for source in [library, dir.write("plugin.wat", text(7))] {
        let loader = Either {
            native: loader(),
            other: TextLoader,
        };
        let reloader = Reloader::new(Config::new(&source), loader).unwrap();
        reloader.start().unwrap();
        match &*reloader.current().unwrap() {
            Plugin::Native(plugin) => assert_eq!(call(plugin, "value"), 5),
            Plugin::Other(plugin) => assert_eq!(plugin.call(), 7),
        }
    }
}
