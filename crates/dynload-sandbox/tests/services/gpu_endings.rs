//! GPU: whatever a device does or does not do, calls end in time, and the next instance works.

use super::{
    fake_gpu::{Behavior, FakeGpu},
    gpu::{guest, sandbox, scope},
    guest::{errno::*, *},
};
use dynload_sandbox::*;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const O: i64 = OUT as i64;
const LIST: i64 = 20_000;

/// Far beyond every limit of time in these tests.
const FAR: Duration = Duration::from_secs(30);

fn short(gpu: &Arc<FakeGpu>) -> Sandbox {
    let mut sandbox = sandbox(gpu, scope());
    sandbox.set_limits(Limits::DEFAULT.with_time(Duration::from_millis(500)));
    sandbox
}

/// A guest that has a buffer and a kernel, with a dispatch in its list.
fn ready(sandbox: &Sandbox) -> (Guest, i64) {
    let mut guest = Guest::new(sandbox);
    let buffer = guest.gpu_buffer(256, 1).unwrap();
    let kernel = guest.gpu_kernel("double").unwrap();
    guest.put_dispatch(0, kernel, [1, 1, 1], &[(3, buffer, 0, 4)]);
    (guest, buffer)
}

/// After whatever happened, another instance of the same sandbox works.
fn assert_next_works(gpu: &FakeGpu, sandbox: &Sandbox) {
    *gpu.behavior.lock().unwrap() = Behavior::Obey;
    let (mut guest, buffer) = ready(sandbox);
    assert_eq!(guest.gpu_submit(1), SUCCESS);
    assert_eq!(guest.call("gpu_read", &[buffer, 0, O, 4]), SUCCESS);
    drop(guest);
    assert_eq!(gpu.log().alive, 0);
}

#[test]
fn the_deadline_holds_for_a_device_that_never_replies() {
    for behavior in [Behavior::Silent, Behavior::Clogged] {
        for (name, args) in [("gpu_buffer", &[0, 4, 1, O][..]), ("gpu_kernel", &[0, 40_000])] {
            let gpu = FakeGpu::new(behavior);
            let sandbox = short(&gpu);
            let mut guest = Guest::new(&sandbox);
            guest.put_kernel(b"double", 0);
            let started = Instant::now();
            let error = guest.try_call(name, args).unwrap_err();
            assert_eq!(error.limit(), Some(Limit::Time), "{behavior:?} {name}: {error}");
            assert!(started.elapsed() < FAR);
            assert_eq!(gpu.log().alive, 0, "the session ends with the call");
            drop(guest);
            assert_next_works(&gpu, &sandbox);
        }
    }
}

#[test]
fn the_deadline_holds_for_a_dispatch_that_never_ends() {
    let gpu = FakeGpu::new(Behavior::Hang);
    let sandbox = short(&gpu);
    // What was submitted is waited for when the call ends.
    let (mut guest, _) = ready(&sandbox);
    let error = guest.try_call("gpu_submit", &[0, LIST, 1]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    assert_eq!(gpu.log().alive, 0);
    guest.0.reset().unwrap();
    drop(guest);
    const BODY: &str = r#"(func (export "both") (param i32 i32) (result i32)
        (if (call $gpu_submit (i32.const 0) (i32.const 20000) (i32.const 1)) (then (unreachable)))
        (if (local.get 0) (then (return (call $gpu_wait (i32.const 0)))))
        (call $gpu_read (local.get 1) (i64.const 0) (i32.const 0) (i32.const 4)))"#;
    for waits in [1, 0] {
        *gpu.behavior.lock().unwrap() = Behavior::Hang;
        let mut guest = Guest(sandbox.instantiate(&module(BODY)).unwrap());
        let buffer = guest.gpu_buffer(256, 1).unwrap();
        let kernel = guest.gpu_kernel("double").unwrap();
        guest.put_dispatch(0, kernel, [1, 1, 1], &[(3, buffer, 0, 4)]);
        let error = guest.try_call("both", &[waits, buffer]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time), "{error}");
        assert_eq!(gpu.log().alive, 0);
        drop(guest);
        assert_next_works(&gpu, &sandbox);
    }
}

