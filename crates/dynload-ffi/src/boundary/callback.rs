//! Calling functions of C that must come back.

use std::io::Write;

/// Runs `call`, which calls a function of C. Where that is left by an exception of C++, or by the end of its thread, the process
/// ends here with a message: on the way further up it would leave a guest half-way, and what catches it there is nobody's business.
pub(crate) fn contained<R>(what: &str, call: impl FnOnce() -> R) -> R {
    /// Dropped only by whoever does not come back.
    struct Left<'a>(&'a str);
    impl Drop for Left<'_> {
        fn drop(&mut self) {
            let what = self.0;
            // If nobody can read it the process ends all the same.
            let _ = writeln!(
                std::io::stderr(),
                "dynload: {what} was left by an exception or by the end of its thread; it must return. Aborting"
            );
            std::process::abort();
        }
    }

    let left = Left(what);
    let value = call();
    std::mem::forget(left);
    value
}
