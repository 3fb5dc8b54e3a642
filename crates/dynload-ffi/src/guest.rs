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
    // Host functions that it calls from here on are called by it, whoever was called in between.
    let _frame = push(instance, None);
    // SAFETY: the pointer was made from the `&mut Caller` of a `run_host_function` that is still running further up on this
    // thread's stack, because its frame is there. It holds that reference and does not use it until its callback returns.
    // Taking the pointer out of the frame keeps a second use of it from happening inside of this one.
    let caller = unsafe { caller.cast::<Caller<'_>>().as_mut() };
    Some(f(caller))
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
            sandbox.host_fn("env", "h", Capabilities::NONE, body);
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
