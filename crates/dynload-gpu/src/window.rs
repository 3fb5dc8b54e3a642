//! Memory that the host and a worker share, through which the bytes of buffers pass.
//!
//! The system copies what passes through a socket twice, each time at a fraction of the speed of memory. Where there is no
//! such memory, and when it is full, bytes pass through the socket.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod none;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use linux as system;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
use none as system;

use crate::protocol::WINDOW;
use std::{io, os::fd::OwnedFd};

/// The memory. Its first half is written by the host, and the second one by the worker.
///
/// The other process may change it at any time, so nothing refers to it: bytes are copied into it and out of it.
#[derive(Debug)]
pub(crate) struct Window(system::Memory);

/// Who writes to a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Host,
    Worker,
}

impl Half {
    fn start(self) -> usize {
        match self {
            Half::Host => 0,
            Half::Worker => WINDOW as usize,
        }
    }
}

/// The size of both halves.
const SIZE: usize = 2 * WINDOW as usize;

impl Window {
    /// Creates the memory, and its descriptor for the worker. Nothing is allocated before it is used.
    ///
    /// # Errors
    ///
    /// The system's error. A session works without it.
    pub(crate) fn create() -> io::Result<(Window, OwnedFd)> {
        let (memory, descriptor) = system::Memory::create(SIZE)?;
        Ok((Window(memory), descriptor))
    }

    /// Opens the memory of a descriptor.
    ///
    /// # Errors
    ///
    /// The system's error, or one that says that it is not such memory.
    #[cfg(feature = "wgpu")]
    pub(crate) fn open(descriptor: OwnedFd) -> io::Result<Window> {
        system::Memory::open(descriptor, SIZE).map(Window)
    }

    /// Copies bytes into a half.
    ///
    /// # Errors
    ///
    /// An error if they are not inside of it.
    pub(crate) fn write(&self, half: Half, at: u32, bytes: &[u8]) -> io::Result<()> {
        self.0.write(place(half, at, bytes.len())?, bytes)
    }

    /// Copies bytes out of a half.
    ///
    /// # Errors
    ///
    /// An error if they are not inside of it.
    pub(crate) fn read(&self, half: Half, at: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read(place(half, at, bytes.len())?, bytes)
    }
}

/// Returns where bytes of a half are.
fn place(half: Half, at: u32, length: usize) -> io::Result<usize> {
    let end = (at as usize).checked_add(length);
    if end.is_none_or(|end| end > WINDOW as usize) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(half.start() + at as usize)
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_their_half() {
        let (window, _descriptor) = Window::create().unwrap();
        let mut bytes = [0; 4];
        window.write(Half::Host, WINDOW - 4, &[1; 4]).unwrap();
        window.read(Half::Worker, 0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4]);
        window.read(Half::Host, WINDOW - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [1; 4]);
        for half in [Half::Host, Half::Worker] {
            assert!(window.write(half, WINDOW - 3, &[1; 4]).is_err());
            assert!(window.read(half, WINDOW - 3, &mut bytes).is_err());
            assert!(window.read(half, u32::MAX, &mut bytes).is_err());
        }
    }

    #[test]
    fn the_other_process_cannot_take_the_memory_away() {
        let (window, descriptor) = Window::create().unwrap();
        let file = std::fs::File::from(descriptor);
        assert!(file.set_len(0).is_err() && file.set_len(1 << 30).is_err());
        window.write(Half::Worker, WINDOW - 1, &[7]).unwrap();
    }
}
