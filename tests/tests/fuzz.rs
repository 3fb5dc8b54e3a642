//! Random sequences of calls over the whole API, from four threads on the same objects, with live, stale, forged and foreign
//! handles. Nothing may crash, hang, or fail without an error; whatever is left over is destroyed at the end.
//!
//! A fixed seed and a few thousand calls by default. `DYNLOAD_PROVE=1` makes millions with seeds of the day, and runs the same
//! under AddressSanitizer where there is a nightly toolchain.

use std::ffi::CString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dynload_ffi::abi::*;
use dynload_ffi::flat::*;
use dynload_ffi::primitives::*;
use dynload_tests::artifacts::root;
use dynload_tests::host::{expect_success, native_plugin, wasm_plugin};

const THREADS: u64 = 4;

/// xorshift64*, by Marsaglia and Vigna.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What all threads share: the handles that were ever given out, and good arguments.
struct World {
    handles: Mutex<Vec<i64>>,
    modules: Mutex<Vec<ModuleHandle>>,
    /// Texts by their addresses: good and bad ones, all alive.
    texts: Vec<CString>,
    wasm: Vec<Vec<u8>>,
    calls: AtomicU64,
}

/// The most handles that are remembered, so that old ones are forgotten and destroyed.
const REMEMBERED: usize = 64;

impl World {
    fn new(files: &[PathBuf], wat: &[PathBuf]) -> World {
        let mut texts: Vec<CString> = [
            "",
            "answer",
            "add",
            "add32",
            "half",
            "swap",
            "process",
            "count",
            "deep",
            "grow",
            "trap",
            "nothing",
            "run",
            "inner",
            "plugin_init",
            "plugin_answer",
            "i64 -> i64",
            "(i32, f64) -> ()",
            "nonsense ->",
            "env",
            "twice",
            "localhost:80",
            "*:443",
            "/bin/true",
            "/no/such/file.so",
            "LANG",
            "../x",
            "/data",
        ]
        .map(|text| CString::new(text).unwrap())
        .to_vec();
        texts.push(CString::new(b"\xff\xfe".to_vec()).unwrap());
        texts.push(CString::new(vec![b'x'; 5000]).unwrap());
        texts.extend(
            files
                .iter()
                .chain(wat)
                .map(|path| CString::new(path.to_str().unwrap()).unwrap()),
        );
        let wasm = files
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "wasm"));
        let mut wasm: Vec<Vec<u8>> = wasm.map(|path| std::fs::read(path).unwrap()).collect();
        let cut = wasm[0][..wasm[0].len() / 2].to_vec();
        wasm.push(cut);
        World {
            handles: Mutex::default(),
            modules: Mutex::default(),
            texts,
            wasm,
            calls: AtomicU64::new(0),
        }
    }

    fn keep(&self, handle: i64) {
        if handle == 0 {
            return;
        }
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let old = (handles.len() >= REMEMBERED).then(|| handles.remove(0));
        handles.push(handle);
        drop(handles);
        if let Some(old) = old {
            destroy(old);
        }
    }

    fn keep_module(&self, module: ModuleHandle) {
        if module.handle == 0 {
            return;
        }
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let old = (modules.len() >= 8).then(|| modules.remove(0));
        modules.push(module);
        drop(modules);
        if let Some(old) = old {
            // SAFETY: nobody runs code of the plugin in this test.
            unsafe { unload_module(old) };
        }
    }

    fn handle(&self, dice: &mut Dice) -> i64 {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        match dice.below(16) {
            0 => dice.one_of(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 56, 2 << 56, 3 << 56, 4 << 56]),
            1 => dice.roll() as i64,
            2 if !handles.is_empty() => dice.one_of(&handles) ^ 1 << dice.below(63),
            _ if !handles.is_empty() => dice.one_of(&handles),
            _ => 0,
        }
    }

    fn module(&self, dice: &mut Dice) -> ModuleHandle {
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if modules.is_empty() || dice.below(8) == 0 {
            return ModuleHandle {
                handle: dice.roll() as i64,
                path: 0,
                version: 1,
                loaded: 1,
            };
        }
        dice.one_of(&modules)
    }

    fn text(&self, dice: &mut Dice) -> i64 {
        if dice.below(16) == 0 {
            return 0;
        }
        self.texts[dice.below(self.texts.len())].as_ptr() as i64
    }

    /// Bytes of a module, sometimes with a length that is too small.
    fn bytes(&self, dice: &mut Dice) -> (i64, i64) {
        let bytes = &self.wasm[dice.below(self.wasm.len())];
        let len = bytes.len() as i64;
        (
            bytes.as_ptr() as i64,
            dice.one_of(&[len, len, len, len, len / 2, 0, -1, i64::MIN]),
        )
    }
}

