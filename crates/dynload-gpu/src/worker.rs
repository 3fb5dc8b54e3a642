//! The program `dynload-gpu-worker`.

use crate::{
    devices::{self, Found},
    protocol::{Answer, Request, VERSION},
    serve::{Ended, Server, Stream},
};
use dynload_sandbox::gpu::Reply;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit},
};
use std::{io, os::unix::net::UnixStream, sync::Arc, thread};

/// The stack of the thread that compiles and executes: about 70 bytes for each byte of a shader's text.
pub(crate) const STACK: usize = 64 << 20;

/// The memory that a worker may use besides its guest's: the driver, its compiler, and this program.
const OWN_MEMORY: u64 = 512 << 20;

/// Runs a worker: standard input is the socket, and the process ends when the host closes it.
///
/// Nothing is printed: the worker has no terminal. It ends by a signal, so that a driver that is stuck does not delay it.
pub fn run_worker() -> ! {
    std::panic::set_hook(Box::new(|_| {}));
    let started = start();
    if let Ok(socket) = started {
        // When the host has closed its end, there is nothing left to do, whatever the other thread does.
        let _ = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&socket, PollFlags::empty())], None));
    }
    end()
}

/// Starts the thread that serves, and returns the socket.
fn start() -> io::Result<UnixStream> {
    harden()?;
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let served = socket.try_clone()?;
    thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = std::panic::catch_unwind(|| serve(served));
        end();
    })?;
    Ok(socket)
}

/// Ends the process at once.
fn end() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// Gives up what a worker does not need.
fn harden() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::thread::set_no_new_privs(true)?;
    limit(Resource::Core, 0)
}

/// Lowers a limit of the process.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |now| now.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(io::Error::from)
}

fn serve(socket: UnixStream) -> Result<(), Ended> {
    let mut stream = Stream::new(socket);
    let found = devices::find();
    stream.answer(&Answer::Hello {
        version: VERSION,
        devices: found.iter().map(|found| found.device.clone()).collect(),
    })?;
    // If there is only one, it is the one that will be opened.
    let mut opened = match &found[..] {
        [only] => Some(only.open()?),
        _ => None,
    };
    let mut dispatches = Vec::new();
    let Request::Open {
        index,
        device,
        max_memory_bytes,
    } = stream.request(&mut dispatches)?
    else {
        return Err(Ended);
    };
    let index = position(&found, index as usize, &device).ok_or(Ended)?;
    let (device, queue) = match opened.take() {
        Some(opened) => opened,
        None => found[index].open()?,
    };
    limit(Resource::Data, max_memory_bytes.saturating_add(OWN_MEMORY)).map_err(|_| Ended)?;
    device.set_device_lost_callback(|_, _| end());
    device.on_uncaptured_error(Arc::new(|_| end()));
    stream.answer(&Answer::Reply(Reply::Ready))?;
    Err(Server::new(device, queue, max_memory_bytes).run(&mut stream))
}

/// Returns the index of a device that the host has seen at `index`: there, if it is the same, or wherever it is now.
fn position(found: &[Found], index: usize, wanted: &dynload_sandbox::gpu::Device) -> Option<usize> {
    let is_wanted = |found: &Found| found.device == *wanted;
    if found.get(index).is_some_and(is_wanted) {
        return Some(index);
    }
    found.iter().position(is_wanted)
}
