//! Finds exported functions, and calls them with a list of values.

use crate::{
    call::run,
    call::state::{Linked, State},
    error::ErrorKind,
    rewritten,
    value::{Signature, ValType, Value},
};
use alloc::{string::ToString, vec, vec::Vec};
use wasmi::{AsContext, AsContextMut, StoreContextMut, Val};

/// The number of parameters and results that are passed without a list on the heap.
const FEW: usize = 8;

/// Calls an export, for the host or for a host function. The fuel and the time of the call are already being counted.
pub(crate) fn call_export(
    ctx: StoreContextMut<'_, State>,
    export: &str,
    args: &[Value],
) -> Result<Vec<Value>, ErrorKind> {
    let func = exported(&ctx, export)?;
    call_func(ctx, func, args)
}

/// Calls a function with a list of values.
pub(crate) fn call_func(
    mut ctx: StoreContextMut<'_, State>,
    func: wasmi::Func,
    args: &[Value],
) -> Result<Vec<Value>, ErrorKind> {
    let ty = func.ty(&ctx);
    let types = ty.params().iter().map(|ty| ValType::from_engine(*ty));
    let fits = types.eq(args.iter().map(|value| value.ty()));
    let mut results = ty.results().iter().map(|ty| ValType::from_engine(*ty));
    if !fits || !results.all(|ty| Value::zero(ty).is_some()) {
        let expected = Signature {
            params: args.iter().map(|value| value.ty()).collect(),
            results: Vec::new(),
        };
        let expected = expected.to_string().replace(" -> ()", "");
        return Err(ErrorKind::SignatureMismatch {
            found: Signature::from_engine(&ty),
            expected,
        });
    }
    let mut few = [const { Val::I32(0) }; FEW];
    let mut many;
    let count = args.len() + ty.results().len();
    let values = match few.get_mut(..count) {
        Some(values) => values,
        None => {
            many = vec![Val::I32(0); count];
            &mut many[..]
        }
    };
    let (params, results) = values.split_at_mut(args.len());
    for (param, arg) in params.iter_mut().zip(args) {
        *param = arg.into_engine();
    }
    for (result, ty) in results.iter_mut().zip(ty.results()) {
        *result = Val::default_for_ty(*ty);
    }
    run::untyped(ctx.as_context_mut(), &func, params, results)?;
    Ok(results.iter().filter_map(Value::from_engine).collect())
}

/// Returns the exported function of that name.
pub(crate) fn exported(ctx: &StoreContextMut<'_, State>, export: &str) -> Result<wasmi::Func, ErrorKind> {
    let found = ctx
        .data()
        .linked
        .and_then(|linked| find(ctx.as_context(), linked, export));
    found.ok_or_else(|| {
        let linked = ctx.data().linked;
        let exports = linked
            .iter()
            .flat_map(|linked| linked.instance.exports(ctx.as_context()));
        let functions: Vec<&str> = exports
            .filter(|export| !rewritten::is_hidden(export.name()))
            .filter(|export| matches!(export.ty(ctx.as_context()), wasmi::ExternType::Func(_)))
            .map(|export| export.name())
            .collect();
        let nearest = dynload_diagnostics::nearest_name(export, functions.iter().copied());
        ErrorKind::NoSuchExport {
            nearest: nearest.map(ToString::to_string),
        }
    })
}

/// Returns the type of an exported function.
pub(crate) fn signature(ctx: wasmi::StoreContext<'_, State>, export: &str) -> Option<Signature> {
    let func = find(ctx, ctx.data().linked?, export)?;
    Some(Signature::from_engine(&func.ty(ctx)))
}

fn find(ctx: wasmi::StoreContext<'_, State>, linked: Linked, export: &str) -> Option<wasmi::Func> {
    if rewritten::is_hidden(export) {
        return None;
    }
    linked.instance.get_func(ctx, export)
}
