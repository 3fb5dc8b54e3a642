//! What a worker costs: the same work with wgpu in this process, and through a worker.
//!
//! `cargo bench -p dynload-gpu --features wgpu`. Processor time is that of all threads of the host and of the worker, with what
//! the driver's own threads compute.

#[path = "shared/ready.rs"]
mod ready;

use dynload_gpu::Workers;
use dynload_sandbox::gpu::{Binding, BufferUsage, Command, Dispatch, Gpu, PIECE, Reply, Session};
use std::{
    fs,
    time::{Duration, Instant},
};

const SHADER: &str = "
    @group(0) @binding(0) var<storage, read_write> values: array<u32>;

    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        values[id.x] = values[id.x] * 3u + 1u;
    }
";

const SMALL: u64 = 256;
const LARGE: u64 = 4 << 20;
const DISPATCHES: u32 = 500;
const TRANSFERS: u32 = 20;
const ROUNDS: usize = 25;

/// Returns the processor time of a process so far.
fn processor_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds: u64 = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanoseconds)
}

/// Returns the processes that this one has started.
fn children() -> Vec<u32> {
    let parent = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| parent(*process) == Some(std::process::id()))
        .collect()
}

/// The time of one repetition.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    processor: Duration,
}

fn measure(count: u32, mut work: impl FnMut()) -> Cost {
    let processes: Vec<u32> = children().into_iter().chain([std::process::id()]).collect();
    let used = || {
        processes
            .iter()
            .map(|process| processor_time(*process))
            .sum::<Duration>()
    };
    let (start, before) = (Instant::now(), used());
    for _ in 0..count {
        work();
    }
    Cost {
        wall: start.elapsed() / count,
        processor: (used() - before) / count,
    }
}

/// Returns the rounds of each with the least processor time: what else runs on the machine disturbs the others.
fn best(count: u32, mut native: impl FnMut(), mut worker: impl FnMut()) -> [Cost; 2] {
    let rounds: Vec<[Cost; 2]> = (0..ROUNDS)
        .map(|_| [measure(count, &mut native), measure(count, &mut worker)])
        .collect();
    [0, 1].map(|of| {
        rounds
            .iter()
            .map(|round| round[of])
            .min_by_key(|cost| cost.processor)
            .unwrap()
    })
}

fn show(what: &str, [native, worker]: [Cost; 2]) {
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{what:<28} {:>9.1} us {:>9.1} us {:>5.2}   {:>9.1} us {:>9.1} us {:>5.2}",
        us(native.processor),
        us(worker.processor),
        us(worker.processor) / us(native.processor),
        us(native.wall),
        us(worker.wall),
        us(worker.wall) / us(native.wall),
    );
}

/// A session that waits for its replies.
struct Remote(Box<dyn Session>);

impl Remote {
    fn open(gpu: &Workers) -> Remote {
        let mut remote = Remote(gpu.open(0, 64 << 20).unwrap());
        remote.ready();
        remote
    }

    fn ready(&mut self) {
        while self.0.receive().unwrap().is_none() {
            self.0.wait(Duration::from_millis(1)).unwrap();
        }
    }

    fn prepare(gpu: &Workers) -> Remote {
        let mut remote = Remote::open(gpu);
        let usage = BufferUsage {
            storage: true,
            uniform: false,
        };
        for (buffer, size) in [(0, SMALL), (1, LARGE)] {
            remote
                .0
                .send(&Command::CreateBuffer { buffer, size, usage })
                .unwrap();
            remote.ready();
        }
        remote
            .0
            .send(&Command::CreateKernel {
                kernel: 0,
                source: SHADER,
                entry_point: "main",
            })
            .unwrap();
        remote.ready();
        remote
    }

