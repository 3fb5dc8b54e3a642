//! GPU: what the sandbox checks and counts before a device sees it.

use super::{
    fake_gpu::{Behavior, FakeGpu},
    guest::{errno::*, *},
};
use dynload_sandbox::{caps::GpuScope, gpu, *};
use std::sync::Arc;

const O: i64 = OUT as i64;

/// Where the tests put lists of dispatches, their bindings, and kernels.
const LIST: u32 = 20_000;
const BINDINGS: u32 = 30_000;
const KERNEL: u32 = 40_000;
const MESSAGE: u32 = 41_000;

/// The first buffer, and the first kernel.
const BUFFER: i64 = 1 << 30 | 1 << 8;

pub(crate) fn scope() -> GpuScope {
    GpuScope::new(["*".parse().unwrap()])
}

pub(crate) fn sandbox(gpu: &Arc<FakeGpu>, scope: GpuScope) -> Sandbox {
    let mut sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::GPU | Capabilities::THREADING)
        .with_scopes(Scopes::none().with_gpu(scope).with_max_workers(1));
    sandbox.set_gpu(gpu.clone());
    sandbox
}

/// A guest on the fake device `first`, which is its device 0.
pub(crate) fn guest(gpu: &Arc<FakeGpu>, scope: GpuScope) -> Guest {
    Guest::new(&sandbox(gpu, scope))
}

impl Guest {
    pub(crate) fn gpu_buffer(&mut self, size: i64, usage: i64) -> Result<i64, i64> {
        match self.call("gpu_buffer", &[0, size, usage, O]) {
            0 => Ok(i64::from(self.u32(OUT) as i32)),
            errno => Err(errno),
        }
    }

    pub(crate) fn put_kernel(&mut self, source: &[u8], room: u32) {
        self.put(DATA, source);
        self.put(DATA + 3000, b"main");
        let words = [
            DATA,
            source.len() as u32,
            DATA + 3000,
            4,
            MESSAGE,
            room,
            9,
            9,
            9,
            9,
            9,
        ];
        self.put(KERNEL, &words.map(u32::to_le_bytes).concat());
    }

    pub(crate) fn gpu_kernel(&mut self, source: &str) -> Result<i64, i64> {
        self.put_kernel(source.as_bytes(), 64);
        match self.call("gpu_kernel", &[0, KERNEL.into()]) {
            0 => Ok(i64::from(self.u32(KERNEL + 24) as i32)),
            errno => Err(errno),
        }
    }

    /// Writes a dispatch as number `n` of the list.
    pub(crate) fn put_dispatch(
        &mut self,
        n: u32,
        kernel: i64,
        groups: [u32; 3],
        bindings: &[(u32, i64, u64, u64)],
    ) {
        let list = BINDINGS + n * 600;
        for (at, (number, buffer, start, size)) in bindings.iter().enumerate() {
            let at = list + at as u32 * 24;
            self.put(at, &number.to_le_bytes());
            self.put(at + 4, &(*buffer as u32).to_le_bytes());
            self.put(at + 8, &start.to_le_bytes());
            self.put(at + 16, &size.to_le_bytes());
        }
        let [x, y, z] = groups;
        let words = [kernel as u32, x, y, z, list, bindings.len() as u32, 0];
        self.put(LIST + n * 28, &words.map(u32::to_le_bytes).concat());
    }

    pub(crate) fn gpu_submit(&mut self, count: i64) -> i64 {
        self.call("gpu_submit", &[0, LIST.into(), count])
    }

    /// Submits one dispatch.
    fn dispatch(&mut self, kernel: i64, groups: [u32; 3], bindings: &[(u32, i64, u64, u64)]) -> i64 {
        self.put_dispatch(0, kernel, groups, bindings);
        self.gpu_submit(1)
    }
}

fn obedient() -> Arc<FakeGpu> {
    FakeGpu::new(Behavior::Obey)
}

