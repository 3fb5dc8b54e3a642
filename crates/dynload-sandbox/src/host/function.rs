//! Host functions of the embedder.

use crate::{
    call::state::State,
    error::{ErrorKind, Stop},
    host::Caller,
    value::{Signature, ValType, Value},
};
use alloc::{format, sync::Arc, vec, vec::Vec};
use dynload_caps::Capabilities;
use wasmi::Val;

/// The arguments of a host function: a tuple of up to eight of `i32`, `i64`, `f32`, `f64`.
pub trait HostArgs: Sized {
    /// Returns their types.
    fn types() -> Vec<ValType>;
    /// Reads them. The types were checked when the function was linked.
    #[doc(hidden)]
    fn read(args: &[Value]) -> Option<Self>;
}

/// The results of a host function: `()`, one number, or a tuple of them.
pub trait HostResults {
    /// Returns their types.
    fn types() -> Vec<ValType>;
    /// Writes them.
    #[doc(hidden)]
    fn write(self, results: &mut [Value]);
}

/// A number type that crosses the host-guest boundary.
trait Number: Copy + Into<Value> + TryFrom<Value> {
    const TYPE: ValType;
}

macro_rules! number {
    ($($ty:ty => $variant:ident),*) => { $(
        impl Number for $ty {
            const TYPE: ValType = ValType::$variant;
        }

        impl HostResults for $ty {
            fn types() -> Vec<ValType> {
                vec![ValType::$variant]
            }
            fn write(self, results: &mut [Value]) {
                results[0] = self.into();
            }
        }
    )* };
}
number!(i32 => I32, i64 => I64, f32 => F32, f64 => F64, u32 => I32, u64 => I64);

macro_rules! tuple {
    ($($name:ident)*) => {
        #[allow(private_bounds)]
        impl<$($name: Number),*> HostArgs for ($($name,)*) {
            fn types() -> Vec<ValType> {
                vec![$($name::TYPE),*]
            }
            fn read(args: &[Value]) -> Option<Self> {
                let mut args = args.iter().copied();
                let _ = &mut args;
                Some(($($name::try_from(args.next()?).ok()?,)*))
            }
        }

        #[allow(private_bounds, non_snake_case)]
        impl<$($name: Number),*> HostResults for ($($name,)*) {
            fn types() -> Vec<ValType> {
                vec![$($name::TYPE),*]
            }
            fn write(self, results: &mut [Value]) {
                let ($($name,)*) = self;
                let values: &[Value] = &[$($name.into()),*];
                results.copy_from_slice(values);
            }
        }
    };
}
tuple!();
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);

/// The body of a host function, with untyped arguments and results.
pub(crate) type Body =
    dyn Fn(&mut Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static;

/// A host function of the embedder.
#[derive(Clone)]
pub(crate) struct HostFunction {
    pub(crate) module: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) capability: Capabilities,
    pub(crate) signature: Signature,
    pub(crate) body: Arc<Body>,
}

impl core::fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{} {}", self.module, self.name, self.signature)
    }
}

impl HostFunction {
    /// Creates the function in a store.
    pub(crate) fn define(&self, store: &mut wasmi::Store<State>) -> wasmi::Func {
        let engine = |types: &[ValType]| -> Vec<wasmi::ValType> {
            types.iter().copied().map(ValType::into_engine).collect()
        };
        let ty = wasmi::FuncType::new(engine(&self.signature.params), engine(&self.signature.results));
        let function = self.clone();
        wasmi::Func::new(store, ty, move |caller, params, results| {
            Caller::enter(caller)
                .and_then(|mut caller| function.run(&mut caller, params, results))
                .map_err(Stop::halt)
        })
    }

    fn run(&self, caller: &mut Caller<'_>, params: &[Val], results: &mut [Val]) -> Result<(), Stop> {
        if !caller.capabilities().has(self.capability) {
            return Err(Stop(ErrorKind::CapabilityDenied {
                capability: self.capability,
                import: [&*self.module, ".", &*self.name].concat(),
            }));
        }
        with_values(params.len(), |args| {
            // `HostFunctions` accepts signatures of numbers only, so every element is overwritten.
            for (arg, param) in args.iter_mut().zip(params) {
                *arg = Value::from_engine(param).unwrap_or(*arg);
            }
            with_values(results.len(), |given| {
                for (value, ty) in given.iter_mut().zip(&self.signature.results) {
                    *value = Value::zero(*ty).unwrap_or(*value);
                }
                match self.call(caller, args, given) {
                    // The body may have taken longer than its fuel indicates.
                    Ok(()) => caller.glance()?,
                    // It may come from an inner call that ended with this call's deadline or interrupt; then that is
                    // the error.
                    Err(Stop(ErrorKind::Host(cause))) => {
                        caller.check()?;
                        return Err(Stop(ErrorKind::Host(cause)));
                    }
                    Err(stop) => return Err(stop),
                }
                for ((result, value), ty) in results.iter_mut().zip(given).zip(&self.signature.results) {
                    if value.ty() != *ty {
                        let (name, given) = (&self.name, value.ty());
                        return Err(Stop::host(format!(
                            "`{name}` returned a result of type {given}, but its signature requires {ty}"
                        )));
                    }
                    *result = value.into_engine();
                }
                Ok(())
            })
        })
    }
}

impl HostFunction {
    /// Calls the body. A panic must not unwind through the interpreter, which would end the process: it is caught
    /// here and resumes where the guest was called.
    #[cfg(feature = "std")]
    fn call(&self, caller: &mut Caller<'_>, args: &[Value], given: &mut [Value]) -> Result<(), Stop> {
        let called = std::panic::AssertUnwindSafe(|| (self.body)(caller, args, given));
        std::panic::catch_unwind(called).unwrap_or_else(|panic| {
            caller.state().panic = Some(panic.into());
            Err(Stop::host(format!("`{}` panicked", self.name)))
        })
    }

    #[cfg(not(feature = "std"))]
    fn call(&self, caller: &mut Caller<'_>, args: &[Value], given: &mut [Value]) -> Result<(), Stop> {
        (self.body)(caller, args, given)
    }
}

/// Calls `f` with a slice of `count` values, on the heap only if there are many.
fn with_values<R>(count: usize, f: impl FnOnce(&mut [Value]) -> R) -> R {
    const FEW: usize = 8;
    let mut few = [Value::I32(0); FEW];
    match few.get_mut(..count) {
        Some(values) => f(values),
        None => f(&mut vec![Value::I32(0); count]),
    }
}
