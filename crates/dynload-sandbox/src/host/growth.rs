//! The host function that runs before a memory or a table grows.

use crate::{
    call::run,
    call::state::State,
    error::{Pause, Stop},
    schedule,
};
use wasmi::{AsContextMut, Func, Store};

/// Creates the function that rewritten code calls before `memory.grow` and `table.grow`, with the number of requested
/// table elements and the number that there is room for.
///
/// - The interpreter charges for a growing table, but cannot resume a `table.grow` that ran out of fuel. So this
///   function ensures that the slice has enough fuel.
/// - Where the interpreter dispatches by tail calls, its handlers of these two operators do not, and each execution
///   leaves a frame on the native stack. The pause unwinds all of them.
/// - Fuel does not measure how long the system takes to grow a memory. So this function checks the deadline.
pub(crate) fn define(store: &mut Store<State>) -> Func {
    Func::wrap(
        store,
        |mut host: wasmi::Caller<'_, State>, requested: i64, room: i64| -> Result<(), wasmi::Error> {
            let bytes = (requested as u64).saturating_mul(crate::metering::memory_meter::ELEMENT_BYTES);
            // Without this reservation a worker could take the memory before the table grows, and the fuel would be
            // left over.
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
