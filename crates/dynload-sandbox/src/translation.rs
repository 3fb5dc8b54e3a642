//! Translation on first use, within a bound that keeps deadlines.
//!
//! The interpreter can translate a function when it is called first. That happens within a slice of fuel, which translation
//! does not end. So what a slice can translate is bounded:
//!
//! - A module with little code could be translated as a whole.
//! - In a larger module, a function [reports](crate::rewrite) its first use before it runs: the host adds up the costs of
//!   these functions, and checks the deadline and interrupts each time the sum exceeds [`UNCHECKED`]. The smallest functions,
//!   which all together cost no more than a small module, do not report.
//! - Functions of more than [`LARGE_BYTES`] are [translated](translate_large) when the module is loaded. The interpreter has no
//!   function for that, so they are called without fuel.
//! - A module with another function that costs more than [`LARGEST`] is translated as a whole when it is loaded.
//!
//! The unit of cost is a byte of memory that loading the function takes, as [estimated](crate::rewrite): the estimate grows
//! with everything that takes the interpreter time. A byte of code costs 20 to 30, and a unit takes about a nanosecond.

use crate::{
    engine::Translation,
    rewritten::{self, Rewritten},
};
use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wasmi::{Func, Instance, Module, ResumableCall, Store, TrapCode, Val, ValType};

/// The bytes of code that may be translated without a report.
pub(crate) const SMALL_BYTES: usize = 24 << 10;
/// The cost of code that may be translated without a report.
pub(crate) const SMALL: u64 = 3 << 19;
/// The cost after which the deadline is checked.
pub(crate) const UNCHECKED: u64 = 256 << 10;
/// The cost of a function that may be translated on first use.
pub(crate) const LARGEST: u64 = 2 << 20;
/// The bytes of code from which a function is translated at load.
pub(crate) const LARGE_BYTES: usize = 48 << 10;

/// Translates the functions of a module that are too large to be translated in a call. Returns whether that is possible.
///
/// Every function charges at least 1 before its first operator, so without fuel nothing of it runs. The instance for the calls
/// has functions that are never called for its imports; a module that imports something else cannot be instantiated anyway.
pub(crate) fn translate_large(module: &Module, rewritten: &Rewritten) -> bool {
    if rewritten.large == 0 {
        return true;
    }
    let mut store = Store::new(module.engine(), ());
    let mut imports = Vec::new();
    for import in module.imports() {
        let Some(ty) = import.ty().func() else {
            return false;
        };
        let unused = Func::new(&mut store, ty.clone(), |_, _, _| {
            Err(TrapCode::UnreachableCodeReached.into())
        });
        imports.push(unused.into());
    }
    let Ok(instance) = Instance::new(&mut store, module, &imports) else {
        return false;
    };
    (0..rewritten.large).all(|n| {
        let function = instance.get_func(&store, &rewritten::large(n));
        function.is_some_and(|function| translate(&mut store, &function))
    })
}

/// Calls a function without fuel. Returns whether it was translated.
fn translate(store: &mut Store<()>, function: &Func) -> bool {
    let ty = function.ty(&*store);
    let defaults =
        |types: &[ValType]| -> Vec<Val> { types.iter().map(|ty| Val::default_for_ty(*ty)).collect() };
    let (params, mut results) = (defaults(ty.params()), defaults(ty.results()));
    let stopped = function.call_resumable(store, &params, &mut results);
    matches!(stopped, Ok(ResumableCall::OutOfFuel(_)))
}

/// The functions of a module that report their first use.
#[derive(Debug)]
pub(crate) struct FirstUses {
    functions: Box<[Function]>,
    /// The cost of all functions that have not been used.
    left: AtomicUsize,
    /// The cost of functions that may be translated without a report.
    unreported: usize,
}

#[derive(Debug)]
struct Function {
    cost: u32,
    used: AtomicBool,
}

impl FirstUses {
    /// Expects reports of functions with these costs.
    pub(crate) fn new(costs: &[u32], translation: Translation) -> FirstUses {
        let functions = costs.iter().map(|cost| Function {
            cost: *cost,
            used: AtomicBool::new(false),
        });
        FirstUses {
            functions: functions.collect(),
            left: AtomicUsize::new(
                costs
                    .iter()
                    .fold(0, |sum: usize, cost| sum.saturating_add(*cost as usize)),
            ),
            unreported: match translation {
                Translation::OnReportedFirstUse => 0,
                _ => SMALL as usize,
            },
        }
    }

    /// Returns whether functions have to report their first use, because those that were not used are not all small.
    pub(crate) fn are_expected(&self) -> bool {
        self.left.load(Ordering::Relaxed) > self.unreported
    }

    /// Records that an instance used a function, for the first time in this instance. Returns the cost of the function, also
    /// if another instance used it before: that one may just have translated it, while this one waited.
    pub(crate) fn report(&self, function: usize) -> u64 {
        let Some(function) = self.functions.get(function) else {
            return 0;
        };
        if !function.used.swap(true, Ordering::Relaxed) {
            self.left.fetch_sub(function.cost as usize, Ordering::Relaxed);
        }
        function.cost.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_expected_until_the_rest_is_small() {
        let uses = FirstUses::new(&[SMALL as u32, 700_000, 0, 700_000], Translation::OnFirstUse);
        assert!(uses.are_expected());
        assert_eq!(uses.report(1), 700_000);
        // In another instance, whose call may have waited for the translation.
        assert_eq!(uses.report(1), 700_000);
        assert!(uses.are_expected());
        assert_eq!(uses.report(3), 700_000);
        assert!(!uses.are_expected());
        assert_eq!(uses.report(4), 0);
    }
}