#[test]
fn the_capability_the_scope_and_a_backend_are_needed() {
    let gpu = obedient();
    let without_capability =
        sandbox(&gpu, scope()).with_capabilities(Capabilities::all() & !Capabilities::GPU);
    let without_device = sandbox(&gpu, GpuScope::default());
    let without_backend = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::GPU)
        .with_scopes(Scopes::none().with_gpu(scope()));
    for (sandbox, wanted) in [
        (without_capability, NOTCAPABLE),
        (without_device, NOTCAPABLE),
        (without_backend, NOSYS),
    ] {
        let mut guest = Guest::new(&sandbox);
        for (name, args) in [
            ("gpu_device_count", &[O][..]),
            ("gpu_device_info", &[0, O]),
            ("gpu_buffer", &[0, 4, 1, O]),
            ("gpu_kernel", &[0, KERNEL.into()]),
            ("gpu_write", &[BUFFER, 0, 0, 4]),
            ("gpu_submit", &[0, 0, 0]),
            ("gpu_wait", &[0]),
            ("gpu_read", &[BUFFER, 0, 0, 4]),
            ("gpu_free", &[BUFFER]),
        ] {
            assert_eq!(guest.call(name, args), wanted, "{name}");
        }
    }
    assert!(gpu.log().commands.is_empty());
}

#[test]
fn a_guest_sees_the_devices_of_its_scope() {
    let gpu = obedient();
    for (patterns, count, first) in [
        (&["*"][..], 2, "first"),
        (&["name:*"], 3, "soft"),
        (&["integrated", "cpu"], 2, "soft"),
        (&["name:fir*"], 1, "first"),
        (&["virtual"], 0, ""),
    ] {
        let patterns = patterns.iter().map(|pattern| pattern.parse().unwrap());
        let mut guest = guest(&gpu, GpuScope::new(patterns));
        assert_eq!(guest.call("gpu_device_count", &[O]), SUCCESS);
        assert_eq!(guest.u32(OUT), count);
        if count > 0 {
            assert_eq!(guest.call("gpu_device_info", &[0, O]), SUCCESS);
            let len = guest.u32(OUT + 4);
            assert_eq!(guest.bytes(OUT + 8, len), first.as_bytes());
        }
        assert_eq!(guest.call("gpu_device_info", &[count.into(), O]), NODEV);
        assert_eq!(guest.call("gpu_wait", &[count.into()]), NODEV);
    }
    assert!(gpu.log().commands.is_empty());
}

#[test]
fn the_description_of_a_device() {
    let gpu = obedient();
    let limits = scope()
        .with_max_memory_bytes(1000)
        .with_max_invocations(70)
        .with_max_shader_bytes(9);
    let mut guest = guest(&gpu, limits);
    let buffer = guest.gpu_buffer(400, 1).unwrap();
    let kernel = guest.gpu_kernel("double").unwrap();
    guest.put_dispatch(0, kernel, [1, 1, 1], &[(3, buffer, 0, 4)]);
    assert_eq!(guest.gpu_submit(1), SUCCESS);
    assert_eq!(guest.0.usage().gpu_invocations, 64);
    guest.put(OUT + 168, &[7]);
    assert_eq!(guest.call("gpu_device_info", &[1, O]), SUCCESS);
    assert_eq!((guest.u32(OUT), guest.u32(OUT + 4)), (1, 128), "integrated");
    assert_eq!(
        guest.bytes(OUT + 8, 128),
        "ü".repeat(64).as_bytes(),
        "cut to its room"
    );
    assert_eq!(guest.u64(OUT + 136), 1000);
    assert_eq!(guest.u64(OUT + 144), 600);
    assert_eq!(guest.u64(OUT + 152), 70, "each call has its own");
    assert_eq!(guest.u64(OUT + 160), 9);
    assert_eq!(guest.bytes(OUT + 168, 1), [7]);
    assert_eq!(guest.0.usage().gpu_invocations, 0);
    assert_eq!(guest.0.usage().peak_gpu_memory_bytes, 400);
}

