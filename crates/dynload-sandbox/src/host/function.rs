//! Host functions of the embedder.

use crate::{
    call::state::State,
    error::{ErrorKind, Stop},
    host::Caller,
    value::{Signature, ValType, Value},
};
use alloc::{format, sync::Arc, vec, vec::Vec};
use dynload_caps::Capabilities;
use wasmi::{Func, Store, Val};

/// How the engine passes arguments and results. Other crates cannot implement these traits.
pub(crate) mod sealed {
    use wasmi::{Caller, Error, Func, Store};

    #[doc(hidden)]
    pub trait Args: Sized {
        /// Creates a function with these arguments in a store.
        fn wrap<T: 'static, R: Results>(
            store: &mut Store<T>,
            body: impl Fn(Caller<'_, T>, Self) -> Result<R::Engine, Error> + Send + Sync + 'static,
        ) -> Func;
    }

    #[doc(hidden)]
    pub trait Results: Sized {
        type Engine: wasmi::WasmTyList;
        fn into_engine(self) -> Self::Engine;
    }
}

/// The arguments of a host function: a tuple of up to eight of `i32`, `i64`, `f32`, `f64`, `u32`, `u64`.
pub trait HostArgs: sealed::Args {
    /// Returns their types.
    fn types() -> Vec<ValType>;
}

/// The results of a host function: `()`, one number, or a tuple of them.
pub trait HostResults: sealed::Results {
    /// Returns their types.
    fn types() -> Vec<ValType>;
}

/// What a host function returns to the interpreter.
struct Returned<R>(Result<R, wasmi::Error>);

impl<R: wasmi::WasmTyList> wasmi::WasmRet for Returned<R> {
    type Ok = R;

    #[inline]
    fn into_fallible(self) -> Result<R, wasmi::Error> {
        self.0
    }
}

/// A number type that crosses the host-guest boundary.
trait Number: wasmi::WasmTy {
    const TYPE: ValType;
}

