//! Which guests this thread is running, innermost last, and the way back into them from a host function.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::NonNull;

use dynload_sandbox::Caller;

/// One guest that runs on this thread, or one host function that it called.
struct Frame {
    /// The handle of the instance, 0 while it is being made.
    instance: i64,
    /// The caller of a host function, while it is in the host's hands and nobody uses it.
    caller: Option<NonNull<c_void>>,
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Whether a guest runs on this thread: whatever is called now is called from a callback, and must not wait for an instance
/// or a sandbox, because another thread's callback may be waiting for ours.
pub(crate) fn is_running() -> bool {
    FRAMES.with_borrow(|frames| !frames.is_empty())
}

/// Takes the last frame off when it is dropped.
struct Pop;

impl Drop for Pop {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(|frames| frames.pop());
    }
}

fn push(instance: i64, caller: Option<NonNull<c_void>>) -> Pop {
    FRAMES.with_borrow_mut(|frames| frames.push(Frame { instance, caller }));
    Pop
}

/// Runs a guest: `f` calls into the instance with this handle.
pub(crate) fn run<R>(instance: i64, f: impl FnOnce() -> R) -> R {
    let _frame = push(instance, None);
    f()
}

/// Runs a host function's callback, which may come back to its own guest through [`with_caller`]. `f` gets the handle of the
/// instance.
pub(crate) fn run_host_function<R>(caller: &mut Caller<'_>, f: impl FnOnce(i64) -> R) -> R {
    // A worker of a guest runs on a thread that has no frame.
    let instance = FRAMES.with_borrow(|frames| frames.last().map_or(0, |frame| frame.instance));
    let _frame = push(instance, Some(NonNull::from(caller).cast()));
    f(instance)
}

/// Gives `f` the way into the instance with this handle, if the innermost thing that runs of it on this thread is a host
/// function's callback. `None` if it is not: it then runs elsewhere, or in a callback that has no way back, the console's.
pub(crate) fn with_caller<R>(instance: i64, f: impl FnOnce(&mut Caller<'_>) -> R) -> Option<R> {
    /// Puts the caller back when the use of it is over.
    struct PutBack(usize, NonNull<c_void>);
    impl Drop for PutBack {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames[self.0].caller = Some(self.1));
        }
    }

    let (at, caller) = FRAMES.with_borrow_mut(|frames| {
        let at = frames.iter().rposition(|frame| frame.instance == instance)?;
        Some((at, frames[at].caller.take()?))
    })?;
    let _put_back = PutBack(at, caller);
    // SAFETY: the pointer was made from the `&mut Caller` of a `run_host_function` that is still running further up on this
    // thread's stack, because its frame is there. It holds that reference and does not use it until its callback returns.
    // Taking the pointer out of the frame keeps a second use of it from happening inside of this one.
    let caller = unsafe { caller.cast::<Caller<'_>>().as_mut() };
    Some(f(caller))
}
