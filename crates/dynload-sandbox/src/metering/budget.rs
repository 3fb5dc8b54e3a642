//! Fuel budgets that several calls share.

use crate::sync::Ordering;
use alloc::sync::Arc;

/// A counter of fuel that threads share. A target without 64-bit atomics uses smaller ones, whose maximum is then the largest
/// budget.
#[cfg(target_has_atomic = "64")]
mod counter {
    pub(super) use crate::sync::AtomicU64 as Counter;
    pub(super) type Units = u64;
}
#[cfg(not(target_has_atomic = "64"))]
mod counter {
    pub(super) use crate::sync::AtomicUsize as Counter;
    pub(super) type Units = usize;
}
use counter::{Counter, Units};

#[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)]
fn units(fuel: u64) -> Units {
    Units::try_from(fuel).unwrap_or(Units::MAX)
}

/// A budget of fuel that any number of calls, instances and threads share.
///
/// A call draws one slice at a time and returns what it did not burn, so the remaining fuel is exact when no call runs.
///
/// A call that finds the budget empty waits while other calls still hold unburnt slices. It fails if the fuel turns out
/// to be burnt, or at its own deadline.
///
/// Do not share a budget between an instance and one that its host functions call: the outer call holds its slice while
/// the inner call runs, so the inner call may wait for that slice until its deadline. A call that
/// [waits](crate::Caller::wait) holds no slice.
///
/// # Examples
///
/// Four threads with an instance each draw on one budget:
///
/// ```
/// use dynload_sandbox::{Engine, FuelBudget, Limit, Limits, Module, Sandbox};
/// use std::thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new(&Engine::default(), wat::parse_str("(module (func (export \"nothing\")))")?)?;
/// let budget = FuelBudget::new(100);
/// let sandbox = Sandbox::new(Limits::DEFAULT).with_fuel_budget(budget.clone());
///
/// thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut instance = sandbox.instantiate(&module).unwrap();
///             for _ in 0..25 {
///                 instance.call("nothing", &[]).unwrap(); // burns 1: entering the function
///             }
///         });
///     }
/// });
/// assert_eq!(budget.remaining(), 0);
///
/// let error = sandbox.instantiate(&module)?.call("nothing", &[]).unwrap_err();
/// assert_eq!(error.limit(), Some(Limit::FuelBudget));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FuelBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: u64,
    left: Counter,
    /// Burnt for good. It only grows, so a call that finds too little left can tell from it alone whether the rest is lent.
    burnt: Counter,
    /// Set in the budget of one call and its workers: the budget, if any, from which all fuel is drawn as well.
    of_call: Option<Option<FuelBudget>>,
}

/// Why a budget cannot provide the required fuel.
pub(crate) enum DrawError {
    /// Other calls hold fuel that they may return.
    Lent,
    /// The fuel is burnt.
    Burnt,
}

#[allow(clippy::unnecessary_cast, reason = "`Units` is not `u64` everywhere")]
impl FuelBudget {
    /// Creates a budget of `fuel`.
    #[must_use]
    pub fn new(fuel: u64) -> FuelBudget {
        FuelBudget::with(fuel, None)
    }

    fn with(fuel: u64, of_call: Option<Option<FuelBudget>>) -> FuelBudget {
        let left = units(fuel);
        FuelBudget(Arc::new(Inner {
            total: left as u64,
            left: Counter::new(left),
            burnt: Counter::new(0),
            of_call,
        }))
    }

    /// Creates the budget of one call and its workers, on top of the budget that the call draws on.
    #[cfg(feature = "std")]
    pub(crate) fn of_call(fuel: u64, budget: Option<FuelBudget>) -> FuelBudget {
        FuelBudget::with(fuel, Some(budget))
    }

    /// Returns whether this is the budget of one call and its workers.
    #[cfg(feature = "std")]
    pub(crate) fn is_of_call(&self) -> bool {
        self.0.of_call.is_some()
    }

