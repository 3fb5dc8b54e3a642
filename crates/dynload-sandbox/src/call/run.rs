//! Runs a function in slices of fuel, and checks the clock and interrupts in between.

use crate::{
    call::state::State,
    error::{ErrorKind, Halt, Limit, Pause, Stop, Trap},
    metering::{frames::FrameLimits, hidden},
    usage::Usage,
};
use alloc::{boxed::Box, string::ToString, sync::Arc};
use wasmi::{
    AsContext, AsContextMut, Func, ResumableCall, StoreContextMut, TrapCode, Val, errors::InstantiationError,
};

/// Runs `func` to its end. The fuel of the first slice is already in the store.
pub(crate) fn untyped(
    mut ctx: StoreContextMut<'_, State>,
    func: &Func,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), ErrorKind> {
    match func.call_resumable(ctx.as_context_mut(), params, results) {
        Ok(ResumableCall::Finished) => Ok(()),
        call => resume_to_end(ctx, call, results),
    }
}

/// Runs the rest of a call that did not end within its first slice.
#[inline(never)]
fn resume_to_end(
    mut ctx: StoreContextMut<'_, State>,
    mut call: Result<ResumableCall, wasmi::Error>,
    results: &mut [Val],
) -> Result<(), ErrorKind> {
    loop {
        match call {
            Ok(ResumableCall::Finished) => return Ok(()),
            Ok(ResumableCall::HostTrap(trap)) if is_pause(trap.host_error()) => {
                call = trap.resume(ctx.as_context_mut(), &[], results);
            }
            Ok(ResumableCall::HostTrap(trap)) => return Err(stopped(trap.host_error())),
            Ok(ResumableCall::OutOfFuel(pending)) => {
                next_slice(&mut ctx, pending.required_fuel(), true)?;
                call = pending.resume(ctx.as_context_mut(), results);
            }
            Err(error) => return Err(classify(&ctx, error)),
        }
    }
}

/// Ends a slice and grants the next, unless the call has to stop. Code that runs out of fuel is
/// [lent](crate::metering::call_meter::CallMeter::grant) some, a host function is not.
pub(crate) fn next_slice(
    ctx: &mut StoreContextMut<'_, State>,
    required: u64,
    lend: bool,
) -> Result<(), ErrorKind> {
    settle(ctx);
    let state = ctx.data_mut();
    state.look()?;
    let granted = state.meter.grant(required, lend)?;
    set_fuel(ctx, granted);
    Ok(())
}

/// Burns `fuel` for the work of the host, however many slices that takes.
#[inline]
pub(crate) fn charge(ctx: &mut StoreContextMut<'_, State>, fuel: u64) -> Result<(), ErrorKind> {
    let left = self::fuel(&*ctx);
    if left < fuel {
        return charge_more(ctx, fuel);
    }
    set_fuel(ctx, left - fuel);
    Ok(())
}

/// Burns `fuel`, which is more than the slice has.
#[cold]
fn charge_more(ctx: &mut StoreContextMut<'_, State>, fuel: u64) -> Result<(), ErrorKind> {
    let mut left = self::fuel(&*ctx);
    // A slice may be empty: other calls hold the fuel for now.
    while left < fuel {
        next_slice(ctx, fuel, false)?;
        left = self::fuel(&*ctx);
    }
    set_fuel(ctx, left - fuel);
    Ok(())
}

/// Takes back what the running slice did not burn.
pub(crate) fn settle(ctx: &mut StoreContextMut<'_, State>) {
    let left = fuel(&*ctx);
    let refund = take_refund(ctx);
    let state = ctx.data_mut();
    let refund = refund + core::mem::take(&mut state.memory.refund);
    state.meter.settle(left, refund);
    set_fuel(ctx, 0);
}

/// Takes the fuel that the rewritten code was charged since the last settlement although it is not owed, if the module counts
/// such fuel.
fn take_refund(ctx: &mut StoreContextMut<'_, State>) -> u64 {
    let Some(global) = ctx.data().linked.and_then(|linked| linked.hidden.refund) else {
        return 0;
    };
    let refund = hidden::read(ctx.as_context(), global);
    if refund != 0 {
        hidden::write(ctx.as_context_mut(), global, 0);
    }
    refund
}

