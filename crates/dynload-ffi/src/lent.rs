//! An object that one thread at a time has.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Condvar, Mutex, UnsafeCell, lock, yield_now};

/// Holds an object that is lent to one at a time.
///
/// No lock is held while it is out, so whatever its user calls may come here again: it then finds the object out, and is told
/// so. Whether to wait for it is the caller's choice; one who has another object out himself must not, or two threads could
/// wait for each other for ever.
pub(crate) struct Lent<T> {
    /// One of those below.
    state: AtomicU8,
    object: UnsafeCell<T>,
    /// Held while somebody makes up his mind to wait, and before those who wait are woken: so that nobody waits for what has
    /// come back already.
    queue: Mutex<()>,
    returned: Condvar,
}

/// Nobody has the object.
const IN: u8 = 0;
/// Somebody looks at it and calls nobody meanwhile.
const LOOKED_AT: u8 = 1;
/// Somebody has it.
const OUT: u8 = 2;
/// Somebody has it, and somebody waits for it. Where none does, nobody is woken: that would be a system call for each loan.
const AWAITED: u8 = 3;
/// Whoever had it panicked.
const LOST: u8 = 4;

// SAFETY: whoever gets at the object through a shared `Lent` has brought the state from `IN` to `LOOKED_AT` or `OUT`, which one
// at a time can do, and brings it back with `Release` when he is done, for the next one's `Acquire`. So the object moves between
// threads, which `T: Send` allows, and is never shared.
unsafe impl<T: Send> Sync for Lent<T> {}

/// Why an object is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    Out,
    Lost,
}

/// The object, until it is given back by dropping this.
pub(crate) struct Loan<'a, T> {
    from: &'a Lent<T>,
    /// It can go where a `&mut T` can.
    object: PhantomData<&'a mut T>,
}

impl<T> Lent<T> {
    pub(crate) fn new(object: T) -> Lent<T> {
        Lent {
            state: AtomicU8::new(IN),
            object: UnsafeCell::new(object),
            queue: Mutex::new(()),
            returned: Condvar::new(),
        }
    }

    fn pass(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    /// Takes the object; where it is out, waits for it if `wait` says so.
    pub(crate) fn take(&self, wait: bool) -> Result<Loan<'_, T>, Unavailable> {
        loop {
            match self.pass(IN, OUT) {
                Ok(_) => {
                    return Ok(Loan {
                        from: self,
                        object: PhantomData,
                    });
                }
                // It is back in a moment.
                Err(IN | LOOKED_AT) => yield_now(),
                Err(LOST) => return Err(Unavailable::Lost),
                Err(_) if !wait => return Err(Unavailable::Out),
                Err(_) => self.wait(),
            }
        }
    }

    /// Waits until somebody who has the object gives it back.
    #[cold]
    fn wait(&self) {
        let queue = lock(&self.queue);
        if matches!(self.pass(OUT, AWAITED), Ok(_) | Err(AWAITED)) {
            let queue = self.returned.wait(queue);
            drop(queue.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Looks at the object where it is in. `f` must not come back here.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, Unavailable> {
        /// Puts the object back, also if `f` panics: it has changed nothing.
        struct Back<'a>(&'a AtomicU8);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.store(IN, Ordering::Release);
            }
        }
        loop {
            match self.pass(IN, LOOKED_AT) {
                Ok(_) => {
                    let _back = Back(&self.state);
                    // SAFETY: the state was brought from `IN` to `LOOKED_AT` here, and until `Back` brings it back nobody
                    // else gets at the object.
                    return Ok(self.object.with(|object| f(unsafe { &*object })));
                }
                Err(IN | LOOKED_AT) => yield_now(),
                Err(LOST) => return Err(Unavailable::Lost),
                Err(_) => return Err(Unavailable::Out),
            }
        }
    }
}

impl<T> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the state was brought from `IN` to `OUT` for this loan, and until it is dropped nobody else gets at the
        // object; what is given lives no longer than the loan is borrowed.
        self.from.object.with(|object| unsafe { &*object })
    }
}

impl<T> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and this is the only borrow of the loan.
        self.from.object.with_mut(|object| unsafe { &mut *object })
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        // An object that somebody panicked over may be in any state: nobody gets it any more.
        let back = if std::thread::panicking() { LOST } else { IN };
        if self.from.state.swap(back, Ordering::Release) == AWAITED {
            drop(lock(&self.from.queue));
            self.from.returned.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_is_told() {
        let lent = Lent::new(1);
        let mut loan = lent.take(true).unwrap();
        *loan += 1;
        assert_eq!(lent.take(false).err(), Some(Unavailable::Out));
        assert_eq!(lent.peek(|n| *n), Err(Unavailable::Out));
        drop(loan);
        assert_eq!(lent.peek(|n| *n), Ok(2));
    }

    #[test]
    fn a_panic_loses_it_and_wakes_who_waits() {
        let lent = Lent::new(1);
        std::thread::scope(|scope| {
            let loan = lent.take(true).unwrap();
            let waiter = scope.spawn(|| lent.take(true).err());
            let thrower = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _loan = loan;
                panic!("on purpose");
            }));
            assert!(thrower.is_err());
            assert_eq!(waiter.join().unwrap(), Some(Unavailable::Lost));
        });
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;
    use std::sync::Arc;

    #[test]
    fn two_who_wait_both_get_it() {
        loom::model(|| {
            let lent = Arc::new(Lent::new(0));
            let threads = [(); 2].map(|()| {
                let lent = lent.clone();
                thread::spawn(move || *lent.take(true).ok().unwrap() += 1)
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(lent.peek(|n| *n), Ok(2));
        });
    }

    #[test]
    fn one_who_looks_is_in_nobodys_way() {
        loom::model(|| {
            let lent = Arc::new(Lent::new(0));
            let other = lent.clone();
            let thread = thread::spawn(move || other.peek(|n| *n));
            // It is never out for whoever takes it, only looked at.
            *lent.take(false).ok().unwrap() += 1;
            assert!(matches!(
                thread.join().unwrap(),
                Ok(0 | 1) | Err(Unavailable::Out)
            ));
            assert_eq!(lent.peek(|n| *n), Ok(1));
        });
    }

    #[test]
    fn one_who_does_not_wait_is_told_or_gets_it() {
        loom::model(|| {
            let lent = Arc::new(Lent::new(0));
            let other = lent.clone();
            let thread = thread::spawn(move || *other.take(true).ok().unwrap() += 1);
            let got = match lent.take(false) {
                Ok(mut loan) => {
                    *loan += 1;
                    1
                }
                Err(unavailable) => {
                    assert_eq!(unavailable, Unavailable::Out);
                    0
                }
            };
            thread.join().unwrap();
            assert_eq!(lent.peek(|n| *n), Ok(1 + got));
        });
    }
}
