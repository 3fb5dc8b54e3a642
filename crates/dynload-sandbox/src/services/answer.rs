//! The result of a service: success, an errno, or the end of the call.

use super::wasi::Errno;
use crate::{
    call::state::State,
    error::Stop,
    host::{Caller, OutOfBounds, OutputError},
};
use std::io;

/// Why a service failed.
#[derive(Debug)]
pub(super) enum Fail {
    /// The guest receives the errno and continues.
    Errno(Errno),
    /// The call ends: a limit, an interrupt, an exit, a pointer outside the memory.
    Stop(Stop),
}

/// The result of a service.
pub(super) type Answer<T = ()> = Result<T, Fail>;

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Fail {
        Fail::Errno(errno)
    }
}

impl From<Stop> for Fail {
    fn from(stop: Stop) -> Fail {
        Fail::Stop(stop)
    }
}

/// The WASI documents require it: "If an out-of-bounds pointer is passed to a function and the function needs to
/// dereference it, the function shall trap."
impl From<OutOfBounds> for Fail {
    fn from(error: OutOfBounds) -> Fail {
        Fail::Stop(error.into())
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Fail {
        Fail::Errno(Errno::from(&error))
    }
}

impl From<OutputError> for Fail {
    fn from(error: OutputError) -> Fail {
        Fail::Errno(match error {
            OutputError::BrokenPipe => Errno::Pipe,
            OutputError::NoSpace => Errno::Nospc,
            OutputError::Failed => Errno::Io,
        })
    }
}

/// Runs a service for a guest and returns its errno.
pub(super) fn answer(
    host: wasmi::Caller<'_, State>,
    service: impl FnOnce(&mut Caller<'_>) -> Answer,
) -> Result<i32, wasmi::Error> {
    let mut caller = Caller::enter(host).map_err(Stop::halt)?;
    let errno = match service(&mut caller) {
        Ok(()) => Errno::Success,
        Err(Fail::Errno(errno)) => errno,
        Err(Fail::Stop(stop)) => return Err(stop.halt()),
    };
    // The service may have taken longer than its fuel indicates.
    caller.glance().map_err(Stop::halt)?;
    Ok(errno as i32)
}
