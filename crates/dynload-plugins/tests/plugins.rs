//! Directories of plugins that change.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dynload_plugins::hotreload::native_loader;
use dynload_plugins::sandbox::{Engine, ErrorKind, Module, Sandbox};
use dynload_plugins::{
    CallError, Capabilities, ConfigValue, Event, Grant, Limits, Plugins, Policy, Pool, PoolError, Scanner,
    SearchPath, Settings,
};

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module whose function `say` returns `text` and its configured `mark`.
fn says(text: &str) -> String {
    format!(
        r#"(module
            (import "vais" "read_args" (func $read_args (param i32)))
            (import "vais" "set_result" (func $set_result (param i32 i32)))
            (import "vais" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "mark") (data (i32.const 16) "{text}")
            (func (export "say") (param i32) (result i32) (local $len i32)
                (local.set $len (call $config_get (i32.const 0) (i32.const 4) (i32.const {end}) (i32.const 100)))
                (if (i32.lt_s (local.get $len) (i32.const 0)) (then (local.set $len (i32.const 0))))
                (call $set_result (i32.const 16) (i32.add (i32.const {len}) (local.get $len)))
                (i32.const 0))
            (func (export "trap") (param i32) (result i32) unreachable))"#,
        len = text.len(),
        end = 16 + text.len(),
    )
}

fn manifest(id: &str, version: &str, more: &str) -> String {
    format!(
        "[plugin]\nid = \"{id}\"\nversion = \"{version}\"\nformat = \"wasm\"\nentry = \"{id}.wat\"\n{more}"
    )
}

/// Writes a file as editors and installers do: a reader sees the old or the new one.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&new, text).unwrap();
    // Before version 10, as in Wine, Windows refuses while the file is open. Installers try again too.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = fs::rename(&new, path) {
        assert!(cfg!(windows) && Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn add(root: &Path, id: &str, version: &str, text: &str, more: &str) {
    write(&root.join(id).join(format!("{id}.wat")), &says(text));
    write(&root.join(id).join("plugin.toml"), &manifest(id, version, more));
}

fn scanner(root: &Path) -> Scanner {
    Scanner::new(SearchPath::empty().with_dir(root))
        .with_cache(dynload_plugins::discovery::CacheLocation::None)
}

fn policy() -> Policy {
    Policy::new(Grant::none(), Limits::DEFAULT)
}

fn settings(root: &Path) -> Settings {
    Settings::new(scanner(root), policy())
}

fn events(plugins: &Plugins) -> Vec<String> {
    std::iter::from_fn(|| plugins.next_event())
        .map(|event| event.to_string())
        .collect()
}

/// Waits until an event with this text has arrived.
fn await_event(plugins: &Plugins, text: &str) -> Event {
    let end = Instant::now() + PATIENCE;
    let mut others = Vec::new();
    while let Some(event) = plugins.wait_event(end.saturating_duration_since(Instant::now())) {
        if event.to_string().contains(text) {
            return event;
        }
        others.push(event.to_string());
    }
    panic!("no event `{text}`: {others:#?}");
}

#[test]
fn plugins_come_change_and_go() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "one", "1.0.0", "first", "");
    let plugins = settings(root).open();
    assert_eq!(events(&plugins), ["one: version 1.0.0 is loaded"]);
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "first");
    assert_eq!(plugins.ids(), ["one"]);
    assert_eq!(plugins.plugin("one").unwrap().version().unwrap().major, 1);

    // Another, and a changed module; nothing else is reloaded.
    add(root, "two", "2.0.0", "second", "");
    write(&root.join("one/one.wat"), &says("changed"));
    plugins.refresh();
    assert_eq!(
        events(&plugins),
        ["one: version 1.0.0 is reloaded", "two: version 2.0.0 is loaded"]
    );
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "changed");
    plugins.refresh();
    assert_eq!(events(&plugins), [""; 0]);

    // A changed manifest.
    write(&root.join("one/plugin.toml"), &manifest("one", "1.1.0", ""));
    plugins.refresh();
    assert_eq!(events(&plugins), ["one: version 1.1.0 is reloaded"]);

    fs::remove_dir_all(root.join("two")).unwrap();
    plugins.refresh();
    assert_eq!(events(&plugins), ["two: it is no longer found, and was dropped"]);
    let error = plugins.call_str("two", "say", "").unwrap_err();
    assert_eq!(error.to_string(), "no plugin `two` is loaded");
    let error = plugins.call_str("on", "say", "").unwrap_err();
    assert!(error.to_string().ends_with("did you mean `one`?"), "{error}");
}

