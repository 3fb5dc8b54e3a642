//! Finds exported functions, and calls them with a list of values.

use crate::{
    call::run,
    call::state::{Linked, State},
    error::ErrorKind,
    rewritten,
    value::{Signature, Value},
};
use alloc::{string::ToString, vec::Vec};
use wasmi::{AsContext, AsContextMut, StoreContextMut, Val};

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
    let signature = Signature::from_engine(&ty);
    let fits = signature
        .params
        .iter()
        .copied()
        .eq(args.iter().map(|value| value.ty()));
    if !fits || !signature.is_callable() {
        let expected = Signature {
            params: args.iter().map(|value| value.ty()).collect(),
            results: Vec::new(),
        };
        let expected = expected.to_string().replace(" -> ()", "");
        return Err(ErrorKind::SignatureMismatch {
            found: signature,
            expected,
        });
    }
    let params: Vec<Val> = args.iter().map(|value| value.into_engine()).collect();
    let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    run::untyped(ctx.as_context_mut(), &func, &params, &mut results)?;
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
