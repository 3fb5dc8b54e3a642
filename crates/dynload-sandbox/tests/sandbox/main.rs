//! Tests of the sandbox that need no process of their own.

// The guests read the clocks through WASI.
#[cfg(unix)]
mod clock_scope;
mod constant_operands;
mod differential;
mod host_functions;
mod hostile;
mod metering;
mod module_limits;
mod moves;
mod oracle;
mod reactors;
mod regressions;
mod reproducible;
mod specification;
mod subject;
mod validity;
mod wasmi_workarounds;