#[test]
fn what_cannot_be_loaded_leaves_what_runs_and_is_tried_again_when_it_has_changed() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "one", "1.0.0", "first", "");
    let plugins = settings(root).open();
    events(&plugins);

    // A module that is refused, twice the same, then one that works.
    write(
        &root.join("one/one.wat"),
        "(module (import \"env\" \"f\" (func)))",
    );
    plugins.refresh();
    let text = events(&plugins).join("\n");
    assert!(
        text.starts_with("one: a new version is not loaded, the old one keeps running: ")
            && text.contains("unresolved imports: `env.f`"),
        "{text}"
    );
    plugins.refresh();
    assert_eq!(events(&plugins), [""; 0]);
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "first");
    write(&root.join("one/one.wat"), &says("third"));
    plugins.refresh();
    assert_eq!(events(&plugins), ["one: version 1.0.0 is reloaded"]);

    // A manifest with an error.
    write(
        &root.join("one/plugin.toml"),
        "[plugin]\nid = \"one\"\nverson = \"2.0.0\"",
    );
    plugins.refresh();
    let text = events(&plugins).join("\n");
    assert!(
        text.contains("plugin.toml:3: unknown field `plugin.verson`"),
        "{text}"
    );
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "third");
    plugins.refresh();
    assert_eq!(events(&plugins), [""; 0]);

    // A manifest that requests what the policy does not allow.
    write(
        &root.join("one/plugin.toml"),
        &manifest("one", "3.0.0", "[capabilities]\nneeds = [\"network\"]"),
    );
    plugins.refresh();
    let text = events(&plugins).join("\n");
    assert!(
        text.contains("the old one keeps running: plugin one needs network, which this host does not allow"),
        "{text}"
    );
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "third");
}

#[test]
fn configuration_is_checked_and_reaches_the_plugin() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let declared = "[config.mark]\ntype = \"string\"\ndefault = \"!\"\n[config.level]\ntype = \"integer\"\n";
    add(root, "plain", "1.0.0", "hi", declared);
    add(root, "set", "1.0.0", "hi", declared);
    add(root, "wrong", "1.0.0", "hi", declared);
    add(root, "unknown", "1.0.0", "hi", declared);
    add(
        root,
        "required",
        "1.0.0",
        "hi",
        "[config.account]\ntype = \"string\"\nrequired = true\n",
    );
    let plugins = settings(root)
        .with_config("set", "mark", ConfigValue::String("?!".into()))
        .with_config("wrong", "mark", ConfigValue::Integer(7))
        .with_config("unknown", "marc", ConfigValue::String("x".into()))
        .open();
    assert_eq!(plugins.call_str("plain", "say", "").unwrap(), "hi!");
    assert_eq!(plugins.call_str("set", "say", "").unwrap(), "hi?!");
    let text = events(&plugins).join("\n");
    for line in [
        "wrong: it is not loaded: the setting `mark` has the type integer, but line 6 of plugin.toml declares string",
        "unknown: it is not loaded: the plugin has no setting `marc`: did you mean `mark`?",
        "required: it is not loaded: the setting `account` (string) has no value, and line 6 of plugin.toml requires one",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn grants_and_reductions_follow_the_policy() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let requests = "[capabilities]\nneeds = [\"console\"]\noptional = [\"random\"]\n";
    add(root, "one", "1.0.0", "hi", requests);
    let grant = Grant::none().with_capabilities(Capabilities::CONSOLE | Capabilities::TIME);
    let plugins = Settings::new(scanner(root), Policy::new(grant, Limits::RESTRICTIVE)).open();
    assert_eq!(
        events(&plugins),
        ["one: version 1.0.0 is loaded; the optional capabilities random are not granted"]
    );
    let granted = plugins.run("one", |instance| {
        assert_eq!(instance.signature("say").unwrap().params.len(), 1);
        Ok(())
    });
    granted.unwrap();
}