#[test]
fn a_kernel_computes() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    let numbers = guest.gpu_buffer(1024, 1).unwrap();
    let sums = guest.gpu_buffer(1024, 1).unwrap();
    let added = guest.gpu_buffer(256, 2).unwrap();
    let (add, double) = (
        guest.gpu_kernel("add").unwrap(),
        guest.gpu_kernel("double").unwrap(),
    );
    assert_eq!([28, 32, 36].map(|at| guest.u32(KERNEL + at)), [64, 1, 1]);
    guest.put(DATA, &[5, 0, 0, 0, 6, 0, 0, 0, 10, 0, 0, 0]);
    let data = i64::from(DATA);
    assert_eq!(guest.call("gpu_write", &[numbers, 256, data, 8]), SUCCESS);
    assert_eq!(guest.call("gpu_write", &[added, 0, data + 8, 4]), SUCCESS);
    // The order of the bindings does not matter; that of the dispatches does.
    guest.put_dispatch(
        0,
        add,
        [1, 1, 1],
        &[(2, sums, 512, 8), (0, added, 0, 256), (1, numbers, 256, 8)],
    );
    guest.put_dispatch(1, double, [1, 1, 1], &[(3, sums, 512, 4)]);
    assert_eq!(guest.gpu_submit(2), SUCCESS);
    assert_eq!(guest.0.usage().gpu_invocations, 65);
    assert_eq!(guest.call("gpu_wait", &[0]), SUCCESS);
    assert_eq!(guest.call("gpu_read", &[sums, 508, O, 16]), SUCCESS);
    assert_eq!(
        guest.bytes(OUT, 16),
        [0, 0, 0, 0, 30, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0]
    );
    assert!(
        gpu.take_commands().last().unwrap().starts_with("Read"),
        "nothing is left to wait for"
    );
    for handle in [numbers, add, double, sums, added] {
        assert_eq!(guest.call("gpu_free", &[handle]), SUCCESS);
        assert_eq!(guest.call("gpu_free", &[handle]), BADF);
    }
    assert_eq!(gpu.log().opened, 1);
    drop(guest);
    assert_eq!(gpu.log().alive, 0);
}

#[test]
fn transfers_are_made_in_pieces() {
    let gpu = obedient();
    let body = "(func (export \"grow\") (result i32) (memory.grow (i32.const 40)))";
    let mut guest = Guest(sandbox(&gpu, scope()).instantiate(&module(body)).unwrap());
    guest.call("grow", &[]);
    let len = (2 << 20) + 20;
    let bytes: Vec<u8> = (0..len).map(|n: u32| (n / 3) as u8).collect();
    let buffer = guest.gpu_buffer(len.into(), 1).unwrap();
    guest.put(4, &bytes);
    gpu.take_commands();
    assert_eq!(guest.call("gpu_write", &[buffer, 0, 4, len.into()]), SUCCESS);
    let commands = gpu.take_commands();
    assert_eq!(commands.len(), 9);
    assert_eq!(commands[0], "Write 0 0 262144");
    assert_eq!(commands[8], "Write 0 2097152 20");
    guest.put(4, &vec![0; bytes.len()]);
    assert_eq!(guest.call("gpu_read", &[buffer, 0, 4, len.into()]), SUCCESS);
    assert!(guest.bytes(4, len) == bytes);
}

#[test]
fn memory_is_limited_exactly() {
    for limit in [4, 400, 1 << 20] {
        let gpu = obedient();
        let mut guest = guest(&gpu, scope().with_max_memory_bytes(limit as u64));
        assert_eq!(guest.gpu_buffer(limit + 4, 1), Err(NOMEM));
        let whole = guest.gpu_buffer(limit, 1).unwrap();
        assert_eq!(guest.gpu_buffer(4, 2), Err(NOMEM));
        assert_eq!(guest.call("gpu_free", &[whole]), SUCCESS);
        if limit > 4 {
            guest.gpu_buffer(4, 1).unwrap();
            assert_eq!(guest.gpu_buffer(limit, 1), Err(NOMEM));
            guest.gpu_buffer(limit - 4, 1).unwrap();
        }
        let usage = guest.0.usage();
        assert_eq!(usage.peak_gpu_memory_bytes, limit as u64);
        guest.0.reset().unwrap();
        assert_eq!(guest.0.usage().peak_gpu_memory_bytes, 0);
        guest.gpu_buffer(limit, 3).unwrap();
    }
    // Beyond the largest buffer of WebGPU, whatever the limit.
    let mut guest = guest(&obedient(), scope().with_max_memory_bytes(u64::MAX));
    for size in [(256 << 20) + 4, 1 << 40, -4] {
        assert_eq!(guest.gpu_buffer(size, 1), Err(NOMEM));
    }
}