/// A call that fails does not wait for what it submitted.
#[test]
fn a_failed_call_ends_what_it_submitted() {
    const BODY: &str = r#"(func (export "fail") (result i32)
        (drop (call $gpu_submit (i32.const 0) (i32.const 20000) (i32.const 1)))
        (unreachable))"#;
    let gpu = FakeGpu::new(Behavior::Hang);
    let sandbox = sandbox(&gpu, scope());
    let mut guest = Guest(sandbox.instantiate(&module(BODY)).unwrap());
    let buffer = guest.gpu_buffer(256, 1).unwrap();
    let kernel = guest.gpu_kernel("double").unwrap();
    guest.put_dispatch(0, kernel, [1, 1, 1], &[(3, buffer, 0, 4)]);
    let waits = gpu.log().waits;
    let error = guest.try_call("fail", &[]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)),
        "{error}"
    );
    let log = gpu.log();
    assert_eq!((log.alive, log.waits), (0, waits));
}

#[test]
fn an_interrupt_and_a_revocation_end_a_wait() {
    for revokes in [false, true] {
        let gpu = FakeGpu::new(Behavior::Silent);
        let mut sandbox = sandbox(&gpu, scope());
        sandbox.set_limits(Limits::DEFAULT.with_time(FAR * 10));
        let mut guest = Guest::new(&sandbox);
        let (interrupt, authority) = (
            guest.0.interrupt_handle_for_next_call(),
            sandbox.authority().clone(),
        );
        let started = Instant::now();
        let ended = thread::scope(|scope| {
            scope.spawn(|| {
                while gpu.log().waits == 0 {
                    thread::yield_now();
                }
                if revokes {
                    authority.revoke(Capabilities::GPU);
                } else {
                    interrupt.interrupt();
                }
            });
            guest.try_call("gpu_buffer", &[0, 4, 1, O])
        });
        assert!(started.elapsed() < FAR);
        assert_eq!(gpu.log().alive, 0);
        if revokes {
            assert_eq!(ended.unwrap(), NOTCAPABLE);
            // The worker is gone; a grant does not bring it back.
            authority.grant(Capabilities::GPU);
            assert_eq!(guest.gpu_buffer(4, 1), Err(NODEV));
            *gpu.behavior.lock().unwrap() = Behavior::Obey;
            guest.0.reset().unwrap();
            guest.gpu_buffer(4, 1).unwrap();
        } else {
            assert!(matches!(ended.unwrap_err().kind(), ErrorKind::Interrupted));
        }
        drop(guest);
        assert_next_works(&gpu, &sandbox);
    }
}

