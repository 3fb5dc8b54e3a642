//! The demonstrations of `tests/guests`: on a device in this process, on one through a worker, and on the interpreter.
//!
//! `cargo bench -p dynload-gpu --features wgpu --bench demonstrations`. Each is a call of a guest, which creates its buffers,
//! compiles its shader, computes, and reads the result. The best of three counts.

#[path = "../tests/guests/compile.rs"]
mod compile;
#[path = "shared/ready.rs"]
mod ready;

use dynload_gpu::{Local, Workers};
use dynload_sandbox::{
    Capabilities, Instance, Limits, Module, Sandbox, Scopes, Value, caps::GpuScope, gpu::Gpu,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The guests, and the size that each of them is called with.
const GUESTS: [(&str, i32); 4] = [
    ("sha256", 65_536),
    ("mandelbrot", 512),
    ("matrix", 256),
    ("bodies", 1024),
];

fn sandbox(gpu: Arc<dyn Gpu>) -> Sandbox {
    let scope = GpuScope::new(["name:*".parse().unwrap()]);
    let mut sandbox = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_secs(600)))
        .with_capabilities(Capabilities::GPU)
        .with_scopes(Scopes::none().with_gpu(scope));
    sandbox.set_gpu(gpu);
    sandbox
}

/// Returns the result and the least time of three calls of fresh instances whose device is open.
fn best(sandbox: &Sandbox, module: &Module, export: &str, size: i32) -> (Value, Duration) {
    let call = |instance: &mut Instance, size| instance.call(export, &[Value::I32(size)]).unwrap()[0];
    (0..3)
        .map(|_| {
            let mut instance = sandbox.instantiate(module).unwrap();
            call(&mut instance, 8);
            let started = Instant::now();
            let result = call(&mut instance, size);
            (result, started.elapsed())
        })
        .min_by_key(|(_, time)| *time)
        .unwrap()
}

fn local() -> Local {
    let instance = wgpu::Instance::default();
    let adapter = ready::now(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    let (device, queue) = ready::now(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    Local::new(device, queue).unwrap()
}

fn main() {
    let workers = sandbox(Arc::new(
        Workers::new(env!("CARGO_BIN_EXE_dynload-gpu-worker")).unwrap(),
    ));
    let local = sandbox(Arc::new(local()));
    println!(
        "{:<12} {:>10} {:>12} {:>12} {:>12}",
        "", "", "in process", "worker", "interpreter"
    );
    for (name, size) in GUESTS {
        let module = compile::guest(name);
        let (of_local, in_process) = best(&local, &module, "gpu", size);
        let (of_worker, worker) = best(&workers, &module, "gpu", size);
        let (_, interpreter) = best(&workers, &module, "cpu", size);
        assert_eq!(of_local, of_worker, "{name}");
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        println!(
            "{name:<12} {size:>10} {:>12} {:>12} {:>12}   worker against in process {:.2}, interpreter against worker {:.1}",
            ms(in_process),
            ms(worker),
            ms(interpreter),
            worker.as_secs_f64() / in_process.as_secs_f64(),
            interpreter.as_secs_f64() / worker.as_secs_f64(),
        );
    }
}
