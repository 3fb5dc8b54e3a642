//! Sessions with a device of the embedder's own.

use crate::{
    client::{Client, pair},
    devices::describe,
    protocol::{Answer, Request},
    serve::{Server, Stream},
    worker::STACK,
};
use dynload_sandbox::gpu::{Device, Gpu, Reply, Session};
use std::{error::Error, fmt, io, thread};
use wgpu::{Limits, Queue};

/// A device that the embedder has opened, for trusted shaders.
///
/// Each session is a thread of this process. It executes what a worker would execute, but nothing can stop it: when a session
/// is dropped, its thread ends after the command that it executes now, and until then its shaders occupy the device. A shader
/// can also use up the memory of this process, or crash its driver, and this process with it. For shaders of others, use
/// [`Workers`](crate::Workers).
///
/// Errors of sessions are kept apart from those of the embedder: they do not reach its handler.
///
/// # Examples
///
/// ```no_run
/// use dynload_gpu::Local;
/// use dynload_sandbox::gpu::Gpu;
///
/// fn share(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Local, dynload_gpu::LimitTooLow> {
///     let gpu = Local::new(device.clone(), queue.clone())?;
///     println!("plugins compute on {}", gpu.devices()[0].name);
///     Ok(gpu)
/// }
/// ```
#[derive(Debug)]
pub struct Local {
    described: [Device; 1],
    device: wgpu::Device,
    queue: Queue,
}

impl Local {
    /// Accepts a device with the default limits of WebGPU ([`Limits::default`]) or higher ones.
    ///
    /// # Errors
    ///
    /// [`LimitTooLow`] if a limit of the device is lower: what the sandbox allows would not be possible.
    pub fn new(device: wgpu::Device, queue: Queue) -> Result<Local, LimitTooLow> {
        let mut low = None;
        let check = |name, required, found| {
            low = low.take().or(Some(LimitTooLow {
                name,
                required,
                found,
            }))
        };
        Limits::default().check_limits_with_fail_fn(&device.limits(), true, check);
        match low {
            Some(low) => Err(low),
            None => Ok(Local {
                described: [describe(&device.adapter_info())],
                device,
                queue,
            }),
        }
    }
}

impl Gpu for Local {
    fn devices(&self) -> &[Device] {
        &self.described
    }

    /// Opens a session. The sandbox limits the memory of its buffers.
    fn open(&self, device: usize, max_memory_bytes: u64) -> io::Result<Box<dyn Session>> {
        let described = self.described.get(device).ok_or(io::ErrorKind::InvalidInput)?;
        let (socket, theirs) = pair()?;
        let mut server = Server::new(self.device.clone(), self.queue.clone(), None, max_memory_bytes);
        thread::Builder::new()
            .name("gpu session".into())
            .stack_size(STACK)
            .spawn(move || {
                let mut stream = Stream::new(theirs);
                if matches!(stream.request(&mut Vec::new()), Ok(Request::Open { .. }))
                    && stream.answer(&Answer::Reply(Reply::Ready)).is_ok()
                {
                    server.run(&mut stream);
                }
            })?;
        let mut client = Client::new(socket, None, true, None);
        client
            .open(0, described, max_memory_bytes)
            .map_err(io::Error::other)?;
        Ok(Box::new(client))
    }
}

/// The error of a device with a limit that is too low for [`Local`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LimitTooLow {
    name: &'static str,
    required: u64,
    found: u64,
}

impl LimitTooLow {
    /// Returns the limit's name, a field of [`Limits`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for LimitTooLow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitTooLow {
            name,
            required,
            found,
        } = self;
        write!(
            f,
            "the device's limit {name} is {found}, and {required} is required: request the device with `Limits::default()`"
        )
    }
}

impl Error for LimitTooLow {}

dynload_diagnostics::debug_with_causes!(LimitTooLow);
