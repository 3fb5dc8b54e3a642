//! The interpreter and its configuration.

pub(crate) mod dispatch;

use crate::{metering::operator_cost, module::limits::ModuleLimits, schedule};
use alloc::sync::Arc;
use wasmi::{CompilationMode, Config, CustomFuelCosts};

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
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(false)
        .ignore_custom_sections(true);
    interpreter
}
