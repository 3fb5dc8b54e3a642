//! The `vais` imports: console, time and random numbers for guests without WASI.
//!
//! None of them can return an errno, so a call without the capability ends the guest's call with
//! [`ErrorKind::CapabilityDenied`](crate::ErrorKind::CapabilityDenied). They do not need `std`.

use crate::{
    call::state::State,
    error::{Stop, Trap},
    host::{Caller, Stream},
};
use alloc::vec::Vec;
use core::time::Duration;
use dynload_caps::Capabilities;
use wasmi::{Func, Store};

/// Creates the function of that name in a store, if there is one.
pub(crate) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    type Host<'a> = wasmi::Caller<'a, State>;
    type Done<R> = Result<R, wasmi::Error>;
    Some(match name {
        "print" => Func::wrap(store, |host: Host<'_>, ptr: i32, len: i32| -> Done<()> {
            print(host, "vais.print", Stream::Out, "", (ptr, len), "").map_err(Stop::halt)
        }),
        "println" => Func::wrap(store, |host: Host<'_>, ptr: i32, len: i32| -> Done<()> {
            print(host, "vais.println", Stream::Out, "", (ptr, len), "\n").map_err(Stop::halt)
        }),
        "log" => Func::wrap(
            store,
            |host: Host<'_>, level: i32, ptr: i32, len: i32| -> Done<()> {
                print(host, "vais.log", Stream::Err, level_name(level), (ptr, len), "\n").map_err(Stop::halt)
            },
        ),
        "now_ms" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            now_ms(host).map_err(Stop::halt)
        }),
        "sleep_ms" => Func::wrap(store, |host: Host<'_>, ms: i64| -> Done<()> {
            sleep_ms(host, ms).map_err(Stop::halt)
        }),
        "random" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            random(host, "vais.random")
                .map(|number| number as i64)
                .map_err(Stop::halt)
        }),
        "random_range" => Func::wrap(store, |host: Host<'_>, min: i64, max: i64| -> Done<i64> {
            random_range(host, min, max).map_err(Stop::halt)
        }),
        _ => return None,
    })
}

/// Returns the prefix of a line of `vais.log`.
fn level_name(level: i32) -> &'static str {
    match level {
        i32::MIN..=0 => "trace: ",
        1 => "debug: ",
        2 => "info: ",
        3 => "warn: ",
        _ => "error: ",
    }
}

/// Writes text of the guest to the console in one write.
fn print(
    host: wasmi::Caller<'_, State>,
    import: &str,
    stream: Stream,
    before: &str,
    (ptr, len): (i32, i32),
    after: &str,
) -> Result<(), Stop> {
    let mut caller = Caller::enter(host)?;
    caller.require(Capabilities::CONSOLE, import)?;
    caller.charge_bytes(u64::from(len as u32))?;
    let (memory, state) = caller.memory_and_state();
    let text = memory.slice(ptr as u32, len as u32)?;
    if state.console().is_full() {
        return Ok(());
    }
    if before.is_empty() && after.is_empty() && !state.config.console.may_block() {
        // The import has no result in which an error of the sink could be reported.
        let _ = state.console().write(stream, text);
        return Ok(());
    }
    // About as long as the guest's text, which is in its memory and so under its memory limit.
    let line: Vec<u8> = [before.as_bytes(), text, after.as_bytes()].concat();
    caller.write_console(stream, &line, &mut 0)
}

/// Returns the milliseconds since 1970 if the guest can read the date, otherwise since some fixed moment.
fn now_ms(host: wasmi::Caller<'_, State>) -> Result<i64, Stop> {
    let mut caller = Caller::enter(host)?;
    caller.require(Capabilities::TIME, "vais.now_ms")?;
    let state = caller.state();
    let (clock, scope) = (state.clock(), state.config.clock_scope);
    let now = scope.wall(clock).unwrap_or_else(|| scope.monotonic(clock));
    Ok(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// Sleeps; a negative time counts as zero. Revoking TIME ends the call.
fn sleep_ms(host: wasmi::Caller<'_, State>, ms: i64) -> Result<(), Stop> {
    let mut caller = Caller::enter(host)?;
    let duration = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    caller.require(Capabilities::TIME, "vais.sleep_ms")?;
    caller.wait(duration, |caller| !caller.capabilities().has(Capabilities::TIME))?;
    caller.require(Capabilities::TIME, "vais.sleep_ms")
}

fn random(host: wasmi::Caller<'_, State>, import: &str) -> Result<u64, Stop> {
    let mut caller = Caller::enter(host)?;
    caller.require(Capabilities::RANDOM, import)?;
    draw(&mut caller)
}

fn draw(caller: &mut Caller<'_>) -> Result<u64, Stop> {
    let mut bytes = [0; 8];
    caller.random(&mut bytes).map_err(Stop::host)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Returns a uniformly distributed number in `min..max`. Traps if the range is empty.
fn random_range(host: wasmi::Caller<'_, State>, min: i64, max: i64) -> Result<i64, Stop> {
    let mut caller = Caller::enter(host)?;
    caller.require(Capabilities::RANDOM, "vais.random_range")?;
    if min >= max {
        return Err(Stop::trap(Trap::Unreachable));
    }
    let span = max.wrapping_sub(min) as u64;
    // Numbers at the top that would make some results more likely are drawn again.
    let unbiased = u64::MAX - u64::MAX % span;
    loop {
        let number = draw(&mut caller)?;
        if number < unbiased {
            return Ok(min.wrapping_add((number % span) as i64));
        }
    }
}
