//! Sessions with a device of this process.

use crate::{
    compute::DOUBLE,
    subject::{Answer, MEMORY, Marked, STORAGE, Subject, bind, bytes, words},
};
use dynload_gpu::Local;
use dynload_sandbox::gpu::{Command, Gpu, Lost};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use wgpu::Limits;

/// Opens the device that the workers find first.
fn device(mark: &'static str, required_limits: Limits) -> Option<(wgpu::Device, wgpu::Queue)> {
    let gpu = Marked::start(mark)?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let is_first = |adapter: &wgpu::Adapter| adapter.get_info().name == gpu.workers.devices()[0].name;
    let adapter = adapters.into_iter().find(is_first).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_limits,
        ..Default::default()
    };
    Some(pollster(adapter.request_device(&descriptor)).unwrap())
}

/// Returns the value of a future of wgpu, which is ready.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

#[test]
fn sessions_share_the_device_of_the_embedder() {
    let Some((device, queue)) = device("local", Limits::default()) else {
        return;
    };
    let gpu = Local::new(device, queue).unwrap();
    thread::scope(|scope| {
        for n in 1..=4 {
            let gpu = &gpu;
            scope.spawn(move || {
                let mut subject = Subject::open(gpu, MEMORY);
                assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
                assert!(matches!(subject.kernel(0, DOUBLE), Answer::Kernel(_)));
                subject.write(0, 0, &bytes(&[n; 64]));
                for round in 1..=20 {
                    subject.dispatch(0, [1, 1, 1], &[bind(0, 0, 256)]);
                    assert_eq!(words(&subject.read(0, 0, 256)), [n << round; 64]);
                }
            });
        }
    });
    // A thread ends with its session.
    let sessions = || {
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
        names.filter(|name| name.trim_end() == "gpu session").count()
    };
    crate::subject::eventually("a thread is left", || sessions() == 0);
}

#[test]
fn errors_of_a_session_do_not_reach_the_embedder() {
    let Some((device, queue)) = device("errors", Limits::default()) else {
        return;
    };
    let errors = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&errors);
    device.on_uncaptured_error(Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let gpu = Local::new(device, queue).unwrap();
    let mut subject = Subject::open(&gpu, MEMORY);
    assert!(matches!(subject.kernel(0, "fn main("), Answer::Invalid(_)));
    assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
    subject.write(0, 254, &[0; 4]);
    let _ = subject.0.send(&Command::Wait);
    assert_eq!(subject.answer(), Err(Lost));
    drop(subject);
    let mut subject = Subject::open(&gpu, MEMORY);
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    assert_eq!(errors.load(Ordering::Relaxed), 0);
    assert!(gpu.open(1, MEMORY).is_err());
}

#[test]
fn a_device_with_lower_limits_is_refused() {
    let limits = Limits {
        max_compute_workgroups_per_dimension: 1000,
        ..Limits::default()
    };
    let Some((device, queue)) = device("limits", limits) else {
        return;
    };
    let error = Local::new(device, queue).unwrap_err();
    assert_eq!(error.name(), "max_compute_workgroups_per_dimension");
    assert!(
        error.to_string().contains("is 1000, and 65535 is required"),
        "{error}"
    );
}