#[test]
fn host_functions_are_added_for_each_plugin() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let ask = r#"(module (import "host" "number" (func $number (result i64)))
        (func (export "ask") (result i64) (call $number)))"#;
    for id in ["a", "bbb"] {
        write(&root.join(id).join(format!("{id}.wat")), ask);
        write(&root.join(id).join("plugin.toml"), &manifest(id, "1.0.0", ""));
    }
    write(&root.join("refused/refused.wat"), ask);
    write(
        &root.join("refused/plugin.toml"),
        &manifest("refused", "1.0.0", ""),
    );
    let plugins = settings(root)
        .with_sandbox(|plugin, sandbox| {
            if plugin.id().as_str() == "refused" {
                return Err("this host does not like it".into());
            }
            let number = plugin.id().as_str().len() as i64;
            sandbox.func_wrap("host", "number", Capabilities::NONE, move |_, ()| Ok(number));
            Ok(())
        })
        .open();
    let ask = |id| plugins.run(id, |instance| instance.call_i64("ask", &[])).unwrap();
    assert_eq!((ask("a"), ask("bbb")), (1, 3));
    let text = events(&plugins).join("\n");
    assert!(
        text.contains("refused: it is not loaded: this host does not like it"),
        "{text}"
    );
}

#[test]
fn an_aborted_call_is_an_error_and_the_next_call_works() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "one", "1.0.0", "hi", "");
    let plugins = settings(root).open();
    let error = plugins.call_str("one", "trap", "").unwrap_err();
    assert!(
        matches!(&error, CallError::Call { source, .. } if matches!(source.kind(), ErrorKind::Trap(_))),
        "{error}"
    );
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "hi");
    let totals = plugins.totals("one").unwrap();
    assert_eq!((totals.calls, totals.failures), (2, 1));
    assert!(totals.fuel > 0);
}

#[test]
fn dependencies_are_loaded_first_and_missing_ones_are_reported() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "a", "1.0.0", "a", "[dependencies]\nb = \"^1\"");
    add(root, "b", "1.0.0", "b", "");
    add(root, "c", "1.0.0", "c", "[dependencies]\nnowhere = \"^1\"");
    let plugins = settings(root).open();
    let seen = events(&plugins);
    assert_eq!(
        seen[..2],
        ["b: version 1.0.0 is loaded", "a: version 1.0.0 is loaded"]
    );
    assert!(
        seen[2].starts_with("c: it is not loaded: plugin c needs nowhere"),
        "{seen:?}"
    );
    plugins.refresh();
    assert_eq!(events(&plugins), [""; 0]);
    add(root, "nowhere", "1.0.0", "n", "");
    plugins.refresh();
    assert_eq!(
        events(&plugins),
        ["nowhere: version 1.0.0 is loaded", "c: version 1.0.0 is loaded"]
    );
}

