//! The numbers of stores, by which typed handles tell them apart.

use core::sync::atomic::{AtomicUsize, Ordering};

/// The first number that no thread has taken.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// How many numbers a thread takes at a time: a counter that all threads write would keep them from creating instances
/// independently.
#[cfg(feature = "std")]
const BLOCK: usize = 64;

#[cfg(feature = "std")]
std::thread_local! {
    static TAKEN: core::cell::Cell<core::ops::Range<usize>> = const { core::cell::Cell::new(0..0) };
}

/// Returns a number that no other store of this process has.
#[cfg(feature = "std")]
pub(super) fn next() -> usize {
    let of_block = TAKEN.try_with(|taken| {
        let mut rest = taken.take();
        if rest.is_empty() {
            let start = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
            rest = start..start + BLOCK;
        }
        let next = rest.start;
        taken.set(next + 1..rest.end);
        next
    });
    // In a destructor that runs when the thread exits.
    of_block.unwrap_or_else(|_| NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a number that no other store of this process has.
#[cfg(not(feature = "std"))]
pub(super) fn next() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::next;
    use std::{collections::BTreeSet, thread, vec::Vec};

    #[test]
    fn no_two_stores_have_the_same_number() {
        let numbers = || (0..1_000).map(|_| next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(numbers)).collect();
        let mut all = numbers();
        for thread in threads {
            all.extend(thread.join().unwrap());
        }
        let count = all.len();
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), count);
    }
}
