//! Tests of the sandbox that need no process of their own.

mod bytes;
// The guests read the clocks through WASI.
#[cfg(unix)]
mod clock_scope;
mod constant_operands;
mod differential;
#[cfg(feature = "extism")]
mod extism;
mod host_functions;
mod hostile;
mod imported_memory;
mod large_functions;
mod metering;
mod module_limits;
mod moves;
mod oracle;
mod prepared;
mod reactors;
mod regressions;
mod reproducible;
mod resets;
mod specification;
mod subject;
mod totals;
mod validity;
mod wasmi_workarounds;