#[test]
fn invocations_of_a_call_are_limited_exactly() {
    const BODY: &str = r#"(func (export "twice") (param $list i32) (param $count i32) (result i32)
        (local $errno i32)
        (local.set $errno (call $gpu_submit (i32.const 0) (local.get $list) (local.get $count)))
        (if (local.get $errno) (then (return (i32.add (i32.const 1000) (local.get $errno)))))
        (call $gpu_submit (i32.const 0) (local.get $list) (local.get $count)))"#;
    let gpu = obedient();
    let run = |limit: u64, count: i64| {
        let scope = scope().with_max_invocations(limit);
        let mut guest = Guest(sandbox(&gpu, scope).instantiate(&module(BODY)).unwrap());
        let buffer = guest.gpu_buffer(256, 1).unwrap();
        let kernel = guest.gpu_kernel("wide").unwrap();
        guest.put_dispatch(0, kernel, [3, 2, 1], &[(3, buffer, 0, 256)]);
        guest.put_dispatch(1, kernel, [1, 1, 1], &[(3, buffer, 0, 256)]);
        gpu.take_commands();
        let result = guest.call("twice", &[LIST.into(), count]);
        (result, guest.0.usage().gpu_invocations, gpu.take_commands().len())
    };
    let one = 7 * 256;
    // Each list is submitted as a whole or not at all. The last command waits for the end.
    assert_eq!(run(2 * one, 2), (SUCCESS, 2 * one, 3));
    assert_eq!(run(2 * one - 1, 2), (TOO_BIG, one, 2));
    assert_eq!(run(one, 2), (TOO_BIG, one, 2));
    assert_eq!(run(one - 1, 2), (1000 + TOO_BIG, 0, 0));
    assert_eq!(run(0, 1), (1000 + TOO_BIG, 0, 0));
}

#[test]
fn the_largest_dispatches_do_not_overflow() {
    let gpu = obedient();
    let mut sandbox = sandbox(&gpu, scope().with_max_invocations(u64::MAX));
    sandbox.set_limits(Limits::DEFAULT.with_fuel(1 << 40));
    let mut guest = Guest::new(&sandbox);
    let kernel = guest.gpu_kernel("wide").unwrap();
    let buffer = guest.gpu_buffer(4, 1).unwrap();
    for n in 0..5 {
        guest.put_dispatch(n, kernel, [65_535; 3], &[(3, buffer, 0, 4)]);
    }
    gpu.take_commands();
    for count in [1, 5] {
        let mut guest_error = guest
            .try_call("gpu_submit", &[0, LIST.into(), count])
            .unwrap_err();
        assert_eq!(guest_error.limit(), Some(Limit::Fuel), "{guest_error}");
        guest_error = guest.try_call("gpu_wait", &[0]).unwrap_err();
        assert!(matches!(guest_error.kind(), ErrorKind::Poisoned(_)));
        assert!(gpu.take_commands().is_empty());
        guest.0.reset().unwrap();
        let kernel = guest.gpu_kernel("wide").unwrap();
        let buffer = guest.gpu_buffer(4, 1).unwrap();
        for n in 0..5 {
            guest.put_dispatch(n, kernel, [65_535; 3], &[(3, buffer, 0, 4)]);
        }
        gpu.take_commands();
    }
}

