//! Calls of C functions that must return.

use std::io::Write;

/// Runs `call`, which calls a C function. If a C++ exception or the end of the thread leaves that function, the
/// process ends here with a message: unwinding further would abort a guest partway, and this library cannot know what
/// code would catch it.
pub(crate) fn contained<R>(what: &str, call: impl FnOnce() -> R) -> R {
    /// Dropped only if the call does not return.
    struct Left<'a>(&'a str);
    impl Drop for Left<'_> {
        fn drop(&mut self) {
            let what = self.0;
            // If the message cannot be written, the process ends all the same.
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