fn number(dice: &mut Dice) -> i64 {
    let random = dice.roll() as i64;
    dice.one_of(&[
        0,
        1,
        2,
        3,
        8,
        100,
        1000,
        -1,
        -2,
        i64::MAX,
        i64::MIN,
        random,
        random >> 40,
    ])
}

/// Destroys whatever it is.
fn destroy(handle: i64) {
    sandbox_destroy(WasmSandbox {
        handle,
        capabilities: 0,
    });
    wasm_instance_destroy(WasmInstance { handle, sandbox: 0 });
    hot_reloader_destroy(HotReloader {
        handle,
        version: 0,
        running: 0,
    });
    plugin_list_destroy(PluginList { handle, count: 0 });
    free_wasm_file(handle);
}

unsafe extern "C" fn callback(
    userdata: i64,
    instance: i64,
    args: *const i64,
    nargs: i64,
    results: *mut i64,
    nresults: i64,
) -> i64 {
    // SAFETY: the world outlives the test's threads, and these are the arrays of a host function.
    unsafe {
        let world = &*(userdata as *const World);
        let inst = WasmInstance {
            handle: instance,
            sandbox: 0,
        };
        let mut sum = 1;
        for n in 0..nargs as usize {
            sum ^= *args.add(n);
        }
        // Back into the guest, another one, and whatever else.
        let mut dice = Dice(sum as u64 | 1);
        wasm_call1(inst, c"inner".as_ptr() as i64, sum);
        let mut buffer = [0_u8; 8];
        wasm_memory_read(inst, number(&mut dice), buffer.as_mut_ptr() as i64, 8);
        for _ in 0..dice.below(4) {
            step(world, &mut dice, true);
        }
        for n in 0..nresults as usize {
            *results.add(n) = sum;
        }
        i64::from(dice.below(8) == 0)
    }
}

unsafe extern "C" fn console(userdata: i64, _stream: i64, bytes: *const u8, len: i64) {
    // SAFETY: the world outlives the test's threads, and these are the bytes of the guest.
    let (world, bytes) = unsafe {
        (
            &*(userdata as *const World),
            std::slice::from_raw_parts(bytes, len as usize),
        )
    };
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    step(world, &mut Dice(sum | 1), true);
}