/// Fuel is charged before anything is sent: with less than a function costs, the device sees nothing.
#[test]
fn fuel_is_exact() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    // Entering the function, its operators, and the call itself.
    let call = |operands: u64| 1 + operands + 1 + schedule::HOST_CALL;
    let buffer = guest.gpu_buffer(6400, 1).unwrap();
    assert_eq!(guest.0.usage().fuel, call(4) + 100);
    let kernel = guest.gpu_kernel("double").unwrap();
    assert_eq!(guest.0.usage().fuel, call(2));
    for (groups, invocations) in [([1, 1, 1], 64_u64), ([2, 3, 5], 1920), ([0, 1, 1], 0)] {
        assert_eq!(guest.dispatch(kernel, groups, &[(3, buffer, 0, 4)]), SUCCESS);
        assert_eq!(guest.0.usage().fuel, call(3) + 50 + invocations / 64);
    }
    let data = i64::from(DATA);
    assert_eq!(guest.call("gpu_write", &[buffer, 0, data, 6400]), SUCCESS);
    assert_eq!(guest.0.usage().fuel, call(4) + 100);
    assert_eq!(guest.call("gpu_read", &[buffer, 0, data, 6396]), SUCCESS);
    assert_eq!(guest.0.usage().fuel, call(4) + 99);
    assert_eq!(guest.gpu_kernel(&"x".repeat(637)), Err(INVAL));
    assert_eq!(
        guest.0.usage().fuel,
        call(2) + 10,
        "the source and the name of the entry point"
    );
}

/// A list is read up to its wrong dispatch, and a text to its wrong byte.
#[test]
fn what_is_refused_costs_what_reading_it_takes() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope().with_max_invocations(64));
    let call = |operands: u64| 1 + operands + 1 + schedule::HOST_CALL;
    let buffer = guest.gpu_buffer(64, 1).unwrap();
    let kernel = guest.gpu_kernel("double").unwrap();
    for n in 0..7 {
        guest.put_dispatch(n, kernel, [0, 1, 1], &[(3, buffer, 0, 4)]);
    }
    for (last, errno) in [(0, INVAL), (2, TOO_BIG)] {
        guest.put_dispatch(
            7,
            kernel,
            [last, 1, 1],
            &[(3, buffer, 0, 4)][..last.min(1) as usize],
        );
        assert_eq!(guest.gpu_submit(8), errno);
        assert_eq!(guest.0.usage().fuel, call(3) + 8 * 50);
    }
    guest.put_kernel(&[[b'x'; 635].as_slice(), &[0xff]].concat(), 0);
    assert_eq!(guest.call("gpu_kernel", &[0, KERNEL.into()]), ILSEQ);
    assert_eq!(guest.0.usage().fuel, call(2) + 10);
}

#[test]
fn fuel_is_charged_before_anything_is_sent() {
    let gpu = obedient();
    let run = |fuel: u64| {
        let mut sandbox = sandbox(&gpu, scope());
        sandbox.set_limits(Limits::DEFAULT.with_fuel(fuel));
        let mut guest = Guest::new(&sandbox);
        gpu.take_commands();
        let result = guest.try_call("gpu_buffer", &[0, 64_000, 1, O]);
        (result.map_err(|error| error.limit()), gpu.take_commands().len())
    };
    let needed = 1 + 4 + 1 + schedule::HOST_CALL + 1000;
    assert_eq!(run(needed), (Ok(0), 2));
    assert_eq!(run(needed - 1), (Err(Some(Limit::Fuel)), 0));
}

#[test]
fn shaders_are_limited_exactly_and_have_messages() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope().with_max_shader_bytes(6));
    guest.gpu_kernel("double").unwrap();
    assert_eq!(guest.gpu_kernel("doubles"), Err(TOO_BIG));
    assert_eq!(guest.gpu_kernel("ouch"), Err(INVAL));
    let len = guest.u32(KERNEL + 40);
    assert_eq!(guest.bytes(MESSAGE, len), "ünknown shader `ouch`".as_bytes());
    assert_eq!(guest.u32(KERNEL + 24), 0);
    // Cut between two characters.
    for (room, wanted) in [(0, 0), (1, 0), (2, 2), (3, 3)] {
        guest.put_kernel(b"ouch", room);
        guest.put(MESSAGE, &[b'-'; 8]);
        assert_eq!(guest.call("gpu_kernel", &[0, KERNEL.into()]), INVAL);
        assert_eq!(guest.u32(KERNEL + 40), wanted);
        assert_eq!(guest.bytes(MESSAGE + wanted, 1), b"-");
    }
    gpu.take_commands();
    guest.put_kernel(b"\xff\xfe", 64);
    assert_eq!(guest.call("gpu_kernel", &[0, KERNEL.into()]), ILSEQ);
    guest.put_kernel(b"double", 64);
    guest.put(KERNEL + 12, &256_u32.to_le_bytes());
    assert_eq!(guest.call("gpu_kernel", &[0, KERNEL.into()]), NAMETOOLONG);
    assert!(gpu.take_commands().is_empty(), "the session is still alive");
    guest.gpu_kernel("double").unwrap();
}

