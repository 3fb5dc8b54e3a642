//! Calls in which every number is an `i64`, as C and Vais callers pass it.

use crate::{
    call::run, call::state::State, error::ErrorKind, instance, instance::typed::run_typed, value::Signature,
};
use alloc::{boxed::Box, format, vec::Vec};
use wasmi::{AsContextMut, Func, StoreContextMut, TypedFunc, Val, ValType};

/// The number of integers that are passed without a list on the heap.
const INLINE: usize = 4;

/// The function that was called last: a caller that calls by name mostly calls the same one again.
#[derive(Debug, Default)]
pub(crate) struct LastCallee(Option<(Box<str>, Callee)>);

macro_rules! callees {
    ($( $long:ident $int:ident ( $($arg:ident $as_long:ident $as_int:ident),* ) )*) => {
        /// A function and how it is called: the most common types without a list of values, which the interpreter would check
        /// one by one.
        #[derive(Debug, Clone, Copy)]
        enum Callee {
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

            /// Calls the function. Returns `None` if the arguments do not fit, or have to be converted one by one.
            fn call(self, ctx: StoreContextMut<'_, State>, args: &[i64]) -> Option<Result<i64, ErrorKind>> {
                match (self, args) {
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

            fn func(self) -> Func {
                match self {
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

impl LastCallee {
    fn get(&mut self, ctx: &StoreContextMut<'_, State>, export: &str) -> Result<Callee, ErrorKind> {
        if let Some((name, callee)) = &self.0
            && **name == *export
        {
            return Ok(*callee);
        }
        let callee = Callee::new(ctx, instance::exported(ctx, export)?);
        self.0 = Some((export.into(), callee));
        Ok(callee)
    }
}

/// See [`Instance::call_i64`](crate::Instance::call_i64).
pub(crate) fn call(
    mut ctx: StoreContextMut<'_, State>,
    last: &mut LastCallee,
    export: &str,
    args: &[i64],
) -> Result<i64, ErrorKind> {
    let callee = last.get(&ctx, export)?;
    if let Some(result) = callee.call(ctx.as_context_mut(), args) {
        return result;
    }
    one_by_one(ctx, callee.func(), args)
}

/// Calls a function of any type, with a list of values.
fn one_by_one(mut ctx: StoreContextMut<'_, State>, func: Func, args: &[i64]) -> Result<i64, ErrorKind> {
    let ty = func.ty(&ctx);
    let mismatch = || ErrorKind::SignatureMismatch {
        found: Signature::from_engine(&ty),
        expected: format!("integers ({args:?}) with at most one integer as the result"),
    };
    if ty.params().len() != args.len() || ty.results().len() > 1 {
        return Err(mismatch());
    }
    let mut inline: [Val; INLINE] = core::array::from_fn(|_| Val::I32(0));
    let mut heap: Vec<Val> = Vec::new();
    let params = match inline.get_mut(..args.len()) {
        Some(params) => params,
        None => {
            heap.resize_with(args.len(), || Val::I32(0));
            &mut heap[..]
        }
    };
    for ((param, arg), ty) in params.iter_mut().zip(args).zip(ty.params()) {
        *param = to_param(*arg, *ty).ok_or_else(mismatch)?;
    }
    let mut result = [Val::I32(0)];
    let results = match ty.results().first() {
        None => &mut result[..0],
        Some(ValType::I32) => &mut result[..],
        Some(ValType::I64) => {
            result[0] = Val::I64(0);
            &mut result[..]
        }
        Some(_) => return Err(mismatch()),
    };
    run::untyped(ctx.as_context_mut(), &func, params, results)?;
    Ok(match results.first() {
        Some(Val::I32(value)) => i64::from(*value),
        Some(Val::I64(value)) => *value,
        _ => 0,
    })
}

fn to_param(arg: i64, ty: ValType) -> Option<Val> {
    match ty {
        ValType::I64 => Some(Val::I64(arg)),
        ValType::I32 => to_i32(arg).map(Val::I32),
        _ => None,
    }
}

/// Accepts 32 bits as signed and as unsigned: -1 and 4 294 967 295 are the same i32.
fn to_i32(arg: i64) -> Option<i32> {
    let signed = i32::try_from(arg).ok();
    signed.or_else(|| u32::try_from(arg).ok().map(|bits| bits as i32))
}
