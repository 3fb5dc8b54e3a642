//! Guests in C whose shaders run on a real device: `cargo test -p dynload-gpu --features wgpu --test guests`.
//!
//! Without a Vulkan device the tests pass, and say that they have tested nothing, unless `DYNLOAD_REQUIRE_GPU` is set.
#![cfg(unix)]

#[path = "guests/compile.rs"]
mod compile;

use compile::{guest, module, root};
use dynload_gpu::Workers;
use dynload_sandbox::{
    Capabilities, Instance, Limit, Limits, Sandbox, Scopes, Value, caps::GpuScope, gpu::Gpu,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that must not take long, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The devices, for one test at a time: each looks for processes that are left.
struct Place {
    gpu: Arc<Workers>,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    fn new() -> Option<Place> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let gpu = Arc::new(Workers::new(env!("CARGO_BIN_EXE_dynload-gpu-worker")).unwrap());
        if gpu.devices().is_empty() {
            assert!(
                std::env::var_os("DYNLOAD_REQUIRE_GPU").is_none(),
                "there is no Vulkan device: install mesa-vulkan-drivers and libvulkan1"
            );
            println!("not tested: there is no Vulkan device");
            return None;
        }
        Some(Place { gpu, _alone: alone })
    }

    fn sandbox(&self, time: Duration) -> Sandbox {
        let scope = GpuScope::new(["name:*".parse().unwrap()])
            .with_max_shader_bytes(1 << 20)
            .with_max_invocations(u64::MAX);
        let mut sandbox = Sandbox::new(Limits::DEFAULT.with_time(time))
            .with_capabilities(Capabilities::GPU)
            .with_scopes(Scopes::none().with_gpu(scope));
        sandbox.set_gpu(self.gpu.clone());
        sandbox
    }

    /// Nothing is left of the workers once the devices are dropped.
    fn assert_nothing_stays(self) {
        let Place { gpu, _alone } = self;
        drop(gpu);
        let deadline = Instant::now() + PATIENCE;
        while let [worker, ..] = workers()[..] {
            assert!(Instant::now() < deadline, "the worker {worker} is still there");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The processes of this test's workers.
fn workers() -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let parent = after_name.split_whitespace().nth(1);
        if stat.contains("dynload-gpu") && parent == Some(&std::process::id().to_string()) {
            found.push(pid);
        }
    }
    found
}

fn call(instance: &mut Instance, name: &str, arg: i32) -> i64 {
    match instance.call(name, &[Value::I32(arg)]).unwrap()[..] {
        [Value::I64(result)] => result,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_plugin_doubles_numbers() {
    let Some(place) = Place::new() else { return };
    let text = include_str!("../../../docs/gpu/double.c");
    let page = include_str!("../../../docs/gpu.md");
    for line in page.lines().skip_while(|line| *line != "```wgsl").skip(1) {
        if line == "```" {
            break;
        }
        assert!(text.contains(line), "{line}");
    }
    let module = module(&root().join("docs/gpu/double.c"));
    let mut plugin = place.sandbox(PATIENCE).instantiate(&module).unwrap();
    for count in [1_u32, 64, 100_000] {
        let numbers: Vec<u8> = (0..count).flat_map(u32::to_le_bytes).collect();
        let doubled: Vec<u8> = (0..count).flat_map(|n| (2 * n).to_le_bytes()).collect();
        assert!(
            plugin.call_bytes("doubled", &[&numbers]).unwrap() == doubled,
            "{count}"
        );
        assert_eq!(plugin.usage().gpu_invocations, u64::from(count.div_ceil(64) * 64));
    }
    assert_eq!(plugin.call_bytes("doubled", &[b""]).unwrap(), b"");
    let error = plugin.call_bytes("doubled", &[b"abc"]).unwrap_err().to_string();
    assert!(error.contains("pass numbers of 4 bytes"), "{error}");
    drop(plugin);
    place.assert_nothing_stays();
}

/// Whole numbers are equal on the device and in the interpreter; floating-point numbers nearly so.
#[test]
fn demonstrations_agree_with_the_interpreter() {
    let Some(place) = Place::new() else { return };
    let sandbox = place.sandbox(PATIENCE * 10);
    for (name, size) in [("sha256", 20_000), ("matrix", 61)] {
        let mut instance = sandbox.instantiate(&guest(name)).unwrap();
        let (gpu, cpu) = (call(&mut instance, "gpu", size), call(&mut instance, "cpu", size));
        assert_eq!(gpu, cpu, "{name}");
    }
    let mut mandelbrot = sandbox.instantiate(&guest("mandelbrot")).unwrap();
    let different = call(&mut mandelbrot, "different", 128);
    assert!(different <= 128 * 128 / 200, "{different} pixels");
    let mut bodies = sandbox.instantiate(&guest("bodies")).unwrap();
    let (gpu, cpu) = (call(&mut bodies, "gpu", 256), call(&mut bodies, "cpu", 256));
    assert!((gpu - cpu).abs() <= cpu / 1000, "{gpu} {cpu}");
    drop((mandelbrot, bodies, sandbox));
    place.assert_nothing_stays();
}

const START: &str = "@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n";

/// The shaders that hang, starve or crash a process in which their driver runs.
#[test]
fn hostile_shaders_cost_the_call_its_time_and_nothing_else() {
    let Some(place) = Place::new() else { return };
    let main = |body: &str| format!("{START}@compute @workgroup_size(64) fn main() {{ {body} }}");
    let sum = vec!["a[0]"; 20_000].join(" + ");
    let mut calls = String::from(START);
    calls += "fn f0(x: u32) -> u32 { return x * 3u + a[x % 7u]; }\n";
    for n in 1..24 {
        calls += &format!(
            "fn f{n}(x: u32) -> u32 {{ return f{}(x) + f{}(x + 1u); }}\n",
            n - 1,
            n - 1
        );
    }
    calls += "@compute @workgroup_size(1) fn main() { a[0] = f23(a[1]); }";
    let module = guest("shaders");
    // The last resort of a driver may also be that the worker dies: NODEV.
    for (what, source, groups) in [
        ("endless", main("loop { a[0] = a[0] + 1u; }"), 65_535),
        ("long sum", main(&format!("a[0] = {sum};")), 1),
        ("calls", calls, 1),
        (
            "private",
            format!(
                "var<private> p: array<u32, 1000>;\n{}",
                main("for (var i = 0u; i < 1000u; i++) { p[i] = a[i]; } a[0] = p[a[1]];")
            ),
            1,
        ),
        (
            "nested",
            main(&format!("a[0] = {}1u{};", "(".repeat(30_000), ")".repeat(30_000))),
            1,
        ),
    ] {
        let sandbox = place.sandbox(Duration::from_secs(2));
        let mut instance = sandbox.instantiate(&module).unwrap();
        instance
            .call("set_groups", &[Value::I32(groups), Value::I32(groups)])
            .unwrap();
        let started = Instant::now();
        let result = instance.call_bytes("run", &[source.as_bytes()]);
        assert!(started.elapsed() < PATIENCE, "{what}");
        if let Err(error) = result {
            let text = error.to_string();
            let is_stopped = error.limit() == Some(Limit::Time);
            assert!(
                is_stopped || text.contains("43 ") || text.contains("28 "),
                "{what}: {text}"
            );
        }
        instance.reset().unwrap();
        // The same instance, and another one, work.
        let fine = main("a[1] = 5u;");
        for instance in [
            &mut instance,
            &mut place.sandbox(PATIENCE).instantiate(&module).unwrap(),
        ] {
            let result = instance.call_bytes("run", &[fine.as_bytes()]).unwrap();
            assert_eq!(
                result[..8],
                [0, 0, 0, 0, 5, 0, 0, 0],
                "{what}: buffers start with zeros"
            );
        }
    }
    place.assert_nothing_stays();
}

#[test]
fn the_compiler_says_what_is_wrong() {
    let Some(place) = Place::new() else { return };
    let mut instance = place.sandbox(PATIENCE).instantiate(&guest("shaders")).unwrap();
    let entry = |body: &str| format!("@compute @workgroup_size(1) fn main() {{ {body} }}");
    for (source, message) in [
        (String::from("fn main("), "28 "),
        (format!("{START}{}", entry("a[0] = b;")), "b"),
        (entry("").replace("main", "other"), "main"),
        (
            format!("{START}{}", entry("a[0] = 1u;").replace("_size(1)", "_size(257)")),
            "28 ",
        ),
        (
            START.replace("group(0)", "group(1)") + &entry("a[0] = 1u;"),
            "group",
        ),
        (
            format!(
                "@group(0) @binding(0) var t: texture_2d<f32>;\n{}",
                entry("_ = textureDimensions(t);")
            ),
            "28 ",
        ),
    ] {
        let error = instance
            .call_bytes("run", &[source.as_bytes()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("28 ") && error.contains(message),
            "{source}: {error}"
        );
    }
    drop(instance);
    place.assert_nothing_stays();
}

/// Nothing outside of a binding is read or written.
#[test]
fn accesses_out_of_bounds_stay_inside() {
    let Some(place) = Place::new() else { return };
    let mut instance = place.sandbox(PATIENCE).instantiate(&guest("shaders")).unwrap();
    let body = "let far = 100000u + a[0]; a[far] = 7u; a[1] = a[far * 4u] | 1u;";
    let source = format!("{START}@compute @workgroup_size(1) fn main() {{ {body} }}");
    let result = instance.call_bytes("run", &[source.as_bytes()]).unwrap();
    assert_eq!(result.len(), 1024);
    assert_eq!(result[4] & 1, 1);
    drop(instance);
    place.assert_nothing_stays();
}

/// The memory of the worker follows the limit: what is written is not kept in copies.
#[test]
fn memory_is_limited_to_what_the_scope_allows() {
    let Some(place) = Place::new() else { return };
    let mut instance = place.sandbox(PATIENCE).instantiate(&guest("shaders")).unwrap();
    let count = match instance.call("fill", &[]).unwrap()[..] {
        [Value::I32(count)] => count,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(count, 16, "64 MiB in buffers of 4 MiB");
    assert_eq!(instance.usage().peak_gpu_memory_bytes, 64 << 20);
    drop(instance);
    place.assert_nothing_stays();
}
