//! Calls in which every number is an `i64`: what C and Vais callers pass.

use crate::{error::ErrorKind, instance, run, state::State, value::Signature};
use alloc::{format, vec::Vec};
use wasmi::{AsContextMut, StoreContextMut, Val, ValType};

/// Integers that are passed without a list on the heap.
const INLINE: usize = 4;

/// See [`Instance::call_i64`](crate::Instance::call_i64).
pub(crate) fn call(
    mut ctx: StoreContextMut<'_, State>,
    export: &str,
    args: &[i64],
) -> Result<i64, ErrorKind> {
    let func = instance::exported(&ctx, export)?;
    let ty = func.ty(&ctx);
    let mismatch = || ErrorKind::SignatureMismatch {
        found: Signature::from_engine(&ty),
        wanted: format!("integers ({args:?}) with at most one integer as the result"),
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
        // Both readings of 32 bits are taken: -1 and 4 294 967 295 are the same i32.
        ValType::I32 => {
            let signed = i32::try_from(arg).ok();
            signed
                .or_else(|| u32::try_from(arg).ok().map(|bits| bits as i32))
                .map(Val::I32)
        }
        _ => None,
    }
}
