//! Typed handles for functions that are called often.

use crate::{
    call::run,
    call::state::State,
    error::{Error, ErrorKind, Invoked},
    instance::{Instance, exported},
    value::Signature,
};
use alloc::{format, string::String, sync::Arc};
use core::fmt;
use wasmi::{AsContextMut, StoreContextMut, TypedResumableCall};

/// The types that the engine accepts and returns. Other crates cannot implement these traits.
pub(crate) mod sealed {
    #[doc(hidden)]
    pub trait Number: wasmi::WasmTy {}

    #[doc(hidden)]
    pub trait Params {
        type Engine: wasmi::WasmParams;
        fn into_engine(self) -> Self::Engine;
    }

    #[doc(hidden)]
    pub trait Results {
        type Engine: wasmi::WasmResults;
        fn from_engine(results: Self::Engine) -> Self;
    }
}

/// A number in a typed call: `i32`, `u32`, `i64`, `u64`, `f32` or `f64`.
pub trait WasmNumber: sealed::Number {}

/// The parameters of a typed call: `()`, a [`WasmNumber`], or a tuple of up to eight.
pub trait WasmParams: sealed::Params {}

/// The results of a typed call: `()`, a [`WasmNumber`], or a tuple of up to eight.
pub trait WasmResults: sealed::Results {}

macro_rules! values {
    ($ty:ty $(, $number:ident)*) => {
        impl<$($number: WasmNumber),*> sealed::Params for $ty {
            type Engine = $ty;
            #[inline(always)]
            fn into_engine(self) -> $ty {
                self
            }
        }

        impl<$($number: WasmNumber),*> sealed::Results for $ty {
            type Engine = $ty;
            #[inline(always)]
            fn from_engine(results: $ty) -> $ty {
                results
            }
        }

        impl<$($number: WasmNumber),*> WasmParams for $ty {}
        impl<$($number: WasmNumber),*> WasmResults for $ty {}
    };
}

macro_rules! numbers {
    ($($ty:ty)*) => { $(
        impl sealed::Number for $ty {}
        impl WasmNumber for $ty {}
        values!($ty);
    )* };
}

numbers!(i32 u32 i64 u64 f32 f64);
values!(());
values!((A,), A);
values!((A, B), A, B);
values!((A, B, C), A, B, C);
values!((A, B, C, D), A, B, C, D);
values!((A, B, C, D, E), A, B, C, D, E);
values!((A, B, C, D, E, F), A, B, C, D, E, F);
values!((A, B, C, D, E, F, G), A, B, C, D, E, F, G);
values!((A, B, C, D, E, F, G, H), A, B, C, D, E, F, G, H);