macro_rules! number {
    ($($ty:ty => $variant:ident),*) => { $(
        impl Number for $ty {
            const TYPE: ValType = ValType::$variant;
        }

        impl HostResults for $ty {
            fn types() -> Vec<ValType> {
                vec![<$ty>::TYPE]
            }
        }

        impl sealed::Results for $ty {
            type Engine = ($ty,);
            fn into_engine(self) -> ($ty,) {
                (self,)
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
        }

        #[allow(non_snake_case)]
        impl<$($name: Number),*> sealed::Args for ($($name,)*) {
            fn wrap<T: 'static, R: sealed::Results>(
                store: &mut Store<T>,
                body: impl Fn(wasmi::Caller<'_, T>, Self) -> Result<R::Engine, wasmi::Error> + Send + Sync + 'static,
            ) -> Func {
                Func::wrap(store, move |caller: wasmi::Caller<'_, T>, $($name: $name),*| {
                    Returned(body(caller, ($($name,)*)))
                })
            }
        }

        #[allow(private_bounds)]
        impl<$($name: Number),*> HostResults for ($($name,)*) {
            fn types() -> Vec<ValType> {
                vec![$($name::TYPE),*]
            }
        }

        impl<$($name: Number),*> sealed::Results for ($($name,)*) {
            type Engine = Self;
            fn into_engine(self) -> Self {
                self
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

/// The body of a host function with untyped arguments and results.
pub(crate) type UntypedBody =
    dyn Fn(&mut Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static;

/// A host function of the embedder.
#[derive(Clone)]
pub(crate) struct HostFunction {
    pub(crate) import: Arc<Import>,
    pub(crate) signature: Signature,
    pub(crate) body: Body,
}

/// The name of a host function, and what a guest needs to call it.
#[derive(Clone)]
pub(crate) struct Import {
    pub(crate) module: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) capability: Capabilities,
}

/// Creates a function in a store.
type Define = dyn Fn(&mut Store<State>) -> Func + Send + Sync;

/// What a host function does.
#[derive(Clone)]
pub(crate) enum Body {
    /// Its types are part of the body.
    Typed(Arc<Define>),
    Untyped(Arc<UntypedBody>),
}

impl Body {
    /// A body whose types are known at compile time: the interpreter passes the values without lists.
    pub(crate) fn typed<A: HostArgs, R: HostResults>(
        import: Import,
        body: impl Fn(&mut Caller<'_>, A) -> Result<R, Stop> + Send + Sync + 'static,
    ) -> Body {
        // Together, because all instances share the count of references.
        let function = Arc::new((import, body));
        Body::Typed(Arc::new(move |store| {
            let function = function.clone();
            A::wrap::<State, R>(store, move |caller, args| {
                let (import, body) = &*function;
                let result = import.call(caller, |caller| body(caller, args));
                result.map(R::into_engine)
            })
        }))
    }
}

impl core::fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Import { module, name, .. } = &*self.import;
        write!(f, "{module}.{name} {}", self.signature)
    }
}

impl HostFunction {
    /// Creates the function in a store.
    pub(crate) fn define(&self, store: &mut Store<State>) -> Func {
        match &self.body {
            Body::Typed(define) => define(store),
            Body::Untyped(body) => self.define_untyped(body.clone(), store),
        }
    }

    fn define_untyped(&self, body: Arc<UntypedBody>, store: &mut Store<State>) -> Func {
        let engine = |types: &[ValType]| -> Vec<wasmi::ValType> {
            types.iter().copied().map(ValType::into_engine).collect()
        };
        let ty = wasmi::FuncType::new(engine(&self.signature.params), engine(&self.signature.results));
        let import = self.import.clone();
        let types = self.signature.results.clone();
        Func::new(store, ty, move |caller, params, results| {
            import.call(caller, |caller| {
                with_values(params.len(), |args| {
                    // `HostFunctions` accepts signatures of numbers only, so every element is overwritten.
                    for (arg, param) in args.iter_mut().zip(params) {
                        *arg = Value::from_engine(param).unwrap_or(*arg);
                    }
                    with_values(results.len(), |given| {
                        for (value, ty) in given.iter_mut().zip(&types) {
                            *value = Value::zero(*ty).unwrap_or(*value);
                        }
                        body(caller, args, given)?;
                        import.write(results, given, &types)
                    })
                })
            })
        })
    }
}

impl Import {
    pub(crate) fn new(module: &str, name: &str, capability: Capabilities) -> Import {
        Import {
            module: module.into(),
            name: name.into(),
            capability,
        }
    }

    /// Charges for a call, checks what the guest needs, and calls the body.
    #[inline(always)]
    fn call<R>(
        &self,
        caller: wasmi::Caller<'_, State>,
        body: impl FnOnce(&mut Caller<'_>) -> Result<R, Stop>,
    ) -> Result<R, wasmi::Error> {
        let mut caller = match Caller::enter(caller) {
            Ok(caller) => caller,
            Err(stop) => return Err(stop.halt()),
        };
        if !caller.capabilities().has(self.capability) {
            return Err(self.denied());
        }
        let result = match self.catch(&mut caller, body) {
            // The body may have taken longer than its fuel indicates.
            Ok(result) => caller.glance().map(|()| result),
            Err(stop) => Err(stop.unless_call_has_ended(&mut caller)),
        };
        result.map_err(Stop::halt)
    }

    #[cold]
    fn denied(&self) -> wasmi::Error {
        let stop = Stop(ErrorKind::CapabilityDenied {
            capability: self.capability,
            import: [&*self.module, ".", &*self.name].concat(),
        });
        stop.halt()
    }

    /// Calls the body. A panic must not unwind through the interpreter, which would end the process: it is caught
    /// here and resumes where the guest was called.
    #[cfg(feature = "std")]
    #[inline(always)]
    fn catch<R>(
        &self,
        caller: &mut Caller<'_>,
        body: impl FnOnce(&mut Caller<'_>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let called = std::panic::AssertUnwindSafe(|| body(caller));
        match std::panic::catch_unwind(called) {
            Ok(result) => result,
            Err(panic) => {
                caller.state().panic = Some(std::boxed::Box::new(panic.into()));
                Err(Stop::host(format!("`{}` panicked", self.name)))
            }
        }
    }

    #[cfg(not(feature = "std"))]
    fn catch<R>(
        &self,
        caller: &mut Caller<'_>,
        body: impl FnOnce(&mut Caller<'_>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        body(caller)
    }

    /// Writes the results of an untyped body, and checks their types.
    fn write(&self, results: &mut [Val], given: &[Value], types: &[ValType]) -> Result<(), Stop> {
        for ((result, value), ty) in results.iter_mut().zip(given).zip(types) {
            if value.ty() != *ty {
                let (name, given) = (&self.name, value.ty());
                return Err(Stop::host(format!(
                    "`{name}` returned a result of type {given}, but its signature requires {ty}"
                )));
            }
            *result = value.into_engine();
        }
        Ok(())
    }
}

impl Stop {
    /// Returns why the call ends after a body failed. The body's error may come from an inner call that ended with this call's
    /// deadline or interrupt; then that is the error.
    #[cold]
    fn unless_call_has_ended(self, caller: &mut Caller<'_>) -> Stop {
        match self {
            Stop(ErrorKind::Host(cause)) => match caller.check() {
                Ok(()) => Stop(ErrorKind::Host(cause)),
                Err(ended) => ended,
            },
            stop => stop,
        }
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