/// Returns the fuel in the store.
pub(crate) fn fuel(ctx: impl AsContext<Data = State>) -> u64 {
    // Metering is on in every engine of this crate.
    ctx.as_context().get_fuel().unwrap_or(0)
}

/// Sets the fuel in the store.
pub(crate) fn set_fuel(mut ctx: impl AsContextMut<Data = State>, fuel: u64) {
    let set = ctx.as_context_mut().set_fuel(fuel);
    debug_assert!(set.is_ok(), "metering is on in every engine of this crate");
}

/// Returns whether the error is a pause, after which the call continues immediately.
pub(crate) fn is_pause(error: &wasmi::Error) -> bool {
    error.downcast_ref::<Pause>().is_some()
}

/// Returns why a host function ended the call.
pub(crate) fn stopped(error: &wasmi::Error) -> ErrorKind {
    match error.downcast_ref::<Halt>() {
        Some(Halt(Stop(kind))) => kind.clone(),
        // Every host function is called through this crate and stops with a `Stop`.
        None => ErrorKind::Host(Arc::from(Box::<dyn core::error::Error + Send + Sync>::from(
            error.to_string(),
        ))),
    }
}

/// Returns the kind of an error of the interpreter.
pub(crate) fn classify(ctx: impl AsContext<Data = State>, error: wasmi::Error) -> ErrorKind {
    if error.downcast_ref::<Halt>().is_some() {
        return stopped(&error);
    }
    if let wasmi::errors::ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) =
        error.kind()
    {
        // For a data segment that does not fit, the interpreter itself reports a trap.
        return ErrorKind::Trap(Trap::TableOutOfBounds);
    }
    let Some(code) = error.as_trap_code() else {
        return ErrorKind::Engine(Arc::new(error));
    };
    ErrorKind::Trap(match code {
        TrapCode::UnreachableCodeReached => match frame_limit(&ctx) {
            Some(exceeded) => return exceeded,
            None => Trap::Unreachable,
        },
        TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
        TrapCode::IntegerDivisionByZero => Trap::IntegerDivisionByZero,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::BadConversionToInteger => Trap::BadConversionToInteger,
        TrapCode::BadSignature => Trap::BadSignature,
        // The interpreter's own stack is larger than any limit; only a frame of absurd size does not fit.
        TrapCode::StackOverflow => {
            let value = ctx.as_context().data().config.limits.max_stack_bytes;
            return ErrorKind::LimitExceeded {
                limit: Limit::Stack,
                value,
                requested: None,
            };
        }
        _ => return ErrorKind::Engine(Arc::new(error)),
    })
}

/// Returns the frame limit that was exceeded according to the guard bits.
fn frame_limit(ctx: &impl AsContext<Data = State>) -> Option<ErrorKind> {
    let ctx = ctx.as_context();
    let state = ctx.data();
    let global = state.linked?.hidden.frames?;
    let limits = FrameLimits::new(&state.config.limits);
    let (limit, value) = limits.exceeded(hidden::read(ctx, global))?;
    Some(ErrorKind::LimitExceeded {
        limit,
        value,
        requested: None,
    })
}

/// Returns the resources that the running call has used.
pub(crate) fn usage(ctx: &mut StoreContextMut<'_, State>) -> Usage {
    let globals = ctx.data().linked.map(|linked| linked.hidden);
    let limits = FrameLimits::new(&ctx.data().config.limits);
    let peaks = globals.and_then(|globals| globals.peaks).map(|(stack, depth)| {
        let peak = |global| hidden::read(ctx.as_context(), global);
        limits.peaks(peak(stack), peak(depth))
    });
    let left = fuel(ctx.as_context()) + pending_refund(ctx);
    ctx.data_mut().usage(left, peaks)
}

/// Returns the pending refund, and leaves it pending: reading the usage must not change it.
fn pending_refund(ctx: &StoreContextMut<'_, State>) -> u64 {
    let refund = ctx.data().linked.and_then(|linked| linked.hidden.refund);
    refund.map_or(0, |global| hidden::read(ctx.as_context(), global)) + ctx.data().memory.refund
}
