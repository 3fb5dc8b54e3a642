//! An object that one thread at a time has, without a lock that is held meanwhile.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, lock};

/// Holds an object that is taken out to be used and put back afterwards.
///
/// No lock is held while it is out, so whatever its user calls may come here again: it then finds the object out, and is told
/// so. Whether to wait for it is the caller's choice; one who has another object out himself must not, or two threads could
/// wait for each other for ever.
pub(crate) struct Lent<T> {
    place: Mutex<Place<T>>,
    returned: Condvar,
}

struct Place<T> {
    slot: Slot<T>,
    /// How many wait for the object. Where none does, nobody is woken: that would be a system call for each loan.
    waiting: usize,
}

enum Slot<T> {
    In(T),
    Out,
    /// Whoever had it panicked.
    Lost,
}

/// Why an object is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    Out,
    Lost,
}

/// The object, until it is put back by dropping this.
pub(crate) struct Loan<'a, T> {
    from: &'a Lent<T>,
    object: Option<T>,
}

impl<T> Lent<T> {
    pub(crate) fn new(object: T) -> Lent<T> {
        Lent {
            place: Mutex::new(Place {
                slot: Slot::In(object),
                waiting: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Takes the object; where it is out, waits for it if `wait` says so.
    pub(crate) fn take(&self, wait: bool) -> Result<Loan<'_, T>, Unavailable> {
        let mut place = lock(&self.place);
        loop {
            match std::mem::replace(&mut place.slot, Slot::Out) {
                Slot::In(object) => {
                    return Ok(Loan {
                        from: self,
                        object: Some(object),
                    });
                }
                Slot::Lost => {
                    place.slot = Slot::Lost;
                    return Err(Unavailable::Lost);
                }
                Slot::Out if !wait => return Err(Unavailable::Out),
                Slot::Out => {
                    place.waiting += 1;
                    place = self.returned.wait(place).unwrap_or_else(PoisonError::into_inner);
                    place.waiting -= 1;
                }
            }
        }
    }

    /// Looks at the object where it is in.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, Unavailable> {
        match &lock(&self.place).slot {
            Slot::In(object) => Ok(f(object)),
            Slot::Out => Err(Unavailable::Out),
            Slot::Lost => Err(Unavailable::Lost),
        }
    }
}

impl<T> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object.as_ref().expect("only drop takes it out")
    }
}

impl<T> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.object.as_mut().expect("only drop takes it out")
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        let object = self.object.take();
        // An object that somebody panicked over may be in any state: nobody gets it any more.
        let (back, dropped) = match object {
            Some(object) if !std::thread::panicking() => (Slot::In(object), None),
            other => (Slot::Lost, other),
        };
        let mut place = lock(&self.from.place);
        place.slot = back;
        let awaited = place.waiting > 0;
        drop(place);
        if awaited {
            self.from.returned.notify_all();
        }
        drop(dropped);
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
