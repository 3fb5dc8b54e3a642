//! The program `dynload-gpu-worker`.

use crate::{
    devices::{self, Found},
    protocol::{Answer, Request, VERSION},
    serve::{Ended, Server, Stream},
    window::Window,
};
use dynload_sandbox::gpu::Reply;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit},
};
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
    thread,
};

/// The stack of the thread that compiles and executes: about 70 bytes for each byte of a shader's text.
pub(crate) const STACK: usize = 64 << 20;

/// The memory that a worker may use besides its guest's: the driver, its compiler, and this program.
const OWN_MEMORY: u64 = 512 << 20;

/// Runs a worker: standard input is the socket, and standard output the shared memory. The process ends when the host closes
/// the socket.
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
    let [socket, window] = take_streams()?;
    let socket = UnixStream::from(socket);
    let served = socket.try_clone()?;
    thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = std::panic::catch_unwind(|| serve(served, window));
        end();
    })?;
    Ok(socket)
}

/// Ends the process at once.
fn end() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// Returns what standard input and output are, the socket and the memory that is shared with the host.
///
/// Drivers print. So standard error, which discards everything, takes their place.
fn take_streams() -> io::Result<[OwnedFd; 2]> {
    use rustix::{io::fcntl_dupfd_cloexec, stdio};
    let streams = [
        fcntl_dupfd_cloexec(stdio::stdin(), 3)?,
        fcntl_dupfd_cloexec(stdio::stdout(), 3)?,
    ];
    stdio::dup2_stdin(stdio::stderr())?;
    stdio::dup2_stdout(stdio::stderr())?;
    Ok(streams)
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

fn serve(socket: UnixStream, window: OwnedFd) -> Result<(), Ended> {
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
        has_window,
    } = stream.request(&mut dispatches)?
    else {
        return Err(Ended);
    };
    let window = has_window.then(|| Window::open(window));
    let window = window.transpose().map_err(|_| Ended)?;
    let index = position(&found, index as usize, &device).ok_or(Ended)?;
    let (device, queue) = match opened.take() {
        Some(opened) => opened,
        None => found[index].open()?,
    };
    limit(Resource::Data, max_memory_bytes.saturating_add(OWN_MEMORY)).map_err(|_| Ended)?;
    device.set_device_lost_callback(|_, _| end());
    device.on_uncaptured_error(Arc::new(|_| end()));
    stream.answer(&Answer::Reply(Reply::Ready))?;
    Err(Server::new(device, queue, window, max_memory_bytes).run(&mut stream))
}

/// Returns the index of a device that the host has seen at `index`: there, if it is the same, or wherever it is now.
fn position(found: &[Found], index: usize, wanted: &dynload_sandbox::gpu::Device) -> Option<usize> {
    let is_wanted = |found: &Found| found.device == *wanted;
    if found.get(index).is_some_and(is_wanted) {
        return Some(index);
    }
    found.iter().position(is_wanted)
}
