//! A module, compiled once and instantiated any number of times.

pub(crate) mod limits;

use crate::{
    engine::{Engine, Translation, Validation, dispatch},
    error::{ModuleError, UnsafeBuild},
    rewritten::{self, Rewritten},
    translation::{self, FirstUses},
    value::{Signature, ValType},
};
#[cfg(feature = "rewriter")]
use crate::{error::explained, rewrite};
use alloc::sync::Arc;
#[cfg(feature = "rewriter")]
use alloc::vec::Vec;
use core::fmt;
use dynload_caps::{Capabilities, ImportNeeds, imports::needs};
use wasmi::CompilationMode;

/// A WebAssembly module, checked, metered and compiled.
///
/// Cheap to clone, `Send + Sync`, and shared by any number of sandboxes with different limits.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    engine: Engine,
    module: wasmi::Module,
    rewritten: Rewritten,
    /// The name of the memory that host functions access.
    memory: Option<&'static str>,
    is_reactor: bool,
    has_imports: bool,
    /// If functions are translated on first use and have to report it.
    first_uses: Option<Arc<FirstUses>>,
}

/// The function that initializes a reactor.
pub(crate) const INITIALIZE: &str = "_initialize";

/// The type of an import or export
/// ([Wasm spec, external types](https://webassembly.github.io/spec/core/syntax/types.html#external-types)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExternType {
    /// A function.
    Func(Signature),
    /// A linear memory.
    #[non_exhaustive]
    Memory {},
    /// A table.
    #[non_exhaustive]
    Table {},
    /// A global.
    #[non_exhaustive]
    Global {
        /// The type of its value.
        content: ValType,
    },
}

impl ExternType {
    /// Returns the signature of a function, and `None` for a memory, table or global.
    #[must_use]
    pub fn func(&self) -> Option<&Signature> {
        match self {
            ExternType::Func(signature) => Some(signature),
            _ => None,
        }
    }

    pub(crate) fn from_engine(ty: &wasmi::ExternType) -> ExternType {
        match ty {
            wasmi::ExternType::Func(ty) => ExternType::Func(Signature::from_engine(ty)),
            wasmi::ExternType::Memory(_) => ExternType::Memory {},
            wasmi::ExternType::Table(_) => ExternType::Table {},
            wasmi::ExternType::Global(ty) => ExternType::Global {
                content: ValType::from_engine(ty.content()),
            },
        }
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternType::Func(signature) => signature.fmt(f),
            ExternType::Memory {} => f.write_str("memory"),
            ExternType::Table {} => f.write_str("table"),
            ExternType::Global { content } => write!(f, "global {content}"),
        }
    }
}

/// An import of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import<'a> {
    /// The module name.
    pub module: &'a str,
    /// The name.
    pub name: &'a str,
    /// The type of a function, `None` for a memory, table or global.
    pub ty: ExternType,
    /// The capabilities that the import needs, if it is one of those that this crate provides:
    /// [`ImportNeeds::Unknown`] for any other.
    ///
    /// This is a look-up of the names, in the [table of imports](dynload_caps::imports). A host function of the
    /// embedder needs the capabilities that it was added with instead, also if it replaces a function of this crate.
    pub needs: ImportNeeds,
}

/// An export of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export<'a> {
    /// The name.
    pub name: &'a str,
    /// The type.
    pub ty: ExternType,
}

impl Module {
    /// Checks, meters and compiles a module in the binary format.
    ///
    /// Takes time and memory in proportion to the module's size, whatever its contents.
    ///
    /// # Errors
    ///
    /// - [`ModuleError::TooLarge`] if it exceeds the engine's [`ModuleLimits`](crate::ModuleLimits), or what the interpreter
    ///   supports.
    /// - [`ModuleError::Unsupported`] if it uses a feature that is off.
    /// - [`ModuleError::NotAModule`] if it is another kind of file: a component, the text format, native code.
    /// - [`ModuleError::Invalid`] if it is not a valid module.
    /// - [`ModuleError::Engine`] if the interpreter cannot translate it.
    /// - [`ModuleError::UnsafeBuild`] if the interpreter was built in a way that lets guests overflow the native stack.
    #[cfg(feature = "rewriter")]
    pub fn new(engine: &Engine, wasm: impl AsRef<[u8]>) -> Result<Module, ModuleError> {
        Module::check_build()?;
        let wasm = wasm.as_ref();
        Module::rewrite_and_compile(engine, wasm, engine.config().validation)
            .map(|(module, _)| module)
            .map_err(|error| explained(error, wasm))
    }

