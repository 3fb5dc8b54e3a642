//! Finding the object of a handle without a lock, from a signal handler too.

use std::sync::{Arc, OnceLock};

use crate::boundary::sync::atomic::{AtomicI64, AtomicPtr, AtomicUsize, Ordering};
use crate::boundary::sync::yield_now;

/// The first page has so many places, and each further one twice as many as the one before.
const FIRST: usize = if cfg!(all(test, loom)) { 1 } else { 64 };
/// Enough for every slot of a table.
const PAGES: usize = 23;

/// Where each live object is, by its handle. Whoever looks takes no lock, allocates nothing and waits for nobody; whoever takes
/// an object down waits for those that look at it at that moment, which is a few instructions each.
///
/// It owns nothing: an object must live until it was taken down.
pub(crate) struct Board<T> {
    pages: [OnceLock<Box<[Place<T>]>>; PAGES],
}

struct Place<T> {
    /// The handle of what is here, 0 for nothing.
    handle: AtomicI64,
    /// Those that look at this moment.
    looking: AtomicUsize,
    object: AtomicPtr<T>,
}

impl<T> Board<T> {
    pub(crate) fn new() -> Board<T> {
        Board {
            pages: [const { OnceLock::new() }; PAGES],
        }
    }

    /// Puts up the object of a handle, in the place of its slot. One thread at a time does that or takes down.
    pub(crate) fn put_up(&self, index: usize, handle: i64, object: &Arc<T>) {
        let (page, at) = place_of(index);
        let places = self.pages[page].get_or_init(|| {
            let place = || Place {
                handle: AtomicI64::new(0),
                looking: AtomicUsize::new(0),
                object: AtomicPtr::new(std::ptr::null_mut()),
            };
            std::iter::repeat_with(place).take(FIRST << page).collect()
        });
        let place = &places[at];
        place
            .object
            .store(Arc::as_ptr(object).cast_mut(), Ordering::Relaxed);
        place.handle.swap(handle, Ordering::AcqRel);
    }

    /// Takes down what is in the place of a slot. When this returns nobody looks at it any more.
    pub(crate) fn take_down(&self, index: usize) {
        let (page, at) = place_of(index);
        let Some(place) = self.pages[page].get().map(|places| &places[at]) else {
            return;
        };
        // This and the read of the handle in `look` both change it, so one comes after the other: either they find it gone, or
        // this sees that they look.
        place.handle.swap(0, Ordering::AcqRel);
        while place.looking.load(Ordering::Acquire) != 0 {
            yield_now();
        }
    }

    /// Shows the object of a handle to `f`, which must not come back here.
    pub(crate) fn look<R>(&self, index: usize, handle: i64, f: impl FnOnce(&T) -> R) -> Option<R> {
        let (page, at) = place_of(index);
        let place = self.pages.get(page)?.get()?.get(at)?;
        place.looking.fetch_add(1, Ordering::Relaxed);
        let shown = (place.handle.fetch_add(0, Ordering::AcqRel) == handle).then(|| {
            // SAFETY: it is up under this handle, so it was put up as an `Arc` that lives until `take_down` has returned, which
            // waits for `looking`. No other object was put in its place: that comes after taking it down.
            f(unsafe { &*place.object.load(Ordering::Relaxed) })
        });
        place.looking.fetch_sub(1, Ordering::Release);
        shown
    }
}

/// The page of a slot, and its place there.
fn place_of(index: usize) -> (usize, usize) {
    let from_first = index + FIRST;
    let page = (from_first / FIRST).ilog2();
    (page as usize, from_first - (FIRST << page))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut next = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place_of(index), next, "{index}");
            next = match next {
                (page, at) if at + 1 == FIRST << page => (page + 1, 0),
                (page, at) => (page, at + 1),
            };
        }
        assert!(place_of((1 << 28) - 1).0 < PAGES);
    }

    #[test]
    fn only_what_is_up_under_that_handle_is_seen() {
        let board = Board::new();
        assert_eq!(board.look(5, 7, |n: &u32| *n), None);
        let object = Arc::new(3);
        board.put_up(5, 7, &object);
        assert_eq!(board.look(5, 7, |n| *n), Some(3));
        assert_eq!(board.look(5, 8, |n| *n), None);
        assert_eq!(board.look(4, 7, |n| *n), None);
        board.take_down(5);
        assert_eq!(board.look(5, 7, |n| *n), None);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// Says when it is gone.
    struct Thing(Arc<AtomicUsize>);
    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.store(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn nobody_sees_an_object_that_is_gone() {
        loom::model(|| {
            let board = Arc::new(Board::new());
            let gone = Arc::new(AtomicUsize::new(0));
            let thing = Arc::new(Thing(gone.clone()));
            board.put_up(0, 7, &thing);
            let there = board.clone();
            let looker = thread::spawn(move || {
                there.look(0, 7, |thing| assert_eq!(thing.0.load(Ordering::SeqCst), 0));
            });
            board.take_down(0);
            drop(thing);
            assert_eq!(gone.load(Ordering::SeqCst), 1);
            looker.join().unwrap();
        });
    }

    #[test]
    fn who_looks_for_the_old_object_never_sees_the_new_one() {
        loom::model(|| {
            let board = Arc::new(Board::new());
            let (old, new) = (Arc::new(1), Arc::new(2));
            board.put_up(0, 7, &old);
            let there = board.clone();
            let looker = thread::spawn(move || there.look(0, 7, |n| assert_eq!(*n, 1)));
            board.take_down(0);
            board.put_up(0, 8, &new);
            looker.join().unwrap();
            assert_eq!(board.look(0, 8, |n| *n), Some(2));
        });
    }
}
