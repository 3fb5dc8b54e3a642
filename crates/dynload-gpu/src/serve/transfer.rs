//! Writing to buffers, and reading from them.

use super::{Ended, Server, buffer, scope::scoped, stream::Stream};
use crate::{
    protocol::{Answer, WINDOW},
    window::Half,
};
use dynload_sandbox::gpu::{PIECE, Reply};
use std::{ops::Range, sync::mpsc};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, MapMode};

/// The maximum number of bytes that are copied into memory of the driver before the device has to accept them.
const STAGED: u64 = 4 << 20;

/// What a write of a few bytes counts as: its memory is a resource of the driver.
const LEAST_STAGED: u64 = 4 << 10;

/// The maximum size of the memory through which buffers are read.
const CHUNK: u64 = 4 << 20;

/// The smallest size of it.
const MIN_CHUNK: u64 = 64 << 10;

/// What was written and not submitted.
#[derive(Default)]
pub(super) struct Upload {
    staged: u64,
}

impl Upload {
    pub(super) fn is_empty(&self) -> bool {
        self.staged == 0
    }

    /// Everything that was written is part of the submission.
    pub(super) fn submitted(&mut self) {
        self.staged = 0;
    }
}

/// The memory through which buffers are read.
#[derive(Default)]
pub(super) struct Download {
    chunk: Option<Buffer>,
}

impl Server {
    pub(super) fn write(&mut self, number: u32, at: u64, bytes: &[u8]) -> Result<(), Ended> {
        let to = buffer(&self.buffers, number)?;
        scoped(&self.device, || self.queue.write_buffer(to, at, bytes))?;
        self.upload.staged += (bytes.len() as u64).max(LEAST_STAGED);
        if self.upload.staged >= STAGED {
            // The memory of what was submitted before is released, and used again for what comes.
            let before = self.in_flight.back().cloned();
            self.flush()?;
            before.map_or(Ok(()), |before| self.wait_for(before))?;
        }
        Ok(())
    }

    /// Writes a piece that is in the shared memory.
    pub(super) fn write_shared(&mut self, number: u32, at: u64, from: u32, size: u32) -> Result<(), Ended> {
        let mut piece = std::mem::take(&mut self.piece);
        if piece.len() < size as usize {
            piece.resize(size as usize, 0);
        }
        let bytes = &mut piece[..size as usize];
        let window = self.window.as_ref().ok_or(Ended)?;
        window.read(Half::Host, from, bytes).map_err(|_| Ended)?;
        self.write(number, at, bytes)?;
        self.piece = piece;
        Ok(())
    }

    /// Submits what was written.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        if self.upload.is_empty() {
            return Ok(());
        }
        let index = scoped(&self.device, || self.queue.submit([]))?;
        self.submitted(index)
    }

    pub(super) fn read(
        &mut self,
        number: u32,
        mut bytes: Range<u64>,
        is_shared: bool,
        stream: &mut Stream,
    ) -> Result<(), Ended> {
        // The bytes of the shared memory that the host may not have read yet.
        let mut used = if is_shared { 0 } else { WINDOW };
        while !bytes.is_empty() {
            let at = bytes.start;
            let count = (bytes.end - at).min(CHUNK);
            let chunk = self.chunk(count)?;
            let from = buffer(&self.buffers, number)?;
            let index = scoped(&self.device, || {
                let mut encoder = self.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(from, at, &chunk, 0, count);
                self.queue.submit([encoder.finish()])
            })?;
            self.upload.submitted();
            self.send_mapped(&chunk, count, index, &mut used, stream)?;
            bytes.start += count;
        }
        // Everything before the last copy has been executed.
        self.in_flight.clear();
        Ok(())
    }

    fn send_mapped(
        &self,
        chunk: &Buffer,
        count: u64,
        index: wgpu::SubmissionIndex,
        used: &mut u32,
        stream: &mut Stream,
    ) -> Result<(), Ended> {
        let slice = chunk.slice(..count);
        let (done, mapped) = mpsc::channel();
        scoped(&self.device, || {
            slice.map_async(MapMode::Read, move |result| drop(done.send(result)));
        })?;
        self.wait_for(index)?;
        // Another session's thread may be the one that reports it.
        mapped.recv().map_err(|_| Ended)?.map_err(|_| Ended)?;
        let view = slice.get_mapped_range().map_err(|_| Ended)?;
        let mut pieces = view.chunks(PIECE as usize).peekable();
        while let Some(piece) = pieces.next() {
            let answer = match &self.window {
                Some(window) if window.write(Half::Worker, *used, piece).is_ok() => {
                    let (from, size) = (*used, piece.len() as u32);
                    *used += size;
                    Answer::Shared { from, size }
                }
                _ => Answer::Reply(Reply::Data(piece)),
            };
            // Each answer that is sent wakes the host.
            if matches!(answer, Answer::Shared { .. }) && pieces.peek().is_some() {
                stream.hold(&answer);
            } else {
                stream.answer(&answer)?;
            }
        }
        drop(view);
        chunk.unmap();
        Ok(())
    }

    /// Returns memory of at least `size` bytes.
    fn chunk(&mut self, size: u64) -> Result<Buffer, Ended> {
        match &self.download.chunk {
            Some(chunk) if chunk.size() >= size => Ok(chunk.clone()),
            _ => {
                let chunk = scoped(&self.device, || {
                    self.device.create_buffer(&BufferDescriptor {
                        label: None,
                        size: size.next_power_of_two().max(MIN_CHUNK),
                        usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    })
                })?;
                Ok(self.download.chunk.insert(chunk).clone())
            }
        }
    }
}