#[test]
fn handles_are_of_one_kind_and_limited_in_number() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    let (buffer, kernel) = (guest.gpu_buffer(4, 1).unwrap(), guest.gpu_kernel("none").unwrap());
    for wrong in [0, kernel, buffer + 1, buffer + 256, -1] {
        assert_eq!(guest.call("gpu_write", &[wrong, 0, 0, 4]), BADF);
        assert_eq!(guest.call("gpu_read", &[wrong, 0, 0, 4]), BADF);
        assert_eq!(guest.dispatch(buffer, [1, 1, 1], &[]), BADF);
    }
    assert_eq!(guest.call("gpu_free", &[0]), BADF);
    for _ in 1..gpu::MAX_BUFFERS {
        guest.gpu_buffer(4, 1).unwrap();
    }
    assert_eq!(guest.gpu_buffer(4, 1), Err(MFILE));
    for _ in 1..gpu::MAX_KERNELS {
        guest.gpu_kernel("none").unwrap();
    }
    assert_eq!(guest.gpu_kernel("none"), Err(MFILE));
    assert_eq!(guest.call("gpu_free", &[buffer]), SUCCESS);
    let again = guest.gpu_buffer(4, 1).unwrap();
    assert_ne!(again, buffer);
    assert_eq!(guest.call("gpu_read", &[buffer, 0, 0, 4]), BADF);
}

#[test]
fn sizes_and_alignments_are_checked() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    let buffer = guest.gpu_buffer(64, 1).unwrap();
    gpu.take_commands();
    for (size, usage) in [(0, 1), (3, 1), (4, 0), (4, 4), (4, -1), (6, 2)] {
        assert_eq!(guest.gpu_buffer(size, usage), Err(INVAL), "{size} {usage}");
    }
    for name in ["gpu_write", "gpu_read"] {
        for (at, len) in [
            (0, 68),
            (64, 4),
            (60, 8),
            (2, 4),
            (0, 3),
            (-4, 4),
            (-4, 8),
            (i64::MAX - 3, 4),
            (68, 0),
        ] {
            assert_eq!(
                guest.call(name, &[buffer, at, 0, len]),
                INVAL,
                "{name} {at} {len}"
            );
        }
        assert_eq!(guest.call(name, &[buffer, 64, 0, 0]), SUCCESS);
        let outside = guest
            .try_call(name, &[buffer, 0, i64::from(MEMORY) - 32, 64])
            .unwrap_err();
        assert!(matches!(outside.kind(), ErrorKind::Trap(_)) || outside.to_string().contains("memory"));
        guest.0.reset().unwrap();
        assert_eq!(guest.gpu_buffer(64, 1), Ok(buffer));
        gpu.take_commands();
    }
    assert!(gpu.take_commands().is_empty());
}

