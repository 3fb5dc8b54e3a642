//! The errors of a device.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use wgpu::{Device, Error, ErrorFilter};

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    OutOfMemory,
    /// With the message.
    Invalid(String),
}

/// Does something with a device, and returns the first error of the device that it caused.
pub(super) fn scoped<T>(device: &Device, work: impl FnOnce() -> T) -> Result<T, Trouble> {
    let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(ErrorFilter::Internal);
    let validation = device.push_error_scope(ErrorFilter::Validation);
    let value = work();
    let validation = now(validation.pop());
    let internal = now(internal.pop());
    // What is created after memory ran out may be invalid for that reason.
    match now(memory.pop()).or(internal).or(validation) {
        None => Ok(value),
        Some(Error::OutOfMemory { .. }) => Err(Trouble::OutOfMemory),
        Some(Error::Internal { description, .. } | Error::Validation { description, .. }) => {
            Err(Trouble::Invalid(description))
        }
    }
}

/// Returns the value of a future of wgpu. Outside of browsers, they are ready.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
