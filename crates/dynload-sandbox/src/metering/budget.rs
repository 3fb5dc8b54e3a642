//! Fuel that several calls draw on.

use crate::sync::Ordering;
use alloc::sync::Arc;

/// Fuel that threads share. A target without 64-bit atomics has the next smaller ones, and a budget is then at most what
/// they hold.
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
/// A call draws a slice at a time and gives back what it did not burn, so that when no call runs, what is left is exact.
/// While calls run side by side, one of them may find the budget lent out to the others; it then waits for what they
/// give back and fails only when the fuel is truly burnt, or its own time is up. A call that [waits](crate::Caller::wait)
/// lends nothing out meanwhile; one whose host function calls into another instance of the same budget does, so give that
/// instance a budget of its own.
///
/// ```
/// # use dynload_sandbox::{Engine, FuelBudget, Limits, Module, Sandbox};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new(&Engine::default(), wat::parse_str("(module (func (export \"nothing\")))")?)?;
/// let budget = FuelBudget::new(2);
/// let mut instance = Sandbox::new(Limits::DEFAULT).with_fuel_budget(budget.clone()).instantiate(&module)?;
/// instance.call("nothing", &[])?;
/// instance.call("nothing", &[])?;
/// assert_eq!(budget.remaining(), 0);
/// assert!(instance.call("nothing", &[]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FuelBudget(Arc<Pot>);

#[derive(Debug)]
struct Pot {
    total: u64,
    left: Counter,
    /// Burnt for good. It only grows, so that who finds too little left can tell from it alone whether the rest is lent.
    burnt: Counter,
    /// Set in the budget of one call and its workers: what is drawn from it is drawn from this one as well, if any.
    of_call: Option<Option<FuelBudget>>,
}

/// The budget has nothing to give.
pub(crate) enum Dry {
    /// Other calls hold fuel that they may give back.
    Lent,
    /// It is burnt.
    Burnt,
}

#[allow(clippy::unnecessary_cast, reason = "`Units` is not `u64` everywhere")]
impl FuelBudget {
    /// A budget of `fuel`.
    #[must_use]
    pub fn new(fuel: u64) -> FuelBudget {
        FuelBudget::with(fuel, None)
    }

    fn with(fuel: u64, of_call: Option<Option<FuelBudget>>) -> FuelBudget {
        let left = units(fuel);
        FuelBudget(Arc::new(Pot {
            total: left as u64,
            left: Counter::new(left),
            burnt: Counter::new(0),
            of_call,
        }))
    }

    /// The budget of one call and its workers, on top of the budget that the call draws on.
    #[cfg(feature = "std")]
    pub(crate) fn of_call(fuel: u64, budget: Option<FuelBudget>) -> FuelBudget {
        FuelBudget::with(fuel, Some(budget))
    }

    /// Whether it is the budget of one call and its workers.
    #[cfg(feature = "std")]
    pub(crate) fn is_of_call(&self) -> bool {
        self.0.of_call.is_some()
    }

    /// The budget itself, or that on which the budget of a call is on top.
    pub(crate) fn without_call(self) -> Option<FuelBudget> {
        match &self.0.of_call {
            Some(budget) => budget.clone(),
            None => Some(self),
        }
    }

    /// Whether it is the budget of a call, and what ran dry is that and not the budget under it.
    pub(crate) fn is_call_tighter(&self) -> bool {
        match &self.0.of_call {
            Some(Some(budget)) => self.remaining() <= budget.remaining(),
            Some(None) => true,
            None => false,
        }
    }

    /// What the budget was at first.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// What no running call has drawn.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.left.load(Ordering::SeqCst) as u64
    }

    /// Draws at least `required` and at most `wanted`.
    pub(crate) fn draw(&self, required: u64, wanted: u64) -> Result<u64, Dry> {
        let own = self.draw_own(required, wanted)?;
        let Some(Some(under)) = &self.0.of_call else {
            return Ok(own);
        };
        let drawn = under.draw(required, own);
        let kept = *drawn.as_ref().unwrap_or(&0);
        self.settle_own(own - kept, own - kept);
        drawn
    }

    fn draw_own(&self, required: u64, wanted: u64) -> Result<u64, Dry> {
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
        // At most the total was ever burnt.
        let unburnt = units(self.0.total) - self.0.burnt.load(Ordering::SeqCst);
        Err(if unburnt < required { Dry::Burnt } else { Dry::Lent })
    }

    /// Ends a loan of `drawn`, of which `unburnt` comes back.
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

    /// Fuel that another call holds and gives back is not burnt, at whatever moment one asks.
    #[test]
    fn what_is_lent_is_not_burnt() {
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
                Err(dry) => assert!(matches!(dry, Dry::Lent)),
            }
            other.join().unwrap();
            assert_eq!(budget.remaining(), 2);
        });
    }

    /// However they draw, calls burn the budget and no more, and who is told that it is burnt can believe it.
    #[test]
    fn two_calls_burn_what_there_is_and_no_more() {
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
            assert!(matches!(budget.draw(2, 2), Err(Dry::Burnt)));
        });
    }
}
