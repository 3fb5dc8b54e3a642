//! The other end of a session: executes its commands on a device.

mod kernel;
mod pipeline;
mod scope;
mod stream;
mod transfer;

pub(crate) use scope::now;
pub(crate) use stream::Stream;

use crate::{
    protocol::{Answer, Request, cut},
    window::Window,
};
use dynload_sandbox::gpu::{
    BufferUsage, Command, Dispatch, MAX_BUFFERS, MAX_KERNELS, MAX_MESSAGE_BYTES, Reply,
};
use pipeline::{Kernel, encode};
use scope::{Trouble, scoped};
use std::collections::VecDeque;
use transfer::{Download, Upload};
use wgpu::{Buffer, BufferUsages, Device, PollType, Queue, SubmissionIndex};

/// The maximum number of submissions that have not been executed: each holds memory of the driver.
const MAX_IN_FLIGHT: usize = 64;

/// The session is over: the host has ended it, or the device is lost, or one of them did not keep to the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

impl From<Trouble> for Ended {
    fn from(_: Trouble) -> Ended {
        Ended
    }
}

/// Returns the buffer of that number.
fn buffer(buffers: &[Option<Buffer>], number: u32) -> Result<&Buffer, Ended> {
    let slot = buffers.get(number as usize).ok_or(Ended)?;
    slot.as_ref().ok_or(Ended)
}

/// What a session has on its device.
pub(crate) struct Server {
    device: Device,
    queue: Queue,
    buffers: Vec<Option<Buffer>>,
    kernels: Vec<Option<Kernel>>,
    /// The memory that all buffers may have together, in bytes.
    max_memory: u64,
    /// Bytes of buffers that were freed, and that what has not been executed may still use.
    held: u64,
    /// The submissions that may not have been executed, the oldest first.
    in_flight: VecDeque<SubmissionIndex>,
    upload: Upload,
    download: Download,
    /// The memory that is shared with the host.
    window: Option<Window>,
    /// What was copied from it.
    piece: Vec<u8>,
}

impl Server {
    /// Starts without buffers. The sandbox limits their memory; the server keeps that of freed ones within `max_memory` too.
    pub(crate) fn new(device: Device, queue: Queue, window: Option<Window>, max_memory: u64) -> Server {
        Server {
            device,
            queue,
            buffers: (0..MAX_BUFFERS).map(|_| None).collect(),
            kernels: (0..MAX_KERNELS).map(|_| None).collect(),
            max_memory,
            held: 0,
            in_flight: VecDeque::new(),
            upload: Upload::default(),
            download: Download::default(),
            window,
            piece: Vec::new(),
        }
    }

    /// Executes the commands that arrive, until the session is over.
    pub(crate) fn run(&mut self, stream: &mut Stream) -> Ended {
        let mut dispatches = Vec::new();
        loop {
            if let Err(ended) = self.step(stream, &mut dispatches) {
                return ended;
            }
        }
    }

    fn step(&mut self, stream: &mut Stream, dispatches: &mut Vec<Dispatch>) -> Result<(), Ended> {
        let command = match stream.request(dispatches)? {
            Request::Command(command) => command,
            Request::WriteShared {
                buffer,
                at,
                from,
                size,
            } => return self.write_shared(buffer, at, from, size),
            Request::ReadShared { buffer, at, size } => {
                let bytes = at..at.checked_add(size).ok_or(Ended)?;
                return self.read(buffer, bytes, true, stream);
            }
            Request::Open { .. } => return Err(Ended),
        };
        match command {
            Command::CreateBuffer { buffer, size, usage } => {
                let reply = self.create_buffer(buffer, size, usage)?;
                stream.answer(&Answer::Reply(reply))
            }
            Command::CreateKernel {
                kernel,
                source,
                entry_point,
            } => {
                let slot = self.kernels.get_mut(kernel as usize).ok_or(Ended)?;
                match Kernel::new(&self.device, source, entry_point) {
                    Ok((compiled, info)) => {
                        *slot = Some(compiled);
                        stream.answer(&Answer::Reply(Reply::Kernel(info)))
                    }
                    Err(Trouble::OutOfMemory) => stream.answer(&Answer::Reply(Reply::OutOfMemory)),
                    Err(Trouble::Invalid(message)) => {
                        let message = cut(&message, MAX_MESSAGE_BYTES as usize);
                        stream.answer(&Answer::Reply(Reply::Invalid(message)))
                    }
                }
            }
            Command::Write { buffer, at, bytes } => self.write(buffer, at, bytes),
            Command::Submit(dispatches) => self.submit(dispatches),
            Command::Wait => {
                self.finish()?;
                stream.answer(&Answer::Reply(Reply::Ready))
            }
            Command::Read { buffer, at, size } => {
                let bytes = at..at.checked_add(size).ok_or(Ended)?;
                self.read(buffer, bytes, false, stream)
            }
            Command::FreeBuffer(number) => self.free_buffer(number),
            Command::FreeKernel(number) => {
                *self.kernels.get_mut(number as usize).ok_or(Ended)? = None;
                Ok(())
            }
        }
    }

