//! The set of host functions that an embedder provides.

use crate::{
    error::Stop,
    host::{
        Caller, HostArgs, HostFunction, HostResults,
        function::{Body, Import},
    },
    value::{Signature, Value},
};
use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use dynload_caps::Capabilities;

/// A set of host functions, identified by module and name, like `Linker` of Wasmtime and wasmi.
///
/// A clone shares the functions until either of the two changes. Register them once, and pass a clone to each sandbox
/// with [`Sandbox::with_host_functions`](crate::Sandbox::with_host_functions).
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Capabilities, Engine, HostFunctions, Limits, Module, Sandbox, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut functions = HostFunctions::new();
/// functions.func_wrap("env", "double", Capabilities::NONE, |_, (n,): (i64,)| Ok(n.wrapping_mul(2)));
///
/// let module = Module::new(&Engine::default(), wat::parse_str(
///     r#"(module (import "env" "double" (func $double (param i64) (result i64)))
///         (func (export "run") (result i64) (call $double (i64.const 21))))"#)?)?;
/// for _ in 0..3 {
///     let sandbox = Sandbox::new(Limits::DEFAULT).with_host_functions(functions.clone());
///     assert_eq!(sandbox.instantiate(&module)?.call("run", &[])?, [Value::I64(42)]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct HostFunctions {
    /// Sorted by module and name.
    functions: Arc<Vec<HostFunction>>,
}

impl HostFunctions {
    /// Returns an empty set.
    #[must_use]
    pub fn new() -> HostFunctions {
        HostFunctions::default()
    }

    /// Adds `body` as the function `module.name`, replacing any function that the set has under this name.
    ///
    /// The guest needs every capability in `capability`; otherwise the call from the host ends with
    /// [`ErrorKind::CapabilityDenied`](crate::ErrorKind::CapabilityDenied). A function of the embedder takes
    /// precedence over a function of this crate with the same name. If `body` panics, the panic resumes in the host
    /// where it called the guest, and the instance is poisoned. See [`Caller`] for what `body` can do.
    ///
    /// # Grants
    ///
    /// Guests that have `capability` can do whatever `body` does.
    pub fn func_wrap<A, R>(
        &mut self,
        module: &str,
        name: &str,
        capability: Capabilities,
        body: impl Fn(&mut Caller<'_>, A) -> Result<R, Stop> + Send + Sync + 'static,
    ) where
        A: HostArgs,
        R: HostResults,
    {
        let signature = Signature {
            params: A::types(),
            results: R::types(),
        };
        let import = Import::new(module, name, capability);
        let body = Body::typed(import.clone(), body);
        self.insert(import, signature, body);
    }

    /// Adds a function whose type is known only at run time. Otherwise like [`func_wrap`](HostFunctions::func_wrap).
    ///
    /// `body` receives the arguments and the results to fill in, initialized to zero. A result whose type differs
    /// from `signature` ends the call from the host with [`ErrorKind::Host`](crate::ErrorKind::Host).
    ///
    /// # Examples
    ///
    /// Providing whatever a module imports from `env`, as functions that add up their arguments:
    ///
    /// ```
    /// use dynload_sandbox::{Capabilities, Engine, HostFunctions, Limits, Module, Sandbox, Stop, Value};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
    ///     (import "env" "add3" (func $add (param i64 i64 i64) (result i64)))
    ///     (func (export "run") (result i64) (call $add (i64.const 1) (i64.const 2) (i64.const 3))))"#)?)?;
    ///
    /// let mut functions = HostFunctions::new();
    /// for import in module.imports().filter(|import| import.module == "env") {
    ///     let Some(signature) = import.ty.func() else { continue };
    ///     functions.func_new("env", import.name, Capabilities::NONE, signature.clone(), |_, args, results| {
    ///         let mut sum: i64 = 0;
    ///         for arg in args {
    ///             sum = sum.wrapping_add(arg.as_i64().ok_or_else(|| Stop::host("an argument is not an i64"))?);
    ///         }
    ///         // A function without results has an empty slice.
    ///         if let Some(result) = results.first_mut() {
    ///             *result = Value::I64(sum);
    ///         }
    ///         Ok(())
    ///     })?;
    /// }
    ///
    /// let mut instance = Sandbox::new(Limits::DEFAULT).with_host_functions(functions).instantiate(&module)?;
    /// assert_eq!(instance.call("run", &[])?, [Value::I64(6)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnsupportedSignature`] if `signature` is not [callable](Signature::is_callable). The set is unchanged.
    ///
    /// # Grants
    ///
    /// As [`func_wrap`](HostFunctions::func_wrap).
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        capability: Capabilities,
        signature: Signature,
        body: impl Fn(&mut Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Result<(), UnsupportedSignature> {
        if !signature.is_callable() {
            return Err(UnsupportedSignature { signature });
        }
        let body = Body::Untyped(Arc::new(body));
        self.insert(Import::new(module, name, capability), signature, body);
        Ok(())
    }

    fn insert(&mut self, import: Import, signature: Signature, body: Body) {
        let functions = Arc::make_mut(&mut self.functions);
        let position = position(functions, &import.module, &import.name);
        let function = HostFunction {
            import: Arc::new(import),
            signature,
            body,
        };
        match position {
            Ok(at) => functions[at] = function,
            Err(at) => functions.insert(at, function),
        }
    }

    pub(crate) fn find(&self, module: &str, name: &str) -> Option<&HostFunction> {
        let at = position(&self.functions, module, name).ok()?;
        Some(&self.functions[at])
    }
}

/// Returns the position of the function `module.name`, or as an error the position to insert it at.
fn position(functions: &[HostFunction], module: &str, name: &str) -> Result<usize, usize> {
    functions.binary_search_by(|function| {
        let Import {
            module: of, name: is, ..
        } = &*function.import;
        (&**of, &**is).cmp(&(module, name))
    })
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.functions).finish()
    }
}

/// A signature that a host function cannot have: it has non-number types, or more than 1 000 parameters or results.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedSignature {
    /// The signature.
    pub signature: Signature,
}

impl fmt::Display for UnsupportedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Signature { params, results } = &self.signature;
        if self.signature.has_only_numbers() {
            let (params, results) = (params.len(), results.len());
            return write!(
                f,
                "a host function has at most 1000 parameters and 1000 results, not {params} and {results}"
            );
        }
        write!(
            f,
            "a host function accepts and returns i32, i64, f32 and f64 only, not {}",
            self.signature
        )
    }
}

impl core::error::Error for UnsupportedSignature {}

dynload_diagnostics::debug_with_causes!(UnsupportedSignature);
