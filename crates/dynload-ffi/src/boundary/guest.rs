//! The guests that this thread is running, innermost last, and how a host function calls back into its guest.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use dynload_sandbox::Caller;

/// A guest that runs on this thread, or a host function that it called. It is on the stack of the function that runs
/// it.
struct Frame {
    /// The handle of the instance, 0 while the instance is being created.
    instance: i64,
    /// The caller of a host function, while its callback runs and no code is using the caller.
    caller: Cell<Option<NonNull<c_void>>>,
    /// The frame that was innermost when this one began.
    outer: *const Frame,
}

thread_local! {
    /// It needs no destructor, so it is also usable when the last destructors of a thread, or the exit handlers of
    /// the process, call functions.
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// Returns whether a guest runs on this thread. If so, the current call comes from a callback and must not wait for
/// an instance or a sandbox, because another thread's callback may be waiting for one of this thread's.
pub(crate) fn is_running() -> bool {
    !INNERMOST.get().is_null()
}

/// Passes the innermost frame of this thread that satisfies `wanted` to `f`. The reference is valid only while `f`
/// runs.
fn with_frame<R>(wanted: impl Fn(&Frame) -> bool, f: impl FnOnce(Option<&Frame>) -> R) -> R {
    let mut at = INNERMOST.get();
    // SAFETY: the pointers are null, or they point to frames of this thread on the stack of `enter`, which unlinks a
    // frame before it is destroyed, however it ends; and the code here runs inside that `enter`.
    while let Some(frame) = unsafe { at.as_ref() } {
        if wanted(frame) {
            return f(Some(frame));
        }
        at = frame.outer;
    }
    f(None)
}

/// Runs `f` inside a new frame.
fn enter<R>(instance: i64, caller: Option<NonNull<c_void>>, f: impl FnOnce() -> R) -> R {
    /// Unlinks the frame, even if `f` panics.
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

/// Runs a host function's callback, which may call back into its own guest through [`with_caller`]. `f` receives the
/// handle of the instance.
pub(crate) fn run_host_function<R>(caller: &mut Caller<'_>, f: impl FnOnce(i64) -> R) -> R {
    // A guest's worker runs on a thread that has no frame.
    let instance = with_frame(|_| true, |frame| frame.map_or(0, |frame| frame.instance));
    enter(instance, Some(NonNull::from(caller).cast()), || f(instance))
}

/// Passes the [`Caller`] of the instance with this handle to `f`, if the innermost frame of that instance on this
/// thread is a host function's callback. Returns `None` otherwise: the instance then runs elsewhere, or in a callback
/// that cannot call back, the console's.
pub(crate) fn with_caller<R>(instance: i64, f: impl FnOnce(&mut Caller<'_>) -> R) -> Option<R> {
    /// Puts the caller back after its use.
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
            // SAFETY: the pointer was created from the `&mut Caller` of a `run_host_function` that is still running
            // further up this thread's stack, because its frame exists. It owns that reference and does not use it
            // until its callback returns. Taking the pointer out of the frame prevents a second use inside this one.
            let caller = unsafe { caller.cast::<Caller<'_>>().as_mut() };
            // Host functions called from here on are called by this instance, whichever instances were entered in
            // between.
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
    fn a_host_function_receives_its_own_instance_after_nested_calls() {
        let module = Module::new(&Engine::default(), CALLS_ITS_HOST).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let instantiate = |host: Box<dyn Fn(i32) + Send + Sync>| {
            let seen = Arc::clone(&seen);
            let mut sandbox = Sandbox::new(Limits::DEFAULT);
            let body = move |caller: &mut Caller<'_>, (n,): (i32,)| {
                run_host_function(caller, |instance| {
                    seen.lock().unwrap().push((n, instance));
                    host(n);
                });
                Ok(())
            };
            sandbox.func_wrap("env", "h", Capabilities::NONE, body);
            sandbox.instantiate(&module).unwrap()
        };
        const A: i64 = 1;
        const B: i64 = 2;
        // The host function of B calls back into A, whose host function called B.
        let b = Mutex::new(instantiate(Box::new(|_| {
            with_caller(A, |a| a.call("run", &[Value::I32(2)]).unwrap()).expect("a callback of A is running");
        })));
        let mut a = instantiate(Box::new(move |n| {
            if n == 0 {
                run(B, || b.lock().unwrap().call("run", &[Value::I32(1)])).unwrap();
            }
        }));
        run(A, || a.call("run", &[Value::I32(0)])).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(0, A), (1, B), (2, A)]);
        assert!(!is_running());
    }
}
