//! The host function that a function calls before it runs for the first time in an instance.

use crate::{call::state::State, error::Stop, translation::FirstUses};
use alloc::sync::Arc;
use wasmi::{Func, Store};

/// Creates the function that rewritten code calls with the index of a function that was translated for this call, or may have
/// been.
pub(crate) fn define(store: &mut Store<State>, uses: Arc<FirstUses>) -> Func {
    Func::wrap(
        store,
        move |mut host: wasmi::Caller<'_, State>, function: i64, _: i64| -> Result<(), wasmi::Error> {
            let cost = uses.report(function as usize);
            let checked = host.data_mut().add_translated(cost);
            checked.map_err(|kind| Stop(kind).halt())
        },
    )
}
