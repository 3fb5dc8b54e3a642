//! Calls in which every number is an `i64`, as C and Vais callers pass it.

use crate::{
    call::run,
    call::state::State,
    error::ErrorKind,
    instance::last_callee::{self, INLINE, LastCallee},
    value::Signature,
};
use alloc::{format, vec::Vec};
use wasmi::{AsContextMut, Func, StoreContextMut, Val, ValType};

/// See [`Instance::call_i64`](crate::Instance::call_i64).
pub(crate) fn call(
    mut ctx: StoreContextMut<'_, State>,
    last: &mut LastCallee,
    export: &str,
    args: &[i64],
) -> Result<i64, ErrorKind> {
    let callee = last.get(&ctx, export)?;
    if let Some(result) = callee.call_integers(ctx.as_context_mut(), args) {
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
        ValType::I32 => last_callee::to_i32(arg).map(Val::I32),
        _ => None,
    }
}
