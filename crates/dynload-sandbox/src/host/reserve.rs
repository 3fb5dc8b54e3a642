//! Fuel for a `table.grow`, made sure of before it runs.

use crate::{run, schedule, state::State};
use wasmi::{AsContextMut, Func, Store};

/// The function that rewritten code calls before a `table.grow`, with how many elements it asks for and how many there
/// is room for.
///
/// The interpreter charges for a growth that succeeds, but cannot go on with one that ran out of fuel in between.
pub(crate) fn define(store: &mut Store<State>) -> Func {
    Func::wrap(
        store,
        |mut host: wasmi::Caller<'_, State>, asked: i64, room: i64| -> Result<(), wasmi::Error> {
            let bytes = (asked as u64).saturating_mul(crate::meter::ELEMENT_BYTES);
            let fails = asked as u64 > room as u64 || !host.data().memory.has_room(bytes);
            let fuel = asked as u64 / schedule::ELEMENTS_PER_FUEL;
            while !fails && run::fuel(&host) < fuel {
                run::next_slice(&mut host.as_context_mut(), fuel).map_err(crate::error::Stop)?;
            }
            Ok(())
        },
    )
}
