//! Resource limits.

use dynload_sandbox::Limits;

use crate::boundary::abi::ResourceLimits;
use crate::boundary::error::guard_query;
use crate::objects::sandbox::resource_limits;

/// Returns the default limits: 64 MiB of memory, 5 seconds, 1 MiB of stack, 1 000 frames.
pub extern "C" fn default_limits() -> ResourceLimits {
    guard_query(ResourceLimits::default(), || resource_limits(Limits::DEFAULT))
}

/// Returns the limits for untrusted plugins: 16 MiB of memory, 1 second, 256 KiB of stack, 500 frames.
pub extern "C" fn restrictive_limits() -> ResourceLimits {
    guard_query(ResourceLimits::default(), || resource_limits(Limits::RESTRICTIVE))
}

/// Returns the limits for heavy work: 256 MiB of memory, 60 seconds, 4 MiB of stack, 5 000 frames.
pub extern "C" fn permissive_limits() -> ResourceLimits {
    guard_query(ResourceLimits::default(), || resource_limits(Limits::PERMISSIVE))
}
