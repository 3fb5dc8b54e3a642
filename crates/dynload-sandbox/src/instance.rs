//! An instance of a module, with its own store.

mod exports;
mod integers;
mod last_callee;
mod link;
mod store_id;
pub(crate) mod typed;

pub(crate) use exports::{call_export, exported, signature};
use last_callee::LastCallee;
pub(crate) use link::Origin;

use crate::{
    call::interrupt::InterruptHandle,
    call::run,
    call::state::{Linked, State},
    error::{Error, ErrorKind, Invoked},
    host::{GuestMemory, NoMemory, Stream},
    metering::{frames::LAZY, hidden},
    module::Module,
    usage::{Totals, Usage},
    value::{Signature, Value},
};
use alloc::{boxed::Box, vec::Vec};
use core::{any::Any, fmt};
use wasmi::{AsContext, AsContextMut, Store, StoreContextMut};

/// An instance of a module in a sandbox.
///
/// It has its own store: nothing is shared with other instances, and all of it is freed when the instance is dropped. The
/// state in memories, tables and globals persists from call to call.
///
/// An instance whose call was aborted (by a trap, an exceeded limit, an interrupt, a denied capability, an exit) is
/// *poisoned*: the guest's stack pointer and data may be in any state, so it refuses further calls until it is [`reset`].
///
/// [`reset`]: Instance::reset
pub struct Instance {
    module: Module,
    /// On the heap: it takes nearly two kilobytes, and instances are moved.
    store: Box<Store<State>>,
    /// The number of the store, by which a typed handle detects whether it belongs to this one.
    store_id: usize,
    /// The number of this instance in its sandbox.
    nth: usize,
    poisoned: Option<Error>,
    frame_start: u64,
    last_callee: LastCallee,
}