/// One call of something with something. `inside` is inside of a callback, where nothing heavy is started.
fn step(world: &World, dice: &mut Dice, inside: bool) {
    world.calls.fetch_add(1, Ordering::Relaxed);
    let (handle, a, b) = (world.handle(dice), number(dice), number(dice));
    let (text, other) = (world.text(dice), world.text(dice));
    let s = WasmSandbox {
        handle,
        capabilities: a,
    };
    let inst = WasmInstance { handle, sandbox: b };
    let r = HotReloader {
        handle,
        version: a,
        running: 1,
    };
    let list = PluginList { handle, count: b };
    let userdata = std::ptr::from_ref(world) as i64;
    let mut buffer = [0_i64; 8];
    let room = buffer.as_mut_ptr() as i64;
    let small = dice.one_of(&[0, 1, 2, 8, -1]);
    // SAFETY: texts and buffers are alive and as long as is said, or null, or of lengths that are refused; callbacks are of
    // their types; the native plugin is harmless, and no code of it runs but its constructors.
    let result = unsafe {
        match dice.below(if inside { 52 } else { 62 }) {
            0 => sandbox_grant(s, a & 1023).handle,
            1 => sandbox_grant(s, a).handle,
            2 => sandbox_revoke(s, a).handle,
            3 => sandbox_set_fuel(s, 20_000),
            4 => sandbox_set_fuel(s, a.clamp(-2, 20_000)),
            5 => sandbox_set_profile(s, small),
            6 => sandbox_allow_dir(s, text, other, small),
            7 => sandbox_allow_env(s, text, other),
            8 => sandbox_allow_net(s, text),
            9 => sandbox_allow_program(s, text),
            10 => sandbox_allow_workers(s, a),
            11 => sandbox_set_args(s, [text, other].as_ptr() as i64, dice.one_of(&[0, 1, 2, -1])),
            12 => sandbox_set_console(s, dice.one_of(&[console as *const () as i64]), userdata),
            13 => sandbox_host_function(
                s,
                text,
                other,
                world.text(dice),
                callback as *const () as i64,
                userdata,
                a & 1023,
            ),
            14 => wasm_call(inst, text),
            15 | 16 => wasm_call1(inst, text, a),
            17 | 18 => wasm_call2(inst, text, a, b),
            19 => wasm_call_n(inst, text, room, small, room, dice.one_of(&[0, 1, 2, 8, -1])),
            20 => wasm_is_valid(inst),
            21 => wasm_fuel_used(inst),
            22 => wasm_peak_memory(inst) ^ wasm_peak_stack(inst) ^ wasm_peak_depth(inst),
            23 => wasm_memory_read(inst, a, room, small * 8),
            24 => wasm_memory_write(inst, a, room, small * 8),
            25 => wasm_interrupt(inst),
            26 | 27 => wasm_reset(inst),
            28 => get_load_error_copy(room, small * 8),
            29 => i64::from(get_load_error() != 0),
            30 => hot_reloader_check(r),
            31 => hot_reloader_version(r),
            32 => hot_reloader_module(r).handle,
            33 => hot_reloader_get_function(r, text),
            34 => hot_reloader_wasm(r).handle,
            35 => {
                plugin_id(list, small)
                    ^ plugin_name(list, small)
                    ^ plugin_version(list, small)
                    ^ plugin_path(list, small)
            }
            36 => plugin_format(list, small) ^ plugin_capabilities(list, small) ^ plugin_problem(list, small),
            37 => plugin_problem_count(list) ^ vais_plugin_count(handle),
            38 => get_function(world.module(dice), text),
            39 => module_version(world.module(dice)) ^ module_is_loaded(world.module(dice)),
            40 => {
                has_capability(a, b)
                    ^ add_capability(a, b)
                    ^ remove_capability(a, b)
                    ^ has_dangerous_capabilities(a)
            }
            41 => vais_module_symbol(handle, text) ^ vais_module_version(handle) ^ vais_module_path(handle),
            42 => {
                vais_wasm_capabilities(handle)
                    ^ vais_wasm_instance_sandbox(handle)
                    ^ vais_hot_reload_is_running(handle)
            }
            43 => get_wasm_size(handle),
            44 => is_plugin_library(text),
            45 => {
                let (bytes, len) = world.bytes(dice);
                wasm_required_capabilities(bytes, len)
            }
            46 => {
                let (bytes, len) = world.bytes(dice);
                let loaded = sandbox_load(s, bytes, len).handle;
                world.keep(loaded);
                loaded
            }
            47 => {
                destroy(handle);
                0
            }
            48 => {
                let limits = ResourceLimits {
                    max_memory_bytes: a,
                    max_time_ms: 20,
                    max_stack_bytes: 1 << 20,
                    max_call_depth: b,
                };
                let made = sandbox_with_limits(limits).handle;
                world.keep(made);
                made
            }
            49 | 50 => {
                let made = match dice.below(3) {
                    0 => sandbox_restrictive().handle,
                    _ => {
                        sandbox_with_limits(ResourceLimits {
                            max_time_ms: 20,
                            ..default_limits()
                        })
                        .handle
                    }
                };
                let quiet = WasmSandbox {
                    handle: made,
                    capabilities: 0,
                };
                sandbox_set_console(quiet, console as *const () as i64, userdata);
                sandbox_set_fuel(quiet, 20_000);
                let names = [c"env", c"twice", c"(i64) -> (i64)"].map(|text| text.as_ptr() as i64);
                sandbox_host_function(
                    quiet,
                    names[0],
                    names[1],
                    names[2],
                    callback as *const () as i64,
                    userdata,
                    0,
                );
                let (bytes, len) = world.bytes(dice);
                world.keep(sandbox_load(quiet, bytes, len).handle);
                world.keep(made);
                made
            }
            51 => {
                let bytes = load_wasm_file(text);
                world.keep(bytes);
                bytes
            }
            52 => {
                let found = discover_plugins_in(text).handle;
                world.keep(found);
                found
            }
            53 => {
                let module = if dice.below(2) == 0 {
                    load_module(text)
                } else {
                    load_module_lazy(text)
                };
                world.keep_module(module);
                module.handle
            }
            54 => {
                let module = reload_module(world.module(dice));
                world.keep_module(module);
                module.handle
            }
            55 => unload_module(world.module(dice)),
            56 => {
                let made = hot_reloader_with_config(HotReloadConfig {
                    source_path: text,
                    output_dir: 0,
                    debounce_ms: 1,
                    verbose: 0,
                })
                .handle;
                world.keep(made);
                made
            }
            57 => hot_reloader_start(r).handle,
            58 => hot_reloader_stop(r).handle,
            59 => hot_reloader_sandbox(r).handle,
            60 => vais_module_reload(world.module(dice).handle),
            _ => sandbox_destroy(s),
        }
    };
    // Either of them may be; but a text is there exactly when there is a code.
    assert_eq!(
        get_load_error_code() != 0,
        get_load_error() != 0,
        "after a call that gave {result}"
    );
}