#[test]
fn it_follows_changes_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let plugins = settings(root).open();
    plugins.watch(Duration::from_millis(20)).unwrap();
    add(root, "one", "1.0.0", "first", "");
    await_event(&plugins, "one: version 1.0.0 is loaded");
    write(&root.join("one/one.wat"), &says("second"));
    await_event(&plugins, "one: version 1.0.0 is reloaded");
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "second");
    write(&root.join("one/plugin.toml"), &manifest("one", "2.0.0", ""));
    await_event(&plugins, "one: version 2.0.0 is reloaded");
    fs::remove_dir_all(root.join("one")).unwrap();
    await_event(&plugins, "one: it is no longer found");
    plugins.unwatch();
    add(root, "two", "1.0.0", "first", "");
    assert_eq!(plugins.ids(), [""; 0]);
    plugins.refresh();
    assert_eq!(plugins.ids(), ["two"]);
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no compiler")]
fn native_plugins_are_loaded_only_on_request() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    compile(
        root,
        "#include <stdint.h>\nint64_t answer(void) { return 42; }\n",
        &root.join("plugins/native/native.so"),
    );
    write(
        &root.join("plugins/native/plugin.toml"),
        "[plugin]\nid = \"native\"\nversion = \"1.0.0\"\nformat = \"native\"\nentry = \"native.so\"",
    );
    let plugins = settings(&root.join("plugins")).open();
    assert_eq!(
        events(&plugins),
        ["native: it is not loaded: it is native code, which this host does not load"]
    );
    // SAFETY: the library is the one compiled above, without constructors.
    let loader = unsafe { native_loader!() };
    let plugins = settings(&root.join("plugins")).with_native(loader).open();
    let native = plugins.native("native").unwrap();
    // SAFETY: the source above declares this type.
    let answer = unsafe { native.library().symbol::<extern "C" fn() -> i64>("answer") }.unwrap();
    assert_eq!(answer(), 42);
    let error = plugins.call_str("native", "say", "").unwrap_err();
    assert!(matches!(error, CallError::Native { .. }), "{error}");
}

/// Compiles C to a library in place of the one before.
fn compile(root: &Path, code: &str, library: &Path) {
    let (source, linked) = (root.join("plugin.c"), root.join("linked.so"));
    fs::write(&source, code).unwrap();
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&linked, &source])
        .status()
        .unwrap();
    assert!(compiled.success());
    fs::rename(linked, library).unwrap();
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no compiler")]
fn the_configuration_reaches_native_plugins() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let directory = root.join("plugins/native");
    // Returns the sum of its settings, and how many it received.
    let code = |factor: u32| {
        format!(
            r#"
            #include <stdint.h>
            #include <stdlib.h>
            #include <string.h>
            static int64_t sum, count;
            int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {{
                if (strlen(name) != name_length || strlen(value) != value_length) return 1;
                if (strcmp(name, "a") != 0 && strcmp(name, "b") != 0) return 2;
                if (strcmp(value, "13") == 0) return 3;
                sum += {factor} * atoi(value);
                count++;
                return 0;
            }}
            int64_t total(void) {{ return 100 * sum + count; }}
            "#
        )
    };
    let manifest = |default: u32| {
        format!(
            "[plugin]\nid = \"native\"\nversion = \"1.0.0\"\nformat = \"native\"\nentry = \"native.so\"\n\
             [config.a]\ntype = \"integer\"\ndefault = {default}\n[config.b]\ntype = \"string\"\n"
        )
    };
    compile(root, &code(1), &directory.join("native.so"));
    write(&directory.join("plugin.toml"), &manifest(1));
    let open = |b: &str| {
        // SAFETY: the libraries are those of this test, without constructors.
        let loader = unsafe { native_loader!() };
        settings(&root.join("plugins"))
            .with_native(loader)
            .with_config("native", "b", ConfigValue::String(b.into()))
            .open()
    };
    let total = |plugins: &Plugins| {
        let native = plugins.native("native").unwrap();
        // SAFETY: the source above declares this type.
        let total = unsafe { native.library().symbol::<extern "C" fn() -> i64>("total") }.unwrap();
        total()
    };
    let plugins = open("20");
    assert_eq!(total(&plugins), 2102);
    // A new library, then a new default.
    events(&plugins);
    compile(root, &code(2), &directory.join("native.so"));
    plugins.refresh();
    assert_eq!(events(&plugins), ["native: version 1.0.0 is reloaded"]);
    assert_eq!(total(&plugins), 4202);
    write(&directory.join("plugin.toml"), &manifest(5));
    plugins.refresh();
    assert_eq!(events(&plugins), ["native: version 1.0.0 is reloaded"]);
    assert_eq!(total(&plugins), 5002);
    // A setting that the plugin refuses.
    write(&directory.join("plugin.toml"), &manifest(13));
    plugins.refresh();
    let text = events(&plugins).join("\n");
    assert!(
        text.contains("the old one keeps running")
            && text.contains("refused its setting `a`: its dynload_plugin_configure returned 3"),
        "{text}"
    );
    assert_eq!(total(&plugins), 5002);
    write(&directory.join("plugin.toml"), &manifest(5));
    let text = events(&open("13")).join("\n");
    assert!(text.contains("native.so` refused its setting `b`"), "{text}");
    // A library that receives none.
    compile(root, "int answer;", &directory.join("native.so"));
    let text = events(&open("1")).join("\n");
    assert!(
        text.contains("it is not loaded") && text.contains("export `dynload_plugin_configure`"),
        "{text}"
    );
}