impl Instance {
    /// Calls an exported function by name.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSuchExport`] and [`ErrorKind::SignatureMismatch`]: no guest code ran.
    /// - [`ErrorKind::Poisoned`]: no guest code ran; [`reset`](Instance::reset) the instance first.
    /// - Any other error aborted the call; the instance is now poisoned.
    pub fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        self.enter(Invoked::Export(export))?;
        let result = last_callee::call(self.store.as_context_mut(), &mut self.last_callee, export, args);
        self.leave(Invoked::Export(export), result)
    }

    /// Calls an exported function that accepts and returns integers, with every integer as an `i64`.
    ///
    /// An `i32` parameter accepts a value that fits; an `i32` result is sign-extended; without a result, 0 is returned.
    ///
    /// # Errors
    ///
    /// As [`call`](Instance::call). Also [`ErrorKind::SignatureMismatch`] if a parameter or the result is not an integer, if a
    /// value does not fit, or if there is more than one result.
    pub fn call_i64(&mut self, export: &str, args: &[i64]) -> Result<i64, Error> {
        self.enter(Invoked::Export(export))?;
        let result = integers::call(self.store.as_context_mut(), &mut self.last_callee, export, args);
        self.leave(Invoked::Export(export), result)
    }

    /// Returns the type of an exported function, or `None` if there is no function of this name.
    #[must_use]
    pub fn signature(&self, export: &str) -> Option<Signature> {
        signature(self.store.as_context(), export)
    }

    /// Returns the resources that the last call used, or the instantiation or reset if there was no call since.
    ///
    /// [`Usage`] says which fields are about the call and which about the instance. A call that was refused because the
    /// instance is poisoned does not change them.
    pub fn usage(&mut self) -> Usage {
        run::usage(&mut self.store.as_context_mut())
    }

    /// Returns what all calls have used since the instance was created: its instantiation, the calls, and the resets.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Engine, Limits, Module, Sandbox};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str(
    ///     "(module (func (export \"two\") (result i64) (i64.const 2)) (func (export \"trap\") unreachable))")?)?;
    /// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
    /// let before = instance.totals();
    /// instance.call_i64("two", &[])?;
    /// instance.call_i64("trap", &[]).unwrap_err();
    /// instance.reset()?;
    /// instance.call_i64("two", &[])?;
    /// let totals = instance.totals().saturating_sub(before);
    /// assert_eq!((totals.calls, totals.failures, totals.fuel), (4, 1, 5));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn totals(&self) -> Totals {
        let state = self.store.data();
        Totals {
            // Calls are numbered from 1, and resets go on with the numbers.
            calls: state.call as u64,
            ..state.meter.totals()
        }
    }

    /// Instantiates the compiled module again: with a new store, and no longer poisoned. Runs the start function and,
    /// in a reactor, `_initialize`, as [`instantiate`](crate::Sandbox::instantiate) does.
    ///
    /// The settings (limits, scopes, host functions, console, clock, entropy, budget, arguments) are those with which
    /// the instance was created, even if those of the sandbox were changed since. The capabilities are those that are
    /// granted now.
    ///
    /// A reset that succeeds
    ///
    /// - discards output that was not [taken](Instance::take_output), restarts the count of the console's
    ///   [limit](crate::Console::with_limit), and reads standard input from its start again, unless it is the host's
    ///   own;
    /// - closes the guest's files and sockets;
    /// - restarts [`SeededEntropy`](crate::SeededEntropy): the guest receives the same bytes as the first time;
    /// - restarts [`usage`](Instance::usage): it is that of this instantiation; [`totals`](Instance::totals) go on;
    /// - keeps handles valid: an [`InterruptHandle`] works as before, and the reset counts as one call; a
    ///   [`TypedFunc`](crate::TypedFunc) looks its function up in each call from then on.
    ///
    /// The old store is dropped first, so the host needs memory for one at a time.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::instantiate`](crate::Sandbox::instantiate). After an error the instance is poisoned by it, until a reset
    /// succeeds. The state from before the reset is lost: memory, output that was not taken, open files. The instance may not
    /// have a memory or any export then; what the start function wrote is there to take, and [`usage`](Instance::usage) is
    /// that of the reset.
    pub fn reset(&mut self) -> Result<(), Error> {
        let state = self.store.data_mut();
        let data = state.data.take();
        let origin = Origin {
            config: state.config.clone(),
            nth: self.nth,
            gate: state.gate.clone(),
            call: state.call,
            parent: state.parent.clone(),
        };
        let past = state.meter.totals();
        self.replace_store(origin);
        self.store.data_mut().meter.add_past(past);
        let result = self.instantiate();
        self.store.data_mut().data = data;
        #[cfg(feature = "std")]
        self.store.data_mut().resume_panic();
        result
    }

    /// Returns the error that poisoned the instance, if it is poisoned.
    #[must_use]
    pub fn poisoned_by(&self) -> Option<&Error> {
        self.poisoned.as_ref()
    }

    /// Returns a handle that ends the next call, and only that, from any thread.
    ///
    /// [`InterruptHandle`] says what counts as a call.
    #[must_use]
    pub fn interrupt_handle_for_next_call(&self) -> InterruptHandle {
        let state = self.store.data();
        InterruptHandle::new(state.gate.share(state.call), Some(state.call + 1))
    }

    /// Returns a handle that ends the call that runs when the handle is used, from any thread.
    ///
    /// Where a call that starts later must not be ended, use
    /// [`interrupt_handle_for_next_call`](Instance::interrupt_handle_for_next_call).
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        let state = self.store.data();
        InterruptHandle::new(state.gate.share(state.call), None)
    }

    /// Returns the memory that the guest exports as `memory`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`] if there is no such export.
    pub fn memory(&mut self) -> Result<GuestMemory<'_>, NoMemory> {
        // After a reset that failed, nothing may be linked.
        let memory = self.store.data().linked.and_then(|linked| linked.memory);
        let memory = memory.ok_or(NoMemory)?;
        Ok(GuestMemory(memory.data_mut(&mut *self.store)))
    }

    /// Takes the output that the guest has written since the last call of this function, if the console is buffered.
    ///
    /// Output that was taken still counts towards the [limit of the console](crate::Console::with_limit).
    pub fn take_output(&mut self, stream: Stream) -> Vec<u8> {
        self.store.data_mut().console.take(stream)
    }

    /// Stores a value for the host functions that this instance calls, which read it with
    /// [`Caller::data`](crate::Caller::data), and returns the previous one. Host functions are shared by all instances of a
    /// sandbox: this is how they tell them apart.
    ///
    /// The value survives [`reset`](Instance::reset). A start function and `_initialize` run without it.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Capabilities, Engine, Limits, Module, Sandbox, Stop, Value};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str(
    ///     r#"(module (import "env" "count" (func $count (result i32)))
    ///         (func (export "run") (result i32) (call $count)))"#)?)?;
    /// let mut sandbox = Sandbox::new(Limits::DEFAULT);
    /// sandbox.func_wrap("env", "count", Capabilities::NONE, |caller, ()| {
    ///     let calls = caller.data::<i32>().ok_or_else(|| Stop::host("the instance has no counter"))?;
    ///     *calls += 1;
    ///     Ok(*calls)
    /// });
    /// let mut instance = sandbox.instantiate(&module)?;
    /// instance.set_data(41_i32);
    /// assert_eq!(instance.call("run", &[])?, [Value::I32(42)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_data(&mut self, data: impl Any + Send + Sync) -> Option<Box<dyn Any + Send + Sync>> {
        self.store.data_mut().data.replace(Box::new(data))
    }

    /// Returns the module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) fn store_id(&self) -> usize {
        self.store_id
    }

    pub(crate) fn context(&mut self) -> StoreContextMut<'_, State> {
        self.store.as_context_mut()
    }

    fn linked(&self) -> Linked {
        match self.store.data().linked {
            Some(linked) => linked,
            // `link` sets it, and an instance whose `link` failed is poisoned.
            None => unreachable!("an instance is wired before its functions run"),
        }
    }

    /// Starts a call: counts it, and grants the first slice.
    pub(crate) fn enter(&mut self, invocation: Invoked<'_>) -> Result<(), Error> {
        if let Some(first) = &self.poisoned {
            let kind = ErrorKind::Poisoned(first.clone());
            return Err(Error::new(invocation, kind, Usage::default(), None));
        }
        let state = self.store.data_mut();
        state.call += 1;
        state.gate.enter(state.call);
        state.memory.denied = None;
        state.meter.start();
        let granted = if state.is_told_to_stop() {
            Err(ErrorKind::Interrupted)
        } else {
            state.meter.grant(0, false)
        };
        match granted {
            Ok(granted) => {
                run::set_fuel(&mut *self.store, granted);
                if self.module.rewritten().counts_frames && self.store.data().linked.is_some() {
                    self.rewind_frames();
                }
                Ok(())
            }
            Err(kind) => self.leave(invocation, Err(kind)),
        }
    }

    /// Ends a call: reads the meter, and poisons the instance if the call was aborted. Resumes a panic of a host function.
    pub(crate) fn leave<R>(
        &mut self,
        invocation: Invoked<'_>,
        result: Result<R, ErrorKind>,
    ) -> Result<R, Error> {
        let result = self.finish(invocation, result);
        #[cfg(feature = "std")]
        self.store.data_mut().resume_panic();
        result
    }

    /// As [`leave`](Instance::leave), and keeps the panic of a host function.
    #[inline(always)]
    fn finish<R>(&mut self, invocation: Invoked<'_>, mut result: Result<R, ErrorKind>) -> Result<R, Error> {
        #[cfg(all(feature = "std", any(unix, windows)))]
        if self.store.data().services.are_open() {
            result = self.end_services(result);
        }
        self.end_call();
        // Code that ran on lent fuel had run out of fuel before, unless it exceeded another limit.
        if matches!(result, Ok(_) | Err(ErrorKind::Trap(_) | ErrorKind::Engine(_)))
            && let Err(overdrawn) = self.store.data().meter.check_overdrawn()
        {
            result = Err(overdrawn);
        }
        let inner = self.store.data_mut().inner_failure.take();
        match result {
            Ok(results) => {
                if inner.is_some() {
                    self.poisoned = inner;
                }
                Ok(results)
            }
            Err(kind) => {
                self.store.data_mut().meter.fail();
                let usage = self.usage();
                // A call that a host function makes may fail with the same kinds of errors, and then this call was aborted.
                let nothing_ran = inner.is_none()
                    && matches!(
                        kind,
                        ErrorKind::NoSuchExport { .. } | ErrorKind::SignatureMismatch { .. }
                    );
                let error = Error::new(invocation, kind, usage, self.store.data().memory.denied);
                if !nothing_ran {
                    self.poisoned = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Ends what the services started for the call. A call that succeeded has failed if that takes too long.
    #[cfg(all(feature = "std", any(unix, windows)))]
    #[inline(never)]
    fn end_services<R>(&mut self, result: Result<R, ErrorKind>) -> Result<R, ErrorKind> {
        let ended = crate::services::end_call(self.store.data_mut(), result.is_ok());
        result.and_then(|results| ended.map(|()| results))
    }

    // Without inlining, the calls of this and of the meter's `grant` would take a twentieth of a short call.
    #[inline(always)]
    fn end_call(&mut self) {
        run::settle(&mut self.store.as_context_mut());
        self.store.data_mut().end_watch();
    }

    /// Resets the frame counters to no live frame.
    fn rewind_frames(&mut self) {
        let globals = self.linked().hidden;
        if let Some(global) = globals.frames {
            let lazy = self.module.expected_first_uses().map_or(0, |_| LAZY);
            hidden::write(self.store.as_context_mut(), global, self.frame_start | lazy);
        }
        if let Some((stack, depth)) = globals.peaks {
            hidden::write(self.store.as_context_mut(), stack, 0);
            hidden::write(self.store.as_context_mut(), depth, 0);
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("module", &self.module)
            .field("poisoned", &self.poisoned)
            .finish()
    }
}