    fn create_buffer(&mut self, number: u32, size: u64, usage: BufferUsage) -> Result<Reply<'static>, Ended> {
        self.make_room(size)?;
        let slot = self.buffers.get_mut(number as usize).ok_or(Ended)?;
        let mut usages = BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        usages.set(BufferUsages::STORAGE, usage.storage);
        usages.set(BufferUsages::UNIFORM, usage.uniform);
        let created = scoped(&self.device, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage: usages,
                mapped_at_creation: false,
            })
        });
        match created {
            Ok(buffer) => {
                *slot = Some(buffer);
                Ok(Reply::Ready)
            }
            Err(Trouble::OutOfMemory) => Ok(Reply::OutOfMemory),
            Err(Trouble::Invalid(_)) => Err(Ended),
        }
    }

    /// Waits for what uses freed buffers, if they and the others leave no room for a new one.
    fn make_room(&mut self, size: u64) -> Result<(), Ended> {
        let alive = self.buffers.iter().flatten().map(Buffer::size);
        let needed = alive.fold(size.saturating_add(self.held), u64::saturating_add);
        if self.held > 0 && needed > self.max_memory {
            self.finish()?;
        }
        Ok(())
    }

    fn free_buffer(&mut self, number: u32) -> Result<(), Ended> {
        let slot = self.buffers.get_mut(number as usize).ok_or(Ended)?;
        let freed = slot.take().map_or(0, |buffer| buffer.size());
        self.kernels.iter_mut().flatten().for_each(Kernel::forget);
        if self.has_work() {
            self.held = self.held.saturating_add(freed);
        }
        self.clean()
    }

    fn submit(&mut self, dispatches: &[Dispatch]) -> Result<(), Ended> {
        let index = scoped(&self.device, || {
            let commands = encode(&self.device, &self.buffers, &mut self.kernels, dispatches)?;
            Ok::<_, Ended>(self.queue.submit([commands]))
        })?;
        self.submitted(index?)
    }

    /// Records a submission, and waits for the oldest if there are too many.
    fn submitted(&mut self, index: SubmissionIndex) -> Result<(), Ended> {
        self.upload.submitted();
        self.in_flight.push_back(index);
        if self.in_flight.len() > MAX_IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.wait_for(oldest)?;
        }
        Ok(())
    }

    fn wait_for(&self, index: SubmissionIndex) -> Result<(), Ended> {
        let wait = PollType::Wait {
            submission_index: Some(index),
            timeout: None,
        };
        self.device.poll(wait).map(drop).map_err(|_| Ended)
    }

    /// Returns whether something may not have been executed.
    fn has_work(&self) -> bool {
        !self.upload.is_empty() || !self.in_flight.is_empty()
    }

    /// Waits until everything has been executed.
    fn finish(&mut self) -> Result<(), Ended> {
        self.flush()?;
        let newest = self.in_flight.pop_back();
        self.in_flight.clear();
        self.held = 0;
        newest.map_or(Ok(()), |newest| self.wait_for(newest))
    }

    /// Lets the device release what it does not use any more.
    fn clean(&self) -> Result<(), Ended> {
        self.device.poll(PollType::Poll).map(drop).map_err(|_| Ended)
    }
}
