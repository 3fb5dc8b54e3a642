//! Console, time and random numbers.
#![allow(unsafe_code)]

use crate::imports;
use core::ops::Range;
use core::time::Duration;

/// The severity of a line of [`log`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace = 0,
    /// For the author of the plugin.
    Debug = 1,
    /// What happens.
    Info = 2,
    /// A problem that the plugin works around.
    Warn = 3,
    /// A problem that it does not work around.
    Error = 4,
}

/// Writes to the standard output.
///
/// # Examples
///
/// ```no_run
/// dynload_guest::print("50 % ");
/// ```
pub fn print(text: &str) {
    // SAFETY: the host reads the text, which is initialized memory.
    unsafe { imports::print(text.as_ptr(), text.len()) }
}

/// Writes a line to the standard output.
///
/// # Examples
///
/// ```no_run
/// dynload_guest::println("done");
/// ```
pub fn println(text: &str) {
    // SAFETY: as in `print`.
    unsafe { imports::println(text.as_ptr(), text.len()) }
}

/// Writes a line to the standard error, such as `warn: TEXT`.
///
/// # Examples
///
/// ```no_run
/// dynload_guest::log(dynload_guest::Level::Warn, "the cache is full");
/// ```
pub fn log(level: Level, text: &str) {
    // SAFETY: as in `print`.
    unsafe { imports::log(level as i32, text.as_ptr(), text.len()) }
}

/// Returns the milliseconds since 1970, or since some fixed moment if the host hides the date.
///
/// # Examples
///
/// ```no_run
/// let start = dynload_guest::now_ms();
/// dynload_guest::println(&format!("took {} ms", dynload_guest::now_ms() - start));
/// ```
#[must_use]
pub fn now_ms() -> i64 {
    // SAFETY: the import has no pointers.
    unsafe { imports::now_ms() }
}

/// Sleeps, for whole milliseconds.
///
/// # Examples
///
/// ```no_run
/// dynload_guest::sleep(std::time::Duration::from_millis(10));
/// ```
pub fn sleep(duration: Duration) {
    let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    // SAFETY: the import has no pointers.
    unsafe { imports::sleep_ms(ms) }
}

/// Returns 64 random bits.
///
/// # Examples
///
/// ```no_run
/// let heads = dynload_guest::random() & 1 == 1;
/// ```
#[must_use]
pub fn random() -> u64 {
    // SAFETY: the import has no pointers.
    unsafe { imports::random() }.cast_unsigned()
}

/// Returns a random number of a range, in which each is equally likely.
///
/// # Panics
///
/// If the range is empty.
///
/// # Examples
///
/// ```no_run
/// let die = dynload_guest::random_range(1..7);
/// ```
#[must_use]
pub fn random_range(range: Range<i64>) -> i64 {
    assert!(!range.is_empty(), "cannot choose from an empty range");
    // SAFETY: the import has no pointers.
    unsafe { imports::random_range(range.start, range.end) }
}