    /// Returns the module and its rewritten form.
    #[cfg(feature = "rewriter")]
    pub(crate) fn rewrite_and_compile(
        engine: &Engine,
        wasm: &[u8],
        validation: Validation,
    ) -> Result<(Module, Vec<u8>), ModuleError> {
        let (bytes, rewritten) = rewrite::module(wasm, engine.config())?;
        let module = Module::compile(engine, &bytes, rewritten, validation).or_else(|refused| {
            rewrite::validate(wasm, engine.config())?;
            Err(ModuleError::Engine(refused.into()))
        })?;
        Ok((module, bytes))
    }

    /// Checks the lengths in a module, where the sum of a position and a length can overflow in the parser.
    pub(crate) fn check_lengths(wasm: &[u8]) -> Result<(), ModuleError> {
        match dynload_diagnostics::overflowing_length(wasm) {
            None => Ok(()),
            Some(offset) => Err(ModuleError::Invalid {
                offset,
                message: "a length is larger than what contains it".into(),
            }),
        }
    }

    /// Checks that the interpreter cannot overflow the native stack.
    pub(crate) fn check_build() -> Result<(), ModuleError> {
        if dispatch::releases_stack() {
            Ok(())
        } else {
            Err(ModuleError::UnsafeBuild(UnsafeBuild::HERE))
        }
    }

    /// Compiles a rewritten module.
    pub(crate) fn compile(
        engine: &Engine,
        bytes: &[u8],
        rewritten: Rewritten,
        validation: Validation,
    ) -> Result<Module, wasmi::Error> {
        let configured = engine.config().translation;
        let (translation, module) = if rewritten.is_lazy && configured != Translation::AtLoad {
            let mode = match validation {
                Validation::AtLoad => CompilationMode::LazyTranslation,
                Validation::OnFirstUse => CompilationMode::Lazy,
            };
            let module = wasmi::Module::new(&engine.interpreter(mode), bytes)?;
            if translation::translate_large(&module, &rewritten) {
                (configured, module)
            } else {
                Module::translate_all(engine, bytes)?
            }
        } else {
            Module::translate_all(engine, bytes)?
        };
        let reports = translation != Translation::AtLoad && !rewritten.costs.is_empty();
        let first_uses = reports.then(|| FirstUses::new(&rewritten.costs, translation));
        Ok(Module(Arc::new(Inner {
            engine: engine.clone(),
            memory: memory(&module),
            is_reactor: is_reactor(&module),
            has_imports: module.imports().len() > 0,
            module,
            first_uses: first_uses.map(Arc::new),
            rewritten,
        })))
    }

    fn translate_all(engine: &Engine, bytes: &[u8]) -> Result<(Translation, wasmi::Module), wasmi::Error> {
        let module = wasmi::Module::new(&engine.interpreter(CompilationMode::Eager), bytes)?;
        Ok((Translation::AtLoad, module))
    }