#[test]
fn calls_of_one_plugin_run_at_the_same_time_as_far_as_there_are_instances() {
    let text = r#"(module (import "host" "meet" (func $meet)) (func (export "f") (call $meet)))"#;
    let module = Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap();
    let meeting = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&meeting);
    let mut sandbox = Sandbox::new(Limits::DEFAULT.with_time(PATIENCE));
    sandbox.func_wrap("host", "meet", Capabilities::NONE, move |caller, ()| {
        inside.fetch_add(1, Ordering::SeqCst);
        // Both calls have to be inside.
        let met = caller.wait(PATIENCE, |_| inside.load(Ordering::SeqCst) >= 2)?;
        assert!(met, "the other call did not run");
        Ok(())
    });
    let pool = Pool::new(Arc::new(sandbox), module, NonZero::new(2).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                pool.run(PATIENCE, |instance| instance.call("f", &[]))
                    .unwrap()
                    .unwrap()
            });
        }
    });
    assert_eq!(pool.totals().calls, 2);
    let (first, second) = (pool.checkout(PATIENCE).unwrap(), pool.checkout(PATIENCE).unwrap());
    // This thread would wait for itself.
    assert!(matches!(pool.checkout(PATIENCE), Err(PoolError::Reentered)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(
                pool.checkout(Duration::ZERO),
                Err(PoolError::Busy { .. })
            ));
        });
    });
    drop((first, second));
    assert!(pool.checkout(Duration::ZERO).is_ok());
}

#[test]
fn a_plugin_that_is_hidden_by_another_is_an_event() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "one", "1.0.0", "first", "");
    let plugins = settings(root).open();
    events(&plugins);
    write(&root.join("other/one.wat"), &says("second"));
    write(&root.join("other/plugin.toml"), &manifest("one", "2.0.0", ""));
    plugins.refresh();
    let found = events(&plugins);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("one: ") && found[0].contains("plugin one is not listed, because"),
        "{found:?}"
    );
    assert_eq!(found[1], "one: version 2.0.0 is reloaded");
    plugins.refresh();
    assert_eq!(events(&plugins), [""; 0]);
}

#[test]
fn what_failed_under_a_new_manifest_never_runs_under_the_old_one() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    add(root, "one", "1.0.0", "first", "");
    let plugins = settings(root).open();
    let module = root.join("one/one.wat");
    let broken = "(module (func $start unreachable) (start $start))";
    let version = |plugins: &Plugins| plugins.plugin("one").unwrap().version().unwrap().major;

    write(&module, broken);
    write(&root.join("one/plugin.toml"), &manifest("one", "2.0.0", ""));
    plugins.refresh();
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "first");
    assert_eq!(version(&plugins), 1);
    write(&module, &says("second"));
    plugins.refresh();
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "second");
    assert_eq!(version(&plugins), 2);

    // One that the policy refuses.
    let network = manifest("one", "3.0.0", "[capabilities]\nneeds = [\"network\"]");
    write(&root.join("one/plugin.toml"), &network);
    plugins.refresh();
    write(&module, &says("third"));
    plugins.refresh();
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "second");
    plugins.watch(Duration::from_millis(10)).unwrap();
    events(&plugins);
    write(&module, &says("fourth"));
    await_event(&plugins, "needs network");
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "second");

    // The old manifest again, with the new module.
    write(&root.join("one/plugin.toml"), &manifest("one", "2.0.0", ""));
    await_event(&plugins, "one: version 2.0.0 is reloaded");
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "fourth");
    write(&module, &says("fifth"));
    await_event(&plugins, "one: version 2.0.0 is reloaded");
    assert_eq!(plugins.call_str("one", "say", "").unwrap(), "fifth");
}

