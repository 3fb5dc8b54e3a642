//! `dynload.thread_spawn` and `dynload.thread_join`: workers, behind the capability THREADING.
//!
//! A worker is a new instance of the same module with its own memory, on a host thread. It burns the fuel of the call
//! that started it, has its deadline and its capabilities, and is stopped when that call ends.

use super::{answer::Answer, functions, guest, readiness, require, system::console, wasi::Errno};
use crate::{
    call::interrupt::LazyGate,
    call::share::Share,
    call::state::State,
    config::Config,
    error::{Error, ErrorKind, Limit, Stop},
    host::{Caller, Stream},
    instance::{Instance, Origin},
    module::Module,
    value::Value,
};
use dynload_caps::Capabilities;
use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
    vec::Vec,
};
use wasmi::{Func, Store};

/// The maximum length of an export's name.
const MAX_NAME: u32 = 255;

/// Bytes of a worker's stack on the host. The frames of the guest are not on it.
const STACK: usize = 2 << 20;

/// The number of the first worker. Instances of the sandbox are numbered from 0, so workers draw other random
/// numbers.
const FIRST_WORKER: usize = 1 << 24;

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, {
        "thread_spawn" => spawn [name_ptr: u32, name_len: u32, arg: u64, thread_out: u32];
        "thread_join" => join [thread: u32, result_out: u32];
    })
}

/// The workers of one call.
#[derive(Default)]
pub(super) struct Workers {
    /// Created with the first worker.
    shared: Option<(Share, Arc<Config>)>,
    /// The workers that are not joined yet.
    list: Vec<Worker>,
    /// The number of the next worker; numbers are not reused while the instance exists.
    next: u32,
}

struct Worker {
    number: u32,
    thread: JoinHandle<()>,
    /// In an uncontended lock, so that instances stay `Sync`.
    outcome: Mutex<mpsc::Receiver<Outcome>>,
}