    fn dispatch(&mut self) {
        let dispatch = Dispatch {
            kernel: 0,
            workgroups: [1, 1, 1],
            bindings: vec![Binding {
                binding: 0,
                buffer: 0,
                at: 0,
                size: SMALL,
            }],
        };
        self.0.send(&Command::Submit(&[dispatch])).unwrap();
        self.0.send(&Command::Wait).unwrap();
        self.ready();
    }

    fn transfer(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        for (n, bytes) in bytes.chunks(PIECE as usize).enumerate() {
            let at = n as u64 * u64::from(PIECE);
            self.0.send(&Command::Write { buffer: 1, at, bytes }).unwrap();
            while !self.0.is_sent().unwrap() {
                self.0.wait(Duration::from_millis(1)).unwrap();
            }
        }
        let (buffer, at, size) = (1, 0, LARGE);
        self.0.send(&Command::Read { buffer, at, size }).unwrap();
        into.clear();
        while into.len() < bytes.len() {
            match self.0.receive().unwrap() {
                Some(Reply::Data(bytes)) => into.extend_from_slice(bytes),
                Some(other) => panic!("{other:?}"),
                None => self.0.wait(Duration::from_millis(1)).unwrap(),
            }
        }
    }
}

/// wgpu in this process.
struct Native {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    large: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl Native {
    fn open() -> Native {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = ready::now(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        let (device, queue) =
            ready::now(adapters[0].request_device(&wgpu::DeviceDescriptor::default())).unwrap();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let buffer = |size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let small = buffer(SMALL, usage);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: small.as_entire_binding(),
            }],
        });
        Native {
            large: buffer(LARGE, usage),
            staging: buffer(LARGE, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            device,
            queue,
            pipeline,
            group,
        }
    }

    fn wait(&self) {
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }

    fn dispatch(&self) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.wait();
    }

    fn transfer(&self, bytes: &[u8], into: &mut Vec<u8>) {
        self.queue.write_buffer(&self.large, 0, bytes);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.large, 0, &self.staging, 0, LARGE);
        self.queue.submit([encoder.finish()]);
        self.staging.map_async(wgpu::MapMode::Read, .., Result::unwrap);
        self.wait();
        into.clear();
        into.extend_from_slice(&self.staging.get_mapped_range(..).unwrap());
        self.staging.unmap();
    }
}

/// Returns the time from opening a session with a spare worker until its device is open.
fn first_use(gpu: &Workers) -> Duration {
    // Until the spare waits for its session.
    std::thread::sleep(Duration::from_secs(1));
    let start = Instant::now();
    drop(Remote::open(gpu));
    start.elapsed()
}

fn main() {
    let gpu = Workers::new(env!("CARGO_BIN_EXE_dynload-gpu-worker")).unwrap();
    let Some(device) = gpu.devices().first() else {
        println!("there is no Vulkan device");
        return;
    };
    println!("{}, {}\n", device.name, device.kind);
    let native = Native::open();
    let mut remote = Remote::prepare(&gpu);
    println!(
        "{:<28} {:>12} {:>12} ratio   {:>12} {:>12} ratio",
        "", "native CPU", "worker CPU", "native wall", "worker wall"
    );
    let dispatches = best(DISPATCHES, || native.dispatch(), || remote.dispatch());
    show("dispatch and wait", dispatches);
    let bytes: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    let mut read = [Vec::new(), Vec::new()];
    let [by_native, by_worker] = &mut read;
    let transfers = best(
        TRANSFERS,
        || native.transfer(&bytes, by_native),
        || remote.transfer(&bytes, by_worker),
    );
    assert!(read == [bytes.clone(), bytes]);
    show("4 MiB, written and read", transfers);
    drop(remote);

    let start = Instant::now();
    drop(Remote::open(&gpu));
    println!(
        "\nfirst use without a spare: {:>6.1} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let gpu = gpu.with_spares(1);
    let best = (0..5).map(|_| first_use(&gpu)).min().unwrap();
    println!("first use with a spare:    {:>6.1} ms", best.as_secs_f64() * 1e3);
}