/// A device cannot delay the end of a call with many small replies.
#[test]
fn an_interrupt_ends_a_read_between_two_replies() {
    let gpu = FakeGpu::new(Behavior::Crumbs);
    let (mut guest, buffer) = ready(&sandbox(&gpu, scope()));
    assert_eq!(guest.call("gpu_read", &[buffer, 0, O, 256]), SUCCESS);
    gpu.log().interrupted = Some(guest.0.interrupt_handle_for_next_call());
    let error = guest.try_call("gpu_read", &[buffer, 0, O, 256]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    // It was not read to its end.
    let alive = gpu.log().alive;
    assert_eq!(alive, 0);
}

/// Work that is revoked when the call ends does not fail the call.
#[test]
fn a_revocation_ends_what_a_call_left() {
    let gpu = FakeGpu::new(Behavior::Hang);
    let mut sandbox = sandbox(&gpu, scope());
    sandbox.set_limits(Limits::DEFAULT.with_time(FAR * 10));
    let (mut guest, _) = ready(&sandbox);
    let authority = sandbox.authority().clone();
    let waits = gpu.log().waits;
    thread::scope(|scope| {
        scope.spawn(|| {
            while gpu.log().waits == waits {
                thread::yield_now();
            }
            authority.revoke(Capabilities::GPU);
        });
        assert_eq!(guest.gpu_submit(1), SUCCESS);
    });
    assert_eq!(gpu.log().alive, 0);
    authority.grant(Capabilities::GPU);
    assert_eq!(guest.gpu_submit(1), NODEV);
}

#[test]
fn a_device_that_lies_or_dies_is_gone_until_the_reset() {
    for behavior in [
        Behavior::Refuse,
        Behavior::Die,
        Behavior::WrongKind,
        Behavior::TooMuch,
        Behavior::Implausible,
        Behavior::Chatty,
    ] {
        let gpu = FakeGpu::new(behavior);
        for _ in 0..5 {
            *gpu.behavior.lock().unwrap() = behavior;
            let sandbox = sandbox(&gpu, scope());
            let mut guest = Guest::new(&sandbox);
            let mut errnos = Vec::new();
            let buffer = guest.gpu_buffer(256, 1).unwrap_or_else(|errno| {
                errnos.push(errno);
                0
            });
            if buffer != 0 {
                errnos.push(guest.gpu_kernel("double").err().unwrap_or(0));
                errnos.push(guest.call("gpu_write", &[buffer, 0, 0, 4]));
                errnos.push(guest.call("gpu_read", &[buffer, 0, O, 4]));
                errnos.push(guest.call("gpu_wait", &[0]));
            }
            let first = errnos.iter().position(|errno| *errno != 0).unwrap();
            assert!(
                errnos[first..].iter().all(|errno| *errno == NODEV),
                "{behavior:?}: {errnos:?}"
            );
            assert_eq!(gpu.log().alive, 0, "{behavior:?}");
            let opened = gpu.log().opened;
            assert_eq!(guest.gpu_buffer(4, 1), Err(NODEV));
            assert_eq!(guest.gpu_kernel("double"), Err(NODEV));
            assert_eq!(gpu.log().opened, opened, "it is not opened again");
            *gpu.behavior.lock().unwrap() = Behavior::Obey;
            guest.0.reset().unwrap();
            guest.gpu_buffer(4, 1).unwrap();
            drop(guest);
            assert_next_works(&gpu, &sandbox);
        }
    }
}

#[test]
fn a_device_without_memory_is_an_errno() {
    let gpu = FakeGpu::new(Behavior::Poor);
    let mut guest = guest(&gpu, scope());
    assert_eq!(guest.gpu_buffer(4, 1), Err(NOMEM));
    assert_eq!(guest.gpu_kernel("double"), Err(NOMEM));
    assert_eq!(guest.0.usage().peak_gpu_memory_bytes, 0);
    assert_eq!(guest.gpu_buffer(4, 1), Err(NOMEM));
    assert_eq!(gpu.log().alive, 1);
}

#[test]
fn a_worker_has_no_gpu() {
    const BODY: &str = r#"(data (i32.const 30000) "count")
    (func (export "count") (param i64) (result i64)
        (i64.extend_i32_u (call $gpu_device_count (i32.const 0))))
    (func (export "ask") (result i64)
        (if (call $thread_spawn (i32.const 30000) (i32.const 5) (i64.const 0) (i32.const 64)) (then (unreachable)))
        (if (call $thread_join (i32.load (i32.const 64)) (i32.const 72)) (then (unreachable)))
        (i64.load (i32.const 72)))"#;
    let gpu = FakeGpu::new(Behavior::Obey);
    let mut guest = Guest(sandbox(&gpu, scope()).instantiate(&module(BODY)).unwrap());
    assert_eq!(guest.call("ask", &[]), NOSYS);
    assert_eq!(guest.call("gpu_device_count", &[O]), SUCCESS);
}

/// Every function, called forever: fuel ends it.
#[test]
fn no_function_is_free() {
    for call in [
        "(call $gpu_device_count (i32.const 0))",
        "(call $gpu_device_info (i32.const 0) (i32.const 0))",
        "(call $gpu_buffer (i32.const 0) (i64.const 4) (i32.const 1) (i32.const 0))",
        "(call $gpu_kernel (i32.const 0) (i32.const 40000))",
        "(call $gpu_write (local.get 0) (i64.const 0) (i32.const 0) (i32.const 4))",
        "(call $gpu_submit (i32.const 0) (i32.const 20000) (i32.const 1))",
        "(call $gpu_wait (i32.const 0))",
        "(call $gpu_read (local.get 0) (i64.const 0) (i32.const 0) (i32.const 4))",
        "(call $gpu_free (local.get 0))",
    ] {
        let gpu = FakeGpu::new(Behavior::Obey);
        let mut sandbox = sandbox(&gpu, scope());
        sandbox.set_limits(Limits::DEFAULT.with_fuel(20_000).with_time(FAR * 10));
        let body = format!(
            "(func (export \"again\") (param i32) (result i32) (loop $l {call} (drop) (br $l)) (i32.const 0))"
        );
        let mut guest = Guest(sandbox.instantiate(&module(&body)).unwrap());
        let buffer = guest.gpu_buffer(256, 1).unwrap();
        let kernel = guest.gpu_kernel("double").unwrap();
        guest.put_dispatch(0, kernel, [1, 1, 1], &[(3, buffer, 0, 4)]);
        let error = guest.try_call("again", &[buffer]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Fuel), "{call}: {error}");
    }
}
