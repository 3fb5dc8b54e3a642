//! The interpreter and its configuration.

pub(crate) mod dispatch;

use crate::{metering::operator_cost, schedule};
use alloc::sync::Arc;
use wasmi::{CompilationMode, Config, CustomFuelCosts};

/// The limits of a module, checked before any of it is compiled.
///
/// The defaults are far above what compilers produce and far below what would do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Bytes of the whole module. By default 64 MiB.
    pub max_bytes: u64,
    /// Entries of each section: types, imports, functions, globals, exports, segments. By default 100 000.
    pub max_items: u64,
    /// Elements of all segments together. By default 1 000 000.
    pub max_elements: u64,
    /// Operators of all constant expressions together (initial values, offsets, elements); each expression may have 64. By
    /// default 1 000 000.
    pub max_constant_operators: u64,
    /// Memories, and tables. By default 100, which is also the maximum, since it is that of the interpreter. In a module that
    /// grows a memory or a table, the rewriter adds one table.
    pub max_memories: u64,
    /// Parameters of one function, and its results. By default 1 000, which is also the limit of the Wasm JavaScript API.
    pub max_params: u64,
    /// Locals of one function, parameters included. By default 10 000.
    pub max_locals: u64,
    /// Locals of all functions together, parameters included: a few bytes can declare thousands, and each of them costs the
    /// interpreter time. By default 4 000 000.
    pub max_total_locals: u64,
    /// Bytes of one function's body. By default 4 MiB.
    pub max_body_bytes: u64,
    /// The nesting depth of the blocks in one function. By default 1 000.
    pub max_nesting: u64,
    /// Values that blocks, branches and calls carry, in all functions together; the first 16 of each are not counted. Two
    /// bytes of code can carry a thousand values, and each of them costs the interpreter time and memory. By default 500 000.
    pub max_carried_values: u64,
    /// Bytes of memory that loading may take at its peak, beyond the module itself. By default 1 GiB.
    ///
    /// The engine compares the limit with an upper bound that it estimates from the numbers of the module's items: 10
    /// to 30 times the size of the code for the output of compilers, which takes a half to a fifth of that, and 100
    /// times for code in tiny functions. So a module may exceed this limit although it is smaller than `max_bytes`.
    pub max_load_bytes: u64,
    /// Bytes of one name. By default 10 000.
    pub max_name_bytes: u64,
}

impl Default for ModuleLimits {
    fn default() -> ModuleLimits {
        ModuleLimits {
            max_bytes: 64 << 20,
            max_items: 100_000,
            max_elements: 1_000_000,
            max_constant_operators: 1_000_000,
            max_memories: 100,
            max_params: 1_000,
            max_locals: 10_000,
            max_total_locals: 4_000_000,
            max_body_bytes: 4 << 20,
            max_nesting: 1_000,
            max_carried_values: 500_000,
            max_load_bytes: 1 << 30,
            max_name_bytes: 10_000,
        }
    }
}

macro_rules! module_limits {
    ($($field:ident => $with:ident;)*) => {
        impl ModuleLimits {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](ModuleLimits::", stringify!($field), ").")]
                #[must_use]
                pub const fn $with(mut self, most: u64) -> ModuleLimits {
                    self.$field = most;
                    self
                }
            )*
        }
    };
}
module_limits! {
    max_bytes => with_bytes;
    max_items => with_items;
    max_elements => with_elements;
    max_constant_operators => with_constant_operators;
    max_memories => with_memories;
    max_params => with_params;
    max_locals => with_locals;
    max_total_locals => with_total_locals;
    max_body_bytes => with_body_bytes;
    max_nesting => with_nesting;
    max_carried_values => with_carried_values;
    max_load_bytes => with_load_bytes;
    max_name_bytes => with_name_bytes;
}

/// The configuration of an [`Engine`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Whether to measure peak stack bytes and peak call depth ([`Usage`](crate::Usage)). Costs about a tenth of a call.
    /// Off by default.
    pub profile: bool,
    /// Whether to accept 64-bit memories. Off by default.
    ///
    /// Host functions access a 64-bit memory with 32-bit pointers: they reach what starts in its first 4 GiB. This is
    /// true for the `vais`, WASI and `dynload` functions too.
    pub memory64: bool,
    /// The limits of a module.
    pub module_limits: ModuleLimits,
}

impl EngineConfig {
    /// Turns profiling on or off.
    #[must_use]
    pub fn with_profile(mut self, profile: bool) -> EngineConfig {
        self.profile = profile;
        self
    }

    /// Sets whether 64-bit memories are accepted: see [`memory64`](EngineConfig::memory64).
    #[must_use]
    pub fn with_memory64(mut self, memory64: bool) -> EngineConfig {
        self.memory64 = memory64;
        self
    }

    /// Sets the limits of a module.
    #[must_use]
    pub fn with_module_limits(mut self, limits: ModuleLimits) -> EngineConfig {
        self.module_limits = limits;
        self
    }
}

/// Compiles modules and runs them.
///
/// Cheap to clone. One engine serves any number of modules, sandboxes and threads, and keeps nothing of a dropped module.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    interpreter: Config,
    config: EngineConfig,
}

impl Engine {
    /// Creates an engine with this configuration.
    #[must_use]
    pub fn new(config: EngineConfig) -> Engine {
        Engine(Arc::new(Inner {
            interpreter: interpreter(&config),
            config,
        }))
    }

    /// Returns the configuration of the engine.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Creates an interpreter for one module. It frees compiled code only when it is dropped itself, so modules do not share
    /// one.
    pub(crate) fn interpreter(&self) -> wasmi::Engine {
        wasmi::Engine::new(&self.0.interpreter)
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new(EngineConfig::default())
    }
}

/// Returns the interpreter's configuration.
fn interpreter(config: &EngineConfig) -> Config {
    let mut interpreter = Config::default();
    interpreter
        .consume_fuel(true)
        .operator_cost(operator_cost::only_nops())
        .fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: schedule::BYTES_PER_FUEL as u32,
            // Charged only by lazy translation, which is off.
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        })
        // Lazy translation charges fuel at the first call of a function, and loses a call that runs out of fuel there.
        .compilation_mode(CompilationMode::Eager)
        // The rewritten code counts frames; the interpreter's own limits must never be exceeded first.
        .set_max_recursion_depth(usize::MAX)
        .set_max_stack_height(usize::MAX / 2)
        .wasm_memory64(config.memory64)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .ignore_custom_sections(true);
    interpreter
}