    /// Returns the budget itself, or, if it is the budget of a call, the one under it.
    pub(crate) fn without_call(self) -> Option<FuelBudget> {
        match &self.0.of_call {
            Some(budget) => budget.clone(),
            None => Some(self),
        }
    }

    /// Returns whether this is the budget of a call that ran dry, rather than the budget under it.
    pub(crate) fn is_exhausted_by_call(&self) -> bool {
        match &self.0.of_call {
            Some(Some(budget)) => self.remaining() <= budget.remaining(),
            Some(None) => true,
            None => false,
        }
    }

    /// Returns the initial fuel of the budget.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// Returns the fuel that is neither burnt nor drawn by a running call.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.left.load(Ordering::SeqCst) as u64
    }

    /// Draws at least `required` and at most `wanted`.
    pub(crate) fn draw(&self, required: u64, wanted: u64) -> Result<u64, DrawError> {
        let own = self.draw_own(required, wanted)?;
        let Some(Some(under)) = &self.0.of_call else {
            return Ok(own);
        };
        let drawn = under.draw(required, own);
        let kept = *drawn.as_ref().unwrap_or(&0);
        self.settle_own(own - kept, own - kept);
        drawn
    }

    fn draw_own(&self, required: u64, wanted: u64) -> Result<u64, DrawError> {
        let (required, wanted) = (units(required), units(wanted));
        let mut drawn = 0;
        let taken = self
            .0
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                drawn = wanted.min(left);
                (drawn >= required).then(|| left - drawn)
            });
        if taken.is_ok() {
            return Ok(drawn as u64);
        }
        // No more than the total is ever burnt.
        let unburnt = units(self.0.total) - self.0.burnt.load(Ordering::SeqCst);
        Err(if unburnt < required {
            DrawError::Burnt
        } else {
            DrawError::Lent
        })
    }

    /// Ends a loan of `drawn`, of which `unburnt` is returned.
    pub(crate) fn settle(&self, drawn: u64, unburnt: u64) {
        self.settle_own(drawn, unburnt);
        if let Some(Some(under)) = &self.0.of_call {
            under.settle(drawn, unburnt);
        }
    }

    fn settle_own(&self, drawn: u64, unburnt: u64) {
        self.0.burnt.fetch_add(units(drawn - unburnt), Ordering::SeqCst);
        self.0.left.fetch_add(units(unburnt), Ordering::SeqCst);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// Fuel that another call holds and returns is never reported as burnt.
    #[test]
    fn lent_fuel_is_not_burnt() {
        loom::model(|| {
            let budget = FuelBudget::new(2);
            let lender = budget.clone();
            let other = thread::spawn(move || {
                if let Ok(drawn) = lender.draw(1, 2) {
                    lender.settle(drawn, drawn);
                }
            });
            match budget.draw(1, 1) {
                Ok(drawn) => budget.settle(drawn, drawn),
                Err(dry) => assert!(matches!(dry, DrawError::Lent)),
            }
            other.join().unwrap();
            assert_eq!(budget.remaining(), 2);
        });
    }

    /// In any order, calls burn the budget and no more, and fuel that is reported as burnt is burnt.
    #[test]
    fn two_calls_burn_the_budget_and_no_more() {
        loom::model(|| {
            let budget = FuelBudget::new(3);
            let shared = budget.clone();
            let burn = |budget: &FuelBudget| match budget.draw(2, 2) {
                Ok(drawn) => {
                    budget.settle(drawn, drawn - 2);
                    2
                }
                Err(_) => 0,
            };
            let other = thread::spawn(move || burn(&shared));
            let burnt = burn(&budget) + other.join().unwrap();
            assert_eq!(burnt, 2);
            assert_eq!(budget.remaining(), 1);
            assert!(matches!(budget.draw(2, 2), Err(DrawError::Burnt)));
        });
    }
}
