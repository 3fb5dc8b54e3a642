//! The engines, each configured as its users would for untrusted plugins, or as its name indicates.

pub(crate) mod dynload;
pub(crate) mod wasm3;
pub(crate) mod wasmi;
pub(crate) mod wasmtime;

use crate::Outcome;

/// The `run(i32)` of a loaded program, with its result as an i64.
pub(crate) type Program = Box<dyn FnMut(i32) -> Outcome<i64>>;

/// The error for a program whose `run` returns something else.
const NO_INTEGER: &str = "`run` does not return an integer";

/// An engine that runs programs. They may import `host.next(i64) -> i64`, which adds 1.
pub(crate) struct Runner {
    pub(crate) name: &'static str,
    pub(crate) load: fn(&[u8]) -> Outcome<Program>,
}

/// All engines that run programs; the sandbox comes first.
pub(crate) const RUNNERS: [Runner; 6] = [
    Runner {
        name: DYNLOAD,
        load: dynload::program,
    },
    Runner {
        name: WASMI,
        load: wasmi::unmetered,
    },
    Runner {
        name: "wasmi, its fuel",
        load: wasmi::metered,
    },
    Runner {
        name: "wasm3",
        load: wasm3::program,
    },
    Runner {
        name: "Wasmtime Cranelift, fuel",
        load: wasmtime::cranelift,
    },
    Runner {
        name: "Wasmtime Pulley, fuel",
        load: wasmtime::pulley,
    },
];

/// The sandbox, with every limit on.
pub(crate) const DYNLOAD: &str = "dynload-sandbox";
/// The same, with functions that are validated on first use.
pub(crate) const DYNLOAD_LATE: &str = "dynload-sandbox, validated on first use";
/// The same, with a module that was prepared.
pub(crate) const DYNLOAD_PREPARED: &str = "dynload-sandbox, prepared";
/// Bare wasmi: eager, unmetered.
pub(crate) const WASMI: &str = "wasmi";
/// Bare wasmi that validates and translates each function when it is first called.
pub(crate) const WASMI_LAZY: &str = "wasmi, lazy";