fn fuzz(seed: u64, calls: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        native_plugin("plugin", dir.path()),
        wasm_plugin("plugin", dir.path()),
        wasm_plugin("imports", dir.path()),
    ];
    let wat = dir.path().join("imports.wat");
    std::fs::copy(root().join("tests/plugins/imports.wat"), &wat).unwrap();
    let world = World::new(&files, &[wat, dir.path().to_owned()]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                let mut dice = Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (thread + 1));
                while world.calls.load(Ordering::Relaxed) < calls {
                    step(world, &mut dice, false);
                }
            });
        }
    });
    for handle in world.handles.lock().unwrap().drain(..) {
        destroy(handle);
    }
    for module in world.modules.lock().unwrap().drain(..) {
        // SAFETY: nobody runs code of the plugin any more.
        unsafe { unload_module(module) };
    }
    world.calls.load(Ordering::Relaxed)
}

#[test]
fn random_calls_from_four_threads() {
    let prove = std::env::var_os("DYNLOAD_PROVE").is_some();
    // Under a sanitizer the number is given.
    let calls = std::env::var("DYNLOAD_FUZZ_CALLS")
        .ok()
        .and_then(|calls| calls.parse().ok());
    let calls = calls.unwrap_or(if prove { 3_000_000 } else { 50_000 });
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs());
    let seed = std::env::var("DYNLOAD_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(if prove { now } else { 1 });
    println!("DYNLOAD_FUZZ_SEED={seed}");
    let started = Instant::now();
    let made = fuzz(seed, calls);
    println!("{made} calls in {:?}", started.elapsed());
    assert!(made >= calls);
    assert!(started.elapsed() < Duration::from_secs(3600), "something waits");
}

#[test]
fn random_calls_under_address_sanitizer() {
    if std::env::var_os("DYNLOAD_PROVE").is_none() || std::env::var_os("DYNLOAD_FUZZ_CALLS").is_some() {
        println!("only with DYNLOAD_PROVE=1");
        return;
    }
    let target = expect_success(Command::new("rustc").args(["-vV"]));
    let target = target
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let exe = std::env::current_exe().unwrap();
    let target_dir = exe.ancestors().nth(3).unwrap().join("asan");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args([
        "+nightly",
        "test",
        "--quiet",
        "-p",
        "dynload-tests",
        "--test",
        "fuzz",
        "--target",
        target,
    ]);
    // The interpreter goes from operator to operator by tail calls, which the sanitizer makes into real ones, until the stack is
    // full. At this level it uses a loop.
    cargo.args(["--config", "profile.dev.package.wasmi.opt-level=1"]);
    cargo
        .arg("--target-dir")
        .arg(target_dir)
        .args(["--", "random_calls_from_four_threads"]);
    // Set by the cargo that runs this test, and not for another toolchain.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("DYNLOAD_FUZZ_CALLS", "1000000");
    // Texts that are kept for ever by design are reachable, so they count as no leak.
    cargo.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1");
    expect_success(&mut cargo);
}