/// A handle for an exported function whose type is known at compile time.
///
/// `P` and `R` are `()`, a number, or a tuple of numbers. A call through the handle to the instance that returned it
/// does not look the function up by name, and builds no list of values.
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Engine, Limits, Module, Sandbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new(&Engine::default(), wat::parse_str(
///     "(module (func (export \"add\") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))")?)?;
/// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
/// let add = instance.get_typed_func::<(i64, i64), i64>("add")?;
/// assert_eq!(add.call(&mut instance, (40, 2))?, 42);
/// # Ok(())
/// # }
/// ```
pub struct TypedFunc<P: WasmParams, R: WasmResults> {
    func: Engine<P, R>,
    store_id: usize,
    name: Arc<str>,
}

/// The engine's handle.
type Engine<P, R> = wasmi::TypedFunc<<P as sealed::Params>::Engine, <R as sealed::Results>::Engine>;

impl Instance {
    /// Returns a typed handle for an exported function.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSuchExport`] if there is no exported function of this name.
    /// - [`ErrorKind::SignatureMismatch`] if its type is not that of `P` and `R`.
    pub fn get_typed_func<P: WasmParams, R: WasmResults>(
        &mut self,
        export: &str,
    ) -> Result<TypedFunc<P, R>, Error> {
        let func = resolve::<P, R>(&self.context(), export);
        let func = func.map_err(|kind| match self.poisoned_by() {
            // After a reset that failed, there may be no exports.
            Some(first) if self.store.data().linked.is_none() => ErrorKind::Poisoned(first.clone()),
            _ => kind,
        });
        let func = func.map_err(|kind| {
            let usage = self.usage();
            Error::new(Invoked::Export(export), kind, usage, None)
        })?;
        Ok(TypedFunc {
            func,
            store_id: self.store_id(),
            name: export.into(),
        })
    }
}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    /// Calls the function in `instance`.
    ///
    /// The fast path works with the instance that returned the handle. After a reset, or with another instance, each
    /// call looks the export up by name and checks its type.
    ///
    /// # Errors
    ///
    /// As [`Instance::call`].
    pub fn call(&self, instance: &mut Instance, params: P) -> Result<R, Error> {
        instance.enter(Invoked::Export(&self.name))?;
        let result = if instance.store_id() == self.store_id {
            run_typed(instance.context(), &self.func, params.into_engine())
        } else {
            resolve::<P, R>(&instance.context(), &self.name)
                .and_then(|func| run_typed(instance.context(), &func, params.into_engine()))
        };
        instance.leave(Invoked::Export(&self.name), result.map(R::from_engine))
    }
}

fn resolve<P: WasmParams, R: WasmResults>(
    ctx: &StoreContextMut<'_, State>,
    export: &str,
) -> Result<Engine<P, R>, ErrorKind> {
    let func = exported(ctx, export)?;
    func.typed(ctx).map_err(|_| ErrorKind::SignatureMismatch {
        found: Signature::from_engine(&func.ty(ctx)),
        expected: type_names::<P, R>(),
    })
}

fn type_names<P, R>() -> String {
    format!(
        "{} -> {}",
        core::any::type_name::<P>(),
        core::any::type_name::<R>()
    )
}

#[inline]
pub(crate) fn run_typed<P: wasmi::WasmParams, R: wasmi::WasmResults>(
    mut ctx: StoreContextMut<'_, State>,
    func: &wasmi::TypedFunc<P, R>,
    params: P,
) -> Result<R, ErrorKind> {
    match func.call_resumable(ctx.as_context_mut(), params) {
        Ok(TypedResumableCall::Finished(results)) => Ok(results),
        call => resume_to_end(ctx, call),
    }
}

/// Runs the rest of a call that did not end within its first slice.
///
/// A separate function: its suspended-call state is large, and most calls should not have to move it.
#[inline(never)]
fn resume_to_end<R: wasmi::WasmResults>(
    mut ctx: StoreContextMut<'_, State>,
    mut call: Result<TypedResumableCall<R>, wasmi::Error>,
) -> Result<R, ErrorKind> {
    loop {
        match call {
            Ok(TypedResumableCall::Finished(results)) => return Ok(results),
            Ok(TypedResumableCall::HostTrap(trap)) if run::is_pause(trap.host_error()) => {
                call = trap.resume(ctx.as_context_mut(), &[]);
            }
            Ok(TypedResumableCall::HostTrap(trap)) => return Err(run::stopped(trap.host_error())),
            Ok(TypedResumableCall::OutOfFuel(pending)) => {
                run::next_slice(&mut ctx, pending.required_fuel(), true)?;
                call = pending.resume(ctx.as_context_mut());
            }
            Err(error) => return Err(run::classify(&ctx, error)),
        }
    }
}

impl<P: WasmParams, R: WasmResults> Clone for TypedFunc<P, R> {
    fn clone(&self) -> TypedFunc<P, R> {
        TypedFunc {
            func: self.func,
            store_id: self.store_id,
            name: self.name.clone(),
        }
    }
}

impl<P: WasmParams, R: WasmResults> fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedFunc({} as {})", self.name, type_names::<P, R>())
    }
}
