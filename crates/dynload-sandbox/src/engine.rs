//! The interpreter and its configuration.

pub(crate) mod dispatch;

use crate::{metering::operator_cost, module::limits::ModuleLimits, schedule, translation::SMALL_BYTES};
use alloc::sync::Arc;
use wasmi::{CompilationMode, Config, CustomFuelCosts};

/// Whether modules may have 128-bit vectors. On a big-endian machine, wasmi 2.0.0 loads them with their bytes reversed, and
/// numbers their lanes from the other end.
pub(crate) const HAS_VECTORS: bool = cfg!(all(feature = "simd", target_endian = "little"));

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
    /// Whether a module that imports a memory `env.memory`, as `wasm-ld --import-memory` writes it, gets a memory of its own.
    /// Off by default: the import is then missing.
    ///
    /// Each instance has a new memory of the imported type, as if the module defined it: limited, counted and not shared.
    /// It is the memory that host functions access, unless the module exports another one as `memory`. If the module
    /// imports another memory too, both are missing.
    pub imported_memory: bool,
    /// When functions are translated for the interpreter.
    pub translation: Translation,
    /// When functions are validated.
    pub validation: Validation,
    /// The limits of a module.
    pub module_limits: ModuleLimits,
}

/// When the functions of a module are translated for the interpreter.
///
/// Both have the same results, errors and readings of the meter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Translation {
    /// Each function when it is called for the first time. The default: loading takes a fraction of the time, and functions
    /// that are never called take no memory.
    ///
    /// Translation happens within a call and delays its end at a deadline by at most about two milliseconds, on a machine
    /// that translates a kilobyte in 20 microseconds. Functions for which that could take longer, because they have more than
    /// 48 KiB, are translated when the module is loaded; for that, memory for an instance is needed. A module with other
    /// functions that take long is translated as a whole when it is loaded.
    #[default]
    OnFirstUse,
    /// All functions when the module is loaded, so that the first calls take as long as later ones.
    AtLoad,
    /// On first use, with every module treated as a large one: for tests.
    #[doc(hidden)]
    OnReportedFirstUse,
}

/// When the functions of a module are validated.
///
/// No function runs before it is valid, so a guest never gets out of its memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// When the module is loaded: an invalid one is refused. The default.
    #[default]
    AtLoad,
    /// Each function when it is [translated](Translation::OnFirstUse), so that loading takes two thirds of the time.
    /// The [Wasm spec] permits this: everything but the functions is validated when the module is loaded. An invalid function
    /// is found then too if it is malformed or if metering it could hide the error; otherwise every call of it fails, with
    /// [`ErrorKind::Engine`](crate::ErrorKind::Engine).
    ///
    /// A [prepared](crate::Prepared) module is validated as a whole when it is prepared, and so on first use when it is
    /// loaded, whatever this is.
    ///
    /// [Wasm spec]: https://webassembly.github.io/spec/core/appendix/implementation.html#validation
    OnFirstUse,
}

impl Translation {
    /// Returns the bytes of code that may be translated without a report, or `None` if all code is translated at load.
    pub(crate) fn unreported_bytes(self) -> Option<usize> {
        match self {
            Translation::OnFirstUse => Some(SMALL_BYTES),
            Translation::OnReportedFirstUse => Some(0),
            Translation::AtLoad => None,
        }
    }
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

    /// Sets whether `env.memory` is provided: see [`imported_memory`](EngineConfig::imported_memory).
    #[must_use]
    pub fn with_imported_memory(mut self, imported_memory: bool) -> EngineConfig {
        self.imported_memory = imported_memory;
        self
    }

    /// Sets when functions are translated.
    #[must_use]
    pub fn with_translation(mut self, translation: Translation) -> EngineConfig {
        self.translation = translation;
        self
    }

    /// Sets when functions are validated.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Engine, EngineConfig, Limits, Module, Sandbox, Validation};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let wasm = wat::parse_str(r#"(module
    ///     (func (export "good") (result i32) (i32.const 1))
    ///     (func (export "bad") (result i32) (i64.const 1)))"#)?;
    /// assert!(Module::new(&Engine::default(), &wasm).is_err());
    ///
    /// let engine = Engine::new(EngineConfig::default().with_validation(Validation::OnFirstUse));
    /// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&Module::new(&engine, &wasm)?)?;
    /// assert!(instance.call("good", &[]).is_ok());
    /// assert!(instance.call("bad", &[]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_validation(mut self, validation: Validation) -> EngineConfig {
        self.validation = validation;
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
    pub(crate) fn interpreter(&self, mode: CompilationMode) -> wasmi::Engine {
        let mut config = self.0.interpreter.clone();
        config.compilation_mode(mode);
        wasmi::Engine::new(&config)
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
            // The same call costs the same whether it translates functions or not. And the interpreter loses a call that runs
            // out of fuel there.
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        })
        // The rewritten code counts frames; the interpreter's own limits must never be exceeded first.
        .set_max_recursion_depth(usize::MAX)
        .set_max_stack_height(usize::MAX / 2)
        .wasm_memory64(config.memory64)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(false)
        .ignore_custom_sections(true);
    #[cfg(feature = "simd")]
    interpreter.wasm_simd(HAS_VECTORS).wasm_relaxed_simd(HAS_VECTORS);
    interpreter
}
