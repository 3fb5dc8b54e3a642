//! The exported function that was called last, and calls of it.

use crate::{
    call::state::State,
    error::ErrorKind,
    instance::{exported, exports::call_func, typed::run_typed},
    value::{ValType, Value},
};
use alloc::{boxed::Box, vec, vec::Vec};
use wasmi::{AsContextMut, Func, StoreContextMut, TypedFunc};

/// The number of integers that are passed without a list on the heap.
pub(crate) const INLINE: usize = 4;

/// The function that was called last: a caller that calls by name mostly calls the same one again.
#[derive(Debug, Default)]
pub(crate) struct LastCallee(Option<(Box<str>, Callee)>);

macro_rules! callees {
    ($( $long:ident $int:ident ( $($arg:ident $as_long:ident $as_int:ident),* ) )*) => {
        /// A function and how it is called: the most common types without a list of values, which the interpreter would check
        /// one by one.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Callee {
            $(
                $long(TypedFunc<($($as_long,)*), i64>),
                $int(TypedFunc<($($as_int,)*), i32>),
            )*
            Other(Func),
        }

        impl Callee {
            fn new(ctx: &StoreContextMut<'_, State>, func: Func) -> Callee {
                $(
                    if let Ok(func) = func.typed(ctx) {
                        return Callee::$long(func);
                    }
                    if let Ok(func) = func.typed(ctx) {
                        return Callee::$int(func);
                    }
                )*
                Callee::Other(func)
            }

            /// Calls the function with integers. Returns `None` if the arguments do not fit, or have to be converted one by
            /// one.
            pub(crate) fn call_integers(&self, ctx: StoreContextMut<'_, State>, args: &[i64]) -> Option<Result<i64, ErrorKind>> {
                match (*self, args) {
                    $(
                        (Callee::$long(func), &[$($arg),*]) => Some(run_typed(ctx, &func, ($($arg,)*))),
                        (Callee::$int(func), &[$($arg),*]) => {
                            $( let $arg = to_i32($arg)?; )*
                            Some(run_typed(ctx, &func, ($($arg,)*)).map(i64::from))
                        }
                    )*
                    _ => None,
                }
            }

            /// Returns the type of all parameters and of the result.
            fn ty(&self) -> Option<ValType> {
                match *self {
                    $(
                        Callee::$long(_) => Some(ValType::I64),
                        Callee::$int(_) => Some(ValType::I32),
                    )*
                    Callee::Other(_) => None,
                }
            }

            pub(crate) fn func(&self) -> Func {
                match *self {
                    $( Callee::$long(func) => *func.func(), Callee::$int(func) => *func.func(), )*
                    Callee::Other(func) => func,
                }
            }
        }
    };
}

callees! {
    Long0 Int0 ()
    Long1 Int1 (a i64 i32)
    Long2 Int2 (a i64 i32, b i64 i32)
    Long3 Int3 (a i64 i32, b i64 i32, c i64 i32)
    Long4 Int4 (a i64 i32, b i64 i32, c i64 i32, d i64 i32)
}

#[cold]
fn find(ctx: &StoreContextMut<'_, State>, export: &str) -> Result<(Box<str>, Callee), ErrorKind> {
    Ok((export.into(), Callee::new(ctx, exported(ctx, export)?)))
}

impl LastCallee {
    #[inline(always)]
    pub(crate) fn get(
        &mut self,
        ctx: &StoreContextMut<'_, State>,
        export: &str,
    ) -> Result<&Callee, ErrorKind> {
        let is_last = self.0.as_ref().is_some_and(|(name, _)| **name == *export);
        if !is_last {
            self.0 = Some(find(ctx, export)?);
        }
        match &self.0 {
            Some((_, callee)) => Ok(callee),
            None => unreachable!("it was found"),
        }
    }
}

/// See [`Instance::call`](crate::Instance::call).
pub(crate) fn call(
    mut ctx: StoreContextMut<'_, State>,
    last: &mut LastCallee,
    export: &str,
    args: &[Value],
) -> Result<Vec<Value>, ErrorKind> {
    let callee = last.get(&ctx, export)?;
    if let Some(result) = callee.call_values(ctx.as_context_mut(), args) {
        return result.map(|value| vec![value]);
    }
    call_func(ctx, callee.func(), args)
}

impl Callee {
    /// Calls the function with values of exactly its types. Returns `None` if they are not, or have to be converted one by one.
    fn call_values(
        &self,
        ctx: StoreContextMut<'_, State>,
        args: &[Value],
    ) -> Option<Result<Value, ErrorKind>> {
        let ty = self.ty()?;
        let mut integers = [0; INLINE];
        for (integer, arg) in integers.get_mut(..args.len())?.iter_mut().zip(args) {
            *integer = match *arg {
                Value::I64(value) if ty == ValType::I64 => value,
                Value::I32(value) if ty == ValType::I32 => value.into(),
                _ => return None,
            };
        }
        let result = self.call_integers(ctx, &integers[..args.len()])?;
        Some(result.map(|result| match ty {
            ValType::I64 => Value::I64(result),
            _ => Value::I32(result as i32),
        }))
    }
}

/// Accepts 32 bits as signed and as unsigned: -1 and 4 294 967 295 are the same i32.
pub(crate) fn to_i32(arg: i64) -> Option<i32> {
    let signed = i32::try_from(arg).ok();
    signed.or_else(|| u32::try_from(arg).ok().map(|bits| bits as i32))
}