    /// Returns the imports of the module, in its own order: everything that it could use, before any of it runs.
    ///
    /// # Examples
    ///
    /// Deciding what to grant to a module from its imports:
    ///
    /// ```
    /// use dynload_sandbox::{Capabilities, Engine, ImportNeeds, Limits, Module, Sandbox};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
    ///     (import "env" "price" (func (param i32) (result i64)))
    ///     (import "vais" "now_ms" (func (result i64)))
    ///     (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    ///     (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32))))"#)?)?;
    ///
    /// // What this host is willing to grant to any plugin.
    /// let offered = Capabilities::CONSOLE | Capabilities::TIME;
    /// let mut refused = Vec::new();
    /// for import in module.imports() {
    ///     let is_ok = match import.needs {
    ///         // Not a function of this crate: the host has to provide it.
    ///         ImportNeeds::Unknown => (import.module, import.name) == ("env", "price"),
    ///         needs => needs.satisfied_by(offered),
    ///     };
    ///     if !is_ok {
    ///         refused.push(import.name);
    ///     }
    /// }
    /// assert_eq!(refused, ["random_get"]);
    ///
    /// // `fd_write` could also use FS_WRITE and NETWORK: they are not granted.
    /// let granted = offered & module.required_capabilities();
    /// assert_eq!(granted, Capabilities::CONSOLE | Capabilities::TIME);
    /// let sandbox = Sandbox::new(Limits::DEFAULT).with_capabilities(granted);
    /// # drop(sandbox);
    /// # Ok(())
    /// # }
    /// ```
    pub fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.0.module.imports().map(|import| Import {
            module: import.module(),
            name: import.name(),
            ty: ExternType::from_engine(import.ty()),
            needs: needs(import.module(), import.name()),
        })
    }

    /// Returns the exports of the module.
    pub fn exports(&self) -> impl Iterator<Item = Export<'_>> {
        self.0
            .module
            .exports()
            .filter(|export| !rewritten::is_hidden(export.name()))
            .map(|export| Export {
                name: export.name(),
                ty: ExternType::from_engine(export.ty()),
            })
    }

    /// Returns every capability that an import could use: an upper bound, not what the module needs.
    ///
    /// Do not grant the result without looking at it. Many WASI functions serve several purposes: a module that imports
    /// `fd_write` only to print has CONSOLE, FS_WRITE and NETWORK in the result. Intersect it with the capabilities
    /// that you are willing to grant, as in the example of [`imports`](Module::imports).
    ///
    /// Only the imports that this crate provides are considered ([`Import::needs`]), not the capabilities with which
    /// the embedder adds host functions.
    #[must_use]
    pub fn required_capabilities(&self) -> Capabilities {
        self.imports().map(|import| import.needs.capabilities()).collect()
    }

    /// Returns the engine that compiled the module.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn compiled(&self) -> &wasmi::Module {
        &self.0.module
    }

    /// Returns the functions whose first use is reported, as long as that is necessary.
    pub(crate) fn expected_first_uses(&self) -> Option<&Arc<FirstUses>> {
        self.0.first_uses.as_ref().filter(|uses| uses.are_expected())
    }

    /// Returns the name of the memory that host functions access, if there is one.
    pub(crate) fn memory(&self) -> Option<&'static str> {
        self.0.memory
    }

    /// Returns whether the module is a reactor that has to be initialized, as the [WASI application ABI] defines it.
    ///
    /// [WASI application ABI]: https://github.com/WebAssembly/WASI/blob/main/legacy/application-abi.md
    pub(crate) fn is_reactor(&self) -> bool {
        self.0.is_reactor
    }

    /// Returns whether an instance needs anything from the host.
    pub(crate) fn has_imports(&self) -> bool {
        self.0.has_imports
    }

    pub(crate) fn rewritten(&self) -> &Rewritten {
        &self.0.rewritten
    }
}

fn memory(module: &wasmi::Module) -> Option<&'static str> {
    let is_memory = |name: &&str| matches!(module.get_export(name), Some(wasmi::ExternType::Memory(_)));
    ["memory", rewritten::OWN_MEMORY].into_iter().find(is_memory)
}

fn is_reactor(module: &wasmi::Module) -> bool {
    let function = |name| module.get_export(name).and_then(|export| export.func().cloned());
    let is_empty = |ty: wasmi::FuncType| ty.params().is_empty() && ty.results().is_empty();
    function(INITIALIZE).is_some_and(is_empty) && function("_start").is_none()
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("required_capabilities", &self.required_capabilities())
            .finish()
    }
}