impl Worker {
    fn receiver(&mut self) -> &mut mpsc::Receiver<Outcome> {
        self.outcome.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a worker.
struct Outcome {
    result: Result<i64, Option<Error>>,
    fuel: u64,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Workers {
    /// Returns whether this call has started a worker.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }
}

/// A failed start function leaves its workers to this. They have ended when the instance is dropped.
impl Drop for Workers {
    fn drop(&mut self) {
        if let Some((share, _)) = &self.shared {
            share.end();
        }
        for worker in core::mem::take(&mut self.list) {
            // A panic of the worker was already reported.
            let _ = worker.thread.join();
        }
    }
}

fn spawn(caller: &mut Caller<'_>, name_ptr: u32, name_len: u32, arg: u64, thread_out: u32) -> Answer {
    require(caller, Capabilities::THREADING)?;
    let name = guest::text(caller, name_ptr, name_len, MAX_NAME)?;
    caller.memory_or_empty().slice(thread_out, 4)?;
    let max = caller.state().config.scopes.max_workers;
    if max == 0 {
        return Err(Errno::Notcapable.into());
    }
    caller.check()?;
    let (share, config) = shared(caller);
    if !share.add_worker(max) {
        return Err(Errno::Again.into());
    }
    let state = caller.state();
    let module = state.services.open().module.clone();
    let workers = &mut state.services.open_mut().workers;
    let number = workers.next;
    let (sender, outcome) = mpsc::sync_channel(1);
    let parent = share.clone();
    let work = move || {
        // The call may have ended without waiting for the outcome.
        let _ = sender.send(work(module, config, parent, number, &name, arg as i64));
    };
    let started = thread::Builder::new()
        .name("dynload-worker".into())
        .stack_size(STACK)
        .spawn(work);
    let Ok(thread) = started else {
        share.remove_worker();
        return Err(Errno::Again.into());
    };
    workers.next = workers.next.wrapping_add(1);
    workers.list.push(Worker {
        number,
        thread,
        outcome: Mutex::new(outcome),
    });
    guest::write_u32(caller, thread_out, number)
}

/// Returns what the workers of this call share with it, creating it for the first worker.
fn shared(caller: &mut Caller<'_>) -> (Share, Arc<Config>) {
    if let Some(shared) = &caller.state().services.open().workers.shared {
        return shared.clone();
    }
    // Fuel can be shared only while no slice of it is handed out.
    caller.return_fuel();
    let now = caller.monotonic();
    let state = caller.state();
    let started = now.saturating_sub(state.meter.elapsed(now));
    let parent = state.parent.clone();
    let memory = state.memory.share();
    let resolving = state.services.resolving(state.parent.as_ref());
    let share = Share::new(started, state.gate.share(state.call), state.call, memory, parent)
        .of(state.running(), resolving);
    let config = Arc::new(Config {
        budget: state.meter.share_fuel(),
        console: state.config.console.of_worker(),
        ..(*state.config).clone()
    });
    let shared = (share, config);
    state.services.open_mut().workers.shared = Some(shared.clone());
    shared
}

/// Runs a worker.
fn work(module: Module, config: Arc<Config>, parent: Share, number: u32, name: &str, arg: i64) -> Outcome {
    let origin = Origin {
        config,
        nth: FIRST_WORKER + number as usize,
        gate: LazyGate::default(),
        call: 0,
        parent: Some(parent),
    };
    let mut instance = match Instance::new(module, origin) {
        Ok(instance) => instance,
        Err(error) => {
            let fuel = error.usage().fuel;
            return Outcome {
                result: Err(Some(error)),
                fuel,
                output: Vec::new(),
                errors: Vec::new(),
            };
        }
    };
    let mut fuel = instance.usage().fuel;
    let result = instance.call(name, &[Value::I64(arg)]);
    fuel += instance.usage().fuel;
    let result = match result {
        Ok(results) => match results[..] {
            [Value::I64(result)] => Ok(result),
            _ => Err(None),
        },
        Err(error) => Err(Some(error)),
    };
    let (output, errors) = (
        instance.take_output(Stream::Out),
        instance.take_output(Stream::Err),
    );
    Outcome {
        result,
        fuel,
        output,
        errors,
    }
}

fn join(caller: &mut Caller<'_>, thread: u32, result_out: u32) -> Answer {
    require(caller, Capabilities::THREADING)?;
    caller.memory_or_empty().slice(result_out, 8)?;
    // The workers may need the fuel that this call holds but does not burn while it waits.
    caller.return_fuel();
    let step = |caller: &mut Caller<'_>| {
        let workers = &mut caller.state().services.open_mut().workers;
        let at = workers
            .list
            .iter()
            .position(|worker| worker.number == thread)
            .ok_or(Errno::Srch)?;
        match workers.list[at].receiver().recv_timeout(readiness::SLICE) {
            Ok(outcome) => Ok(Some((workers.list.swap_remove(at), Some(outcome)))),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(Some((workers.list.swap_remove(at), None))),
        }
    };
    let (worker, outcome) = readiness::retry(caller, Capabilities::THREADING, step, |_, _| Ok(()))?;
    let Some(outcome) = absorb(caller.state(), worker, outcome) else {
        return Err(Errno::Canceled.into());
    };
    for (stream, bytes) in [(Stream::Out, &outcome.output), (Stream::Err, &outcome.errors)] {
        caller.write_console(stream, bytes, &mut 0)?;
    }
    match outcome.result {
        Ok(result) => guest::write_u64(caller, result_out, result as u64),
        Err(Some(error)) if is_shared(error.kind()) => Err(Stop(error.kind().clone()).into()),
        Err(_) => Err(Errno::Canceled.into()),
    }
}

/// Returns whether a worker was stopped by a limit or interrupt that it shares with its call, which must then stop
/// too.
fn is_shared(kind: &ErrorKind) -> bool {
    let ErrorKind::LimitExceeded { limit, .. } = kind else {
        return matches!(kind, ErrorKind::Interrupted);
    };
    matches!(limit, Limit::Fuel | Limit::FuelBudget | Limit::Time)
}

/// Adds the fuel that an ended worker burnt to the call's. A panicked thread has no outcome; whether or not it
/// returned its fuel, it holds nothing of this instance.
fn absorb(state: &mut State, worker: Worker, outcome: Option<Outcome>) -> Option<Outcome> {
    let panicked = worker.thread.join().is_err();
    if let Some((share, _)) = &state.services.open().workers.shared {
        share.remove_worker();
    }
    let outcome = outcome.filter(|_| !panicked)?;
    state.meter.add_burnt(outcome.fuel);
    Some(outcome)
}

/// Stops the workers that were not joined, and waits for them.
pub(super) fn end_call(state: &mut State) {
    let open = state.services.open_mut();
    let Some((share, _)) = &open.workers.shared else {
        return;
    };
    share.end();
    for mut worker in core::mem::take(&mut open.workers.list) {
        let outcome = worker.receiver().recv().ok();
        // No one needs its result any more, but its fuel and its output count.
        if let Some(outcome) = absorb(state, worker, outcome) {
            write_at_end(state, Stream::Out, &outcome.output);
            write_at_end(state, Stream::Err, &outcome.errors);
        }
    }
    state.services.open_mut().workers.shared = None;
    if state.parent.is_none() {
        state.memory.end_share();
    }
}

/// How long the output of workers may be on its way after the call.
const FLUSH: Duration = Duration::from_millis(20);

/// Writes to the console without waiting for a reader: the call is over.
fn write_at_end(state: &mut State, stream: Stream, bytes: &[u8]) {
    if !state.config.console.inherits_output() {
        // The call is over: there is no one to report an error to.
        let _ = state.console().write(stream, bytes);
        return;
    }
    for chunk in bytes.chunks(console::ROOM) {
        if !console::is_ready(stream) || state.console().write(stream, chunk).is_err() {
            return;
        }
    }
    console::is_written(stream, FLUSH);
}