#[test]
fn a_dispatch_must_fit_its_kernel() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    let storage = guest.gpu_buffer(1024, 1).unwrap();
    let other = guest.gpu_buffer(1024, 1).unwrap();
    let uniform = guest.gpu_buffer(1024, 2).unwrap();
    let both = guest.gpu_buffer(128 << 10, 3).unwrap();
    let (add, two) = (guest.gpu_kernel("add").unwrap(), guest.gpu_kernel("two").unwrap());
    gpu.take_commands();
    let good = [(0, uniform, 0, 16), (1, storage, 0, 4), (2, other, 0, 4)];
    assert_eq!(guest.dispatch(add, [1, 1, 1], &good), SUCCESS);
    let with = |n: usize, binding| {
        let mut list = good;
        list[n] = binding;
        list
    };
    let wrong = [
        with(0, (0, storage, 0, 16)),    // not a uniform buffer
        with(1, (1, uniform, 0, 16)),    // not a storage buffer
        with(0, (0, uniform, 0, 12)),    // smaller than the type
        with(0, (0, both, 0, 65_540)),   // larger than a uniform binding may be
        with(1, (1, storage, 128, 4)),   // not aligned
        with(1, (1, storage, 0, 6)),     // not a multiple of 4
        with(1, (1, storage, 0, 0)),     // empty
        with(1, (1, storage, 768, 260)), // beyond the end
        with(1, (1, storage, 1024, 4)),  // beyond the end
        with(1, (1, storage, 1 << 40, 4)),
        with(1, (1, storage, u64::MAX - 255, 256)), // overflows
        with(1, (4, storage, 0, 4)),                // not declared
        with(1, (2, storage, 0, 4)),                // bound twice
        with(1, (1, other, 256, 4)),                // read and written
        with(1, (1, other, 0, 4)),
    ];
    for list in &wrong {
        assert_eq!(guest.dispatch(add, [1, 1, 1], list), INVAL, "{list:?}");
    }
    assert_eq!(guest.dispatch(add, [1, 1, 1], &with(1, (1, 0, 0, 4))), BADF);
    assert_eq!(guest.dispatch(add, [1, 1, 1], &with(1, (1, add, 0, 4))), BADF);
    for list in [&good[..2], &[], &[good[0], good[1], good[2], good[2]]] {
        assert_eq!(guest.dispatch(add, [1, 1, 1], list), INVAL);
    }
    for groups in [[65_536, 1, 1], [1, 65_536, 1], [1, 1, u32::MAX]] {
        assert_eq!(guest.dispatch(add, groups, &good), INVAL);
    }
    // Two parts of a buffer may be written if they do not overlap.
    assert_eq!(
        guest.dispatch(two, [1, 1, 1], &[(0, storage, 0, 256), (1, storage, 256, 4)]),
        SUCCESS
    );
    assert_eq!(
        guest.dispatch(two, [1, 1, 1], &[(0, storage, 0, 260), (1, storage, 256, 4)]),
        INVAL
    );
    guest.put_dispatch(0, add, [1, 1, 1], &good);
    guest.put(LIST + 24, &[1]);
    assert_eq!(guest.gpu_submit(1), INVAL, "reserved");
    guest.put(LIST + 24, &[0]);
    assert_eq!(guest.gpu_submit(1), SUCCESS);
    // Of a list with one wrong dispatch, none is executed.
    guest.put_dispatch(1, add, [1, 1, 1], &wrong[0]);
    gpu.take_commands();
    assert_eq!(guest.gpu_submit(2), INVAL);
    assert_eq!(guest.gpu_submit(257), TOO_BIG);
    assert_eq!(guest.gpu_submit(0), SUCCESS);
    assert!(gpu.take_commands().is_empty());
}

#[test]
fn what_is_on_one_device_is_not_on_another() {
    let gpu = obedient();
    let mut guest = guest(&gpu, scope());
    let buffer = guest.gpu_buffer(256, 1).unwrap();
    let kernel = guest.gpu_kernel("double").unwrap();
    assert_eq!(guest.call("gpu_buffer", &[1, 256, 1, O]), SUCCESS);
    let elsewhere = guest.u32(OUT).into();
    assert_eq!(guest.dispatch(kernel, [1, 1, 1], &[(3, elsewhere, 0, 4)]), INVAL);
    assert_eq!(guest.dispatch(kernel, [1, 1, 1], &[(3, buffer, 0, 4)]), SUCCESS);
    assert_eq!(guest.call("gpu_submit", &[1, LIST.into(), 1]), INVAL);
    assert_eq!(gpu.log().alive, 2);
}