#[test]
fn a_host_function_that_panics_while_it_prepares_does_not_end_the_watching() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let plugins = settings(root)
        .with_sandbox(|plugin, _| {
            assert_ne!(plugin.id().as_str(), "bad", "expected by the test");
            Ok(())
        })
        .open();
    plugins.watch(Duration::from_millis(10)).unwrap();
    add(root, "bad", "1.0.0", "never", "");
    await_event(
        &plugins,
        "bad: it is not loaded: the host's function that prepares its sandbox panicked",
    );
    add(root, "good", "1.0.0", "always", "");
    await_event(&plugins, "good: version 1.0.0 is loaded");
    assert_eq!(plugins.ids(), ["good"]);
}

#[test]
fn plugins_can_be_called_while_one_is_started_and_another_is_dropped() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let host = Arc::new(std::sync::OnceLock::<Plugins>::new());
    let (entered, is_inside) = std::sync::mpsc::channel();
    let of_host = Arc::clone(&host);
    let plugins = settings(root).with_sandbox(move |_, sandbox| {
        let (host, entered) = (Arc::clone(&of_host), entered.clone());
        sandbox.func_wrap("host", "start", Capabilities::NONE, move |_, (): ()| {
            if let Some(plugins) = host.get() {
                entered.send(()).unwrap();
                // Time for the refresh to come as far as it can.
                std::thread::sleep(Duration::from_millis(300));
                plugins.call_str("one", "say", "").unwrap();
            }
            Ok(())
        });
        Ok(())
    });
    add(root, "one", "1.0.0", "first", "");
    add(root, "two", "1.0.0", "second", "");
    add(root, "starts", "1.0.0", "", "");
    let starts = r#"(module (import "host" "start" (func $start)) (start $start))"#;
    write(&root.join("starts/starts.wat"), starts);
    assert!(host.set(plugins.open()).is_ok());

    write(&root.join("starts/starts.wat"), &format!("{starts} ;; changed"));
    fs::remove_dir_all(root.join("two")).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let (watching, watched) = (Arc::clone(&host), done.clone());
    // Not joined: if they wait for each other, the test ends nevertheless.
    std::thread::spawn(move || {
        watching.get().unwrap().watch(PATIENCE).unwrap();
        watched.send(()).unwrap();
    });
    is_inside.recv_timeout(PATIENCE).unwrap();
    std::thread::spawn(move || {
        host.get().unwrap().refresh();
        done.send(()).unwrap();
    });
    for _ in 0..2 {
        is_done.recv_timeout(PATIENCE).unwrap();
    }
}

#[test]
fn totals_are_those_of_all_calls() {
    let text =
        r#"(module (func (export "one") (result i64) (i64.const 1)) (func (export "trap") unreachable))"#;
    let module = Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap();
    let pool = Pool::new(
        Arc::new(Sandbox::new(Limits::DEFAULT)),
        module,
        NonZero::<usize>::MIN,
    );
    let three = pool.run(PATIENCE, |instance| {
        for _ in 0..3 {
            instance.call_i64("one", &[])?;
        }
        Ok(())
    });
    three.unwrap().unwrap();
    let (calls, failures, fuel) = (3, 0, 6);
    let totals = pool.totals();
    assert_eq!(
        (totals.calls, totals.failures, totals.fuel),
        (calls, failures, fuel)
    );
    // The instance is poisoned, and reset for the next call.
    pool.run(PATIENCE, |instance| instance.call_i64("trap", &[]))
        .unwrap()
        .unwrap_err();
    let mut checkout = pool.checkout(PATIENCE).unwrap();
    checkout.call_i64("one", &[]).unwrap();
    assert_eq!(pool.totals().calls, 4);
    drop(checkout);
    let totals = pool.totals();
    assert_eq!((totals.calls, totals.failures), (5, 1));
}
