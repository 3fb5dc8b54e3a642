//! What has to happen before a memory or a table grows.

use crate::{
    call::run,
    call::state::State,
    error::{Pause, Stop},
    schedule,
};
use wasmi::{AsContextMut, Func, Store};

/// The function that rewritten code calls before `memory.grow` and `table.grow`, with how many table elements are asked
/// for and how many there is room for.
///
/// - The interpreter charges for a table that grows, but cannot go on with a `table.grow` that ran out of fuel: the fuel
///   is made sure of here.
/// - Where the interpreter dispatches by tail calls, its handlers of these two do not make one, and each time leave a
///   frame on the native stack. The pause takes all of them away.
/// - How long the system takes to grow a memory no fuel can tell.
pub(crate) fn define(store: &mut Store<State>) -> Func {
    Func::wrap(
        store,
        |mut host: wasmi::Caller<'_, State>, requested: i64, room: i64| -> Result<(), wasmi::Error> {
            let bytes = (requested as u64).saturating_mul(crate::metering::memory_meter::ELEMENT_BYTES);
            // What is not counted now, a worker may take before the table grows, and its fuel be left over.
            let fails = requested as u64 > room as u64 || !host.data_mut().memory.reserve(bytes);
            let fuel = requested as u64 / schedule::ELEMENTS_PER_FUEL;
            while !fails && run::fuel(&host) < fuel {
                run::next_slice(&mut host.as_context_mut(), fuel, false).map_err(|kind| Stop(kind).halt())?;
            }
            host.data_mut().glance().map_err(|kind| Stop(kind).halt())?;
            Err(wasmi::Error::host(Pause))
        },
    )
}
