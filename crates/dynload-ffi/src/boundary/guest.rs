//! Which guests this thread is running, innermost last, and the way back into them from a host function.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use dynload_sandbox::Caller;

/// One guest that runs on this thread, or one host function that it called. It lives on the stack of the function that runs it.
struct Frame {
    /// The handle of the instance, 0 while it is being made.
    instance: i64,
    /// The caller of a host function, while it is in the host's hands and nobody uses it.
    caller: Cell<Option<NonNull<c_void>>>,
    /// What ran when it began.
    outer: *const Frame,
}

thread_local! {
    /// Nothing that has to be freed: it is there also when a thread that ends, or the process, calls from its last handlers.
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// Whether a guest runs on this thread: whatever is called now is called from a callback, and must not wait for an instance
/// or a sandbox, because another thread's callback may be waiting for ours.
pub(crate) fn is_running() -> bool {
    !INNERMOST.get().is_null()
}

/// The innermost frame of this thread for which `wanted` holds, for no longer than `f` runs.
fn with_frame<R>(wanted: impl Fn(&Frame) -> bool, f: impl FnOnce(Option<&Frame>) -> R) -> R {
    let mut at = INNERMOST.get();
    // SAFETY: the pointers are null, or to frames of this thread that `enter` has on its stack: it takes a frame off before that
    // goes, in whichever way it ends, and what runs here runs inside of it.
    while let Some(frame) = unsafe { at.as_ref() } {
        if wanted(frame) {
            return f(Some(frame));
        }
        at = frame.outer;
    }
    f(None)
}

/// Runs `f` with one more frame.
fn enter<R>(instance: i64, caller: Option<NonNull<c_void>>, f: impl FnOnce() -> R) -> R {
    /// Takes the frame off, also when `f` panics.
    struct Leave(*const Frame);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }

    let frame = Frame {
        instance,
        caller: Cell::new(caller),
        outer: INNERMOST.get(),
    };
    let _leave = Leave(frame.outer);
    INNERMOST.set(&raw const frame);
    f()
}

/// Runs a guest: `f` calls into the instance with this handle.
pub(crate) fn run<R>(instance: i64, f: impl FnOnce() -> R) -> R {
    enter(instance, None, f)
}

/// Runs a host function's callback, which may come back to its own guest through [`with_caller`]. `f` gets the handle of the
/// instance.
pub(crate) fn run_host_function<R>(caller: &mut Caller<'_>, f: impl FnOnce(i64) -> R) -> R {
    // A worker of a guest runs on a thread that has no frame.
    let instance = with_frame(|_| true, |frame| frame.map_or(0, |frame| frame.instance));
    enter(instance, Some(NonNull::from(caller).cast()), || f(instance))
}

/// Gives `f` the way into the instance with this handle, if the innermost thing that runs of it on this thread is a host
/// function's callback. `None` if it is not: it then runs elsewhere, or in a callback that has no way back, the console's.
pub(crate) fn with_caller<R>(instance: i64, f: impl FnOnce(&mut Caller<'_>) -> R) -> Option<R> {
    /// Puts the caller back when the use of it is over.
    struct PutBack<'a>(&'a Frame, NonNull<c_void>);
    impl Drop for PutBack<'_> {
        fn drop(&mut self) {
            self.0.caller.set(Some(self.1));
        }
    }

    with_frame(
        |frame| frame.instance == instance,
        |frame| {
            let frame = frame?;
            let caller = frame.caller.take()?;
            let _put_back = PutBack(frame, caller);
            // SAFETY: the pointer was made from the `&mut Caller` of a `run_host_function` that is still running further up on
            // this thread's stack, because its frame is there. It holds that reference and does not use it until its callback
            // returns. Taking the pointer out of the frame keeps a second use of it from happening inside of this one.
            let caller = unsafe { caller.cast::<Caller<'_>>().as_mut() };
            // Host functions that it calls from here on are called by it, whoever was called in between.
            Some(enter(instance, None, || f(caller)))
        },
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use dynload_sandbox::{Capabilities, Engine, Limits, Module, Sandbox, Value};
    use std::sync::{Arc, Mutex};

    /// `(module (import "env" "h" (func (param i32))) (func (export "run") (param i32) (call 0 (local.get 0))))`
    const CALLS_ITS_HOST: &[u8] =
        b"\0asm\x01\0\0\0\x01\x05\x01\x60\x01\x7f\0\x02\x09\x01\x03env\x01h\0\0\x03\x02\x01\0\
        \x07\x07\x01\x03run\0\x01\x0a\x08\x01\x06\0\x20\0\x10\0\x0b";

    #[test]
    fn a_host_function_is_told_who_calls_it_whoever_was_called_in_between() {
        let module = Module::new(&Engine::default(), CALLS_ITS_HOST).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let instantiate = |host: Box<dyn Fn(i32) + Send + Sync>| {
            let told = Arc::clone(&told);
            let mut sandbox = Sandbox::new(Limits::DEFAULT);
            let body = move |caller: &mut Caller<'_>, (n,): (i32,)| {
                run_host_function(caller, |instance| {
                    told.lock().unwrap().push((n, instance));
                    host(n);
                });
                Ok(())
            };
            sandbox.func_wrap("env", "h", Capabilities::NONE, body);
            sandbox.instantiate(&module).unwrap()
        };
        const A: i64 = 1;
        const B: i64 = 2;
        // B's host calls back into A, whose host called B.
        let b = Mutex::new(instantiate(Box::new(|_| {
            with_caller(A, |a| a.call("run", &[Value::I32(2)]).unwrap()).expect("it is a callback of A's");
        })));
        let mut a = instantiate(Box::new(move |n| {
            if n == 0 {
                run(B, || b.lock().unwrap().call("run", &[Value::I32(1)])).unwrap();
            }
        }));
        run(A, || a.call("run", &[Value::I32(0)])).unwrap();
        assert_eq!(*told.lock().unwrap(), [(0, A), (1, B), (2, A)]);
        assert!(!is_running());
    }
}
