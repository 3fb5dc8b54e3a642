//! Lookup of a handle's object without a lock, safe in signal handlers.

use std::sync::{Arc, OnceLock};

use crate::boundary::sync::atomic::{AtomicI64, AtomicPtr, AtomicUsize, Ordering};
use crate::boundary::sync::yield_now;

/// The number of places in the first page; each further page has twice as many as the one before.
const FIRST: usize = if cfg!(all(test, loom)) { 1 } else { 64 };
/// Enough pages for every slot of a table.
const PAGES: usize = 23;

/// The address of each live object, by its handle. Readers take no lock, allocate nothing and never wait; a thread
/// that takes an object down waits for the readers that are looking at it at that moment, each for a few
/// instructions.
///
/// It owns no objects: an object must live until it has been taken down.
pub(crate) struct LiveObjects<T> {
    pages: [OnceLock<Box<[Slot<T>]>>; PAGES],
}

struct Slot<T> {
    /// The handle of the object in this place, 0 if the place is empty.
    handle: AtomicI64,
    /// The number of readers that are looking at this moment.
    looking: AtomicUsize,
    object: AtomicPtr<T>,
}

impl<T> LiveObjects<T> {
    pub(crate) fn new() -> LiveObjects<T> {
        LiveObjects {
            pages: [const { OnceLock::new() }; PAGES],
        }
    }

    /// Puts up the object of a handle, in the place of its slot. Only one thread at a time may put up or take down
    /// objects.
    pub(crate) fn publish(&self, index: usize, handle: i64, object: &Arc<T>) {
        let (page, at) = place_of(index);
        let places = self.pages[page].get_or_init(|| {
            let place = || Slot {
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

    /// Takes down the object in the place of a slot. No reader looks at the object after this returns.
    pub(crate) fn withdraw(&self, index: usize) {
        let (page, at) = place_of(index);
        let Some(place) = self.pages[page].get().map(|places| &places[at]) else {
            return;
        };
        // This and the read of the handle in `look` are both read-modify-write operations, so one comes after the
        // other: either the reader finds no handle, or this function sees that the reader is looking.
        place.handle.swap(0, Ordering::AcqRel);
        while place.looking.load(Ordering::Acquire) != 0 {
            yield_now();
        }
    }

    /// Passes the object of a handle to `f`, which must not call it again.
    pub(crate) fn look<R>(&self, index: usize, handle: i64, f: impl FnOnce(&T) -> R) -> Option<R> {
        let (page, at) = place_of(index);
        let place = self.pages.get(page)?.get()?.get(at)?;
        place.looking.fetch_add(1, Ordering::Relaxed);
        let shown = (place.handle.fetch_add(0, Ordering::AcqRel) == handle).then(|| {
            // SAFETY: the place has this handle, so the object was put up as an `Arc` that lives until `withdraw`
            // has returned, and `withdraw` waits for `looking`. No other object is in this place: it can only be put
            // up after this one was taken down.
            f(unsafe { &*place.object.load(Ordering::Relaxed) })
        });
        place.looking.fetch_sub(1, Ordering::Release);
        shown
    }
}

/// Returns the page of a slot, and its place in that page.
fn place_of(index: usize) -> (usize, usize) {
    let from_first = index + FIRST;
    let page = (from_first / FIRST).ilog2();
    (page as usize, from_first - (FIRST << page))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_own_place() {
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
    fn an_object_is_found_only_by_its_handle_while_it_is_up() {
        let objects = LiveObjects::new();
        assert_eq!(objects.look(5, 7, |n: &u32| *n), None);
        let object = Arc::new(3);
        objects.publish(5, 7, &object);
        assert_eq!(objects.look(5, 7, |n| *n), Some(3));
        assert_eq!(objects.look(5, 8, |n| *n), None);
        assert_eq!(objects.look(4, 7, |n| *n), None);
        objects.withdraw(5);
        assert_eq!(objects.look(5, 7, |n| *n), None);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// Records that it was dropped.
    struct Thing(Arc<AtomicUsize>);
    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.store(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_dropped_object_is_never_seen() {
        loom::model(|| {
            let objects = Arc::new(LiveObjects::new());
            let dropped = Arc::new(AtomicUsize::new(0));
            let thing = Arc::new(Thing(dropped.clone()));
            objects.publish(0, 7, &thing);
            let shared = objects.clone();
            let reader = thread::spawn(move || {
                shared.look(0, 7, |thing| assert_eq!(thing.0.load(Ordering::SeqCst), 0));
            });
            objects.withdraw(0);
            drop(thing);
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
            reader.join().unwrap();
        });
    }

    #[test]
    fn a_lookup_of_the_old_handle_never_sees_the_new_object() {
        loom::model(|| {
            let objects = Arc::new(LiveObjects::new());
            let (old, new) = (Arc::new(1), Arc::new(2));
            objects.publish(0, 7, &old);
            let shared = objects.clone();
            let reader = thread::spawn(move || shared.look(0, 7, |n| assert_eq!(*n, 1)));
            objects.withdraw(0);
            objects.publish(0, 8, &new);
            reader.join().unwrap();
            assert_eq!(objects.look(0, 8, |n| *n), Some(2));
        });
    }
}
