//! Modules that are rewritten in advance.

mod format;

use crate::{
    engine::{Engine, Validation},
    error::{ModuleError, Refused},
    module::{Module, limits::ModuleLimit},
    rewritten::{self, Rewritten},
};
use alloc::vec::Vec;
use wasmi::{ExternType, RefType, ValType};

/// A module that was checked and rewritten in advance, so that loading it is fast, and needs no rewriter.
///
/// [`Module::prepare`] creates it, and [`Module::from_prepared`] loads its bytes, which can be stored in between: in a file,
/// or in the read-only memory of a device. They fit the version of this crate that prepared them; another version refuses
/// them, unless it has the same format.
///
/// # Trust
///
/// Load a prepared module only if it comes from someone whom you would also trust with the host's limits.
/// It is validated again, so guests cannot access memory outside of their own, whoever prepared it. But its counters of
/// fuel, stack and call depth are part of its code: whoever changes the bytes can remove them, and then a guest can use any
/// amount of time, memory and native stack. Code that the interpreter cannot translate without the changes that preparing
/// makes can end the process. The checksum detects damage, not an attacker.
///
/// Each function is validated when it is translated. One that was made invalid after the module was prepared ends every call
/// that uses it, with [`ErrorKind::Engine`](crate::ErrorKind::Engine).
///
/// # Format
///
/// Numbers are in little-endian byte order.
///
/// | bytes | contents |
/// | --- | --- |
/// | 0..8 | `\0dynprep` |
/// | 8..16 | the checksum of the bytes from 16 on |
/// | 16..20 | the version of the format |
/// | 20..24 | flags: 1 refunds fuel, 2 records peaks, 4 counts frames, 8 has a start function, 16 grows memories or tables, 32 can be translated on first use, 64 has 128-bit vectors |
/// | 24..32 | bytes of memory that loading takes, as estimated |
/// | 32..40 | fuel for creating an instance |
/// | 40..48 | bytes of references and records of an instance |
/// | 48..56 | initial bytes of memories and tables |
/// | 56..64 | the number of functions that are translated at load although the others are not |
/// | 64..72 | the number *n* of functions that the module defines, or 0 if none reports its first use |
/// | 72..72 + 4*n* | for each of them, the cost of translating it, or 0 |
/// | from there | the rewritten module, in the binary format |
///
/// The checksum starts with the number of bytes. For each 8 bytes, as a number, and the rest, filled up with zeros, it becomes
/// `(checksum ^ number) * 0x9e3779b97f4a7c15`, rotated left by 29 bits.
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Engine, Limits, Module, Sandbox, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::default();
/// let wasm = wat::parse_str(r#"(module (func (export "answer") (result i32) (i32.const 42)))"#)?;
/// let bytes = Module::prepare(&engine, wasm)?.into_bytes();
///
/// let module = Module::from_prepared(&engine, &bytes)?;
/// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
/// assert_eq!(instance.call("answer", &[])?, [Value::I32(42)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared(Vec<u8>);

impl Prepared {
    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Prepared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Module {
    /// Checks and meters a module in the binary format, to be loaded later.
    ///
    /// The settings [`profile`](crate::EngineConfig::profile), [`imported_memory`](crate::EngineConfig::imported_memory) and
    /// [`translation`](crate::EngineConfig::translation) of the engine become part of the prepared module. If it is to be
    /// translated on first use, an engine that loads it can translate it at load instead.
    ///
    /// # Errors
    ///
    /// As [`Module::new`].
    #[cfg(feature = "rewriter")]
    pub fn prepare(engine: &Engine, wasm: impl AsRef<[u8]>) -> Result<Prepared, ModuleError> {
        Module::new_and_prepared(engine, wasm.as_ref()).map(|(_, prepared)| prepared)
    }

    /// Loads a module, which finds every error, and prepares it as well.
    #[cfg(feature = "rewriter")]
    pub(crate) fn new_and_prepared(engine: &Engine, wasm: &[u8]) -> Result<(Module, Prepared), ModuleError> {
        Module::check_build()?;
        let (module, bytes) = Module::rewrite_and_compile(engine, wasm, Validation::AtLoad)
            .map_err(|error| crate::error::explained(error, wasm))?;
        let prepared = Prepared(format::encode(module.rewritten(), &bytes));
        Ok((module, prepared))
    }

    /// Loads a prepared module. [`Prepared`] says what has to be trusted.
    ///
    /// # Errors
    ///
    /// - [`ModuleError::NotPrepared`] if the bytes are not a prepared module, are damaged, or fit another version.
    /// - [`ModuleError::TooLarge`] if the rewritten module exceeds [`max_bytes`](crate::ModuleLimits::max_bytes) of the
    ///   engine, or [`max_load_bytes`](crate::ModuleLimits::max_load_bytes). The other limits applied when it was prepared.
    /// - [`ModuleError::Engine`] if the interpreter refuses it, for instance because of a feature that is off. An invalid
    ///   function can be found later: see [`Prepared`].
    /// - [`ModuleError::UnsafeBuild`] as [`Module::new`].
    pub fn from_prepared(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module, ModuleError> {
        Module::check_build()?;
        let (rewritten, wasm) = format::decode(bytes.as_ref())?;
        let bound = |limit| engine.config().module_limits.bound(limit);
        let fits = bound(ModuleLimit::Bytes)
            .check("bytes, rewritten", wasm.len() as u64)
            .and_then(|()| {
                let what = "bytes of memory for loading (estimated)";
                bound(ModuleLimit::LoadBytes).check(what, rewritten.load_bytes)
            });
        fits.map_err(|Refused(error)| error)?;
        Module::check_lengths(wasm)?;
        let module = Module::compile(engine, wasm, rewritten, Validation::OnFirstUse)
            .map_err(|refused| ModuleError::Engine(refused.into()))?;
        if has_additions(&module) {
            Ok(module)
        } else {
            let reason = "the module lacks what the host needs; prepare it again";
            Err(ModuleError::NotPrepared { reason })
        }
    }
}

/// Returns whether the module exports what its properties say that the rewriter added.
fn has_additions(module: &Module) -> bool {
    let Rewritten {
        hidden,
        has_start,
        large,
        ..
    } = module.rewritten();
    let export = |name: &str| module.compiled().get_export(name);
    let counter = |name| match export(name) {
        Some(ExternType::Global(ty)) => ty.content() == ValType::I64 && ty.mutability().is_mut(),
        _ => false,
    };
    let function = |name| match export(name) {
        Some(ExternType::Func(ty)) => ty.params().is_empty() && ty.results().is_empty(),
        _ => false,
    };
    let table = |name| match export(name) {
        Some(ExternType::Table(ty)) => {
            ty.element() == RefType::Func && ty.minimum() >= rewritten::HOST_FUNCTIONS.into()
        }
        _ => false,
    };
    counter(rewritten::FRAMES)
        && (hidden.refund.is_none() || counter(rewritten::REFUND))
        && (hidden.peaks.is_none() || counter(rewritten::PEAK_STACK) && counter(rewritten::PEAK_DEPTH))
        && (!has_start || function(rewritten::START))
        && (!module.rewritten().calls_host() || table(rewritten::HOST))
        && (0..*large).all(|n| matches!(export(&rewritten::large(n)), Some(ExternType::Func(_))))
}
