//! A running call: its state, its slices of fuel, and what stops it.

#[cfg(feature = "std")]
pub(crate) mod enclosing;
pub(crate) mod interrupt;
pub(crate) mod run;
#[cfg_attr(
    not(feature = "std"),
    allow(dead_code, reason = "only threads create workers")
)]
pub(crate) mod share;
pub(crate) mod state;
pub(crate) mod watch;
