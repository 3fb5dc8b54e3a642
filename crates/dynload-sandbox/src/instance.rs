//! A running module: one store each, gone with it.

mod exports;
mod integers;
mod link;
pub(crate) mod typed;

pub(crate) use exports::{call_export, exported, signature};
use integers::LastCalled;
pub(crate) use link::Origin;

use crate::{
    authority::Authority,
    call::interrupt::InterruptHandle,
    call::run,
    call::state::{State, Wired},
    error::{Error, ErrorKind, Invocation},
    host::{GuestMemory, NoMemory, Stream},
    metering::hidden,
    module::Module,
    usage::Usage,
    value::{Signature, Value},
};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use wasmi::{AsContext, AsContextMut, Store, StoreContextMut};

/// An instance of a module in a sandbox.
///
/// It has a store of its own: nothing is shared with other instances, and all of it is freed when it is dropped. State
/// in memories, tables and globals lasts from call to call.
///
/// An instance whose call ended half-way (a trap, an exceeded limit, an interrupt, a denied capability, an exit) is
/// *poisoned*: its own stack pointer and data may be in any state, so it refuses further calls until [`reset`].
///
/// [`reset`]: Instance::reset
pub struct Instance {
    module: Module,
    authority: Authority,
    /// On the heap: it is nearly two kilobytes, and an instance is moved about.
    store: Box<Store<State>>,
    /// Numbers stores, so that a typed handle knows whether it belongs to this one.
    store_id: usize,
    /// Which instance of its sandbox this is.
    nth: usize,
    poisoned: Option<Error>,
    frame_start: u64,
    last_called: LastCalled,
}

impl Instance {
    /// Calls an exported function by name.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSuchExport`] and [`ErrorKind::SignatureMismatch`]: nothing ran.
    /// - [`ErrorKind::Poisoned`]: nothing ran; [`reset`](Instance::reset) first.
    /// - Anything else stopped the call half-way; the instance is now poisoned.
    pub fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        self.enter(Invocation::Export(export))?;
        let result = call_export(self.store.as_context_mut(), export, args);
        self.leave(Invocation::Export(export), result)
    }

    /// Calls an exported function that takes and gives integers, with every integer as an `i64`.
    ///
    /// An `i32` parameter takes a value that fits; an `i32` result is sign-extended; no result gives 0.
    ///
    /// # Errors
    ///
    /// As [`call`](Instance::call); [`ErrorKind::SignatureMismatch`] also where a float is taken or given, where a value
    /// does not fit, and where there is more than one result.
    pub fn call_i64(&mut self, export: &str, args: &[i64]) -> Result<i64, Error> {
        self.enter(Invocation::Export(export))?;
        let result = integers::call(self.store.as_context_mut(), &mut self.last_called, export, args);
        self.leave(Invocation::Export(export), result)
    }

    /// The type of an exported function.
    #[must_use]
    pub fn signature(&self, export: &str) -> Option<Signature> {
        signature(self.store.as_context(), export)
    }

    /// What the last call used, or the instantiation if none was made yet.
    pub fn usage(&mut self) -> Usage {
        run::usage(&mut self.store.as_context_mut())
    }

    /// Starts anew from the compiled module: a fresh store, the start function, no poison.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::instantiate`](crate::Sandbox::instantiate). The instance is then poisoned.
    pub fn reset(&mut self) -> Result<(), Error> {
        let state = self.store.data();
        let origin = Origin {
            config: state.config.clone(),
            authority: self.authority.clone(),
            nth: self.nth,
            gate: state.gate.clone(),
            call: state.call,
            parent: state.parent.clone(),
        };
        match Instance::new(self.module.clone(), origin) {
            Ok(fresh) => {
                *self = fresh;
                Ok(())
            }
            Err(error) => {
                // It was a call too: an interrupt that ended it must not end the next one.
                self.store.data_mut().call += 1;
                self.poisoned = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Why the instance refuses calls, if it does.
    #[must_use]
    pub fn poisoned_by(&self) -> Option<&Error> {
        self.poisoned.as_ref()
    }

    /// A handle that ends the next call, from any thread, and only that.
    #[must_use]
    pub fn interrupt_handle_for_next_call(&self) -> InterruptHandle {
        let state = self.store.data();
        InterruptHandle::new(state.gate.clone(), Some(state.call + 1))
    }

    /// A handle that ends whichever call runs when it is used, from any thread.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(self.store.data().gate.clone(), None)
    }

    /// The memory that the guest exports as `memory`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`] if it exports none.
    pub fn memory(&mut self) -> Result<GuestMemory<'_>, NoMemory> {
        let memory = self.wired().memory.ok_or(NoMemory)?;
        Ok(GuestMemory(memory.data_mut(&mut *self.store)))
    }

    /// What the guest wrote and nobody took yet, where the console buffers.
    pub fn take_output(&mut self, stream: Stream) -> Vec<u8> {
        self.store.data_mut().console.take(stream)
    }

    /// The module.
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

    fn wired(&self) -> Wired {
        match self.store.data().wired {
            Some(wired) => wired,
            // `start` wires before it hands an instance out.
            None => unreachable!("an instance is wired when it is made"),
        }
    }

    /// Begins a call: counts it, hands out the first slice.
    pub(crate) fn enter(&mut self, invocation: Invocation<&str>) -> Result<(), Error> {
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
                if self.module.rewritten().counts_frames && self.store.data().wired.is_some() {
                    self.rewind_frames();
                }
                Ok(())
            }
            Err(kind) => self.leave(invocation, Err(kind)),
        }
    }

    /// Ends a call: reads the meter, and poisons the instance if the guest was stopped half-way.
    pub(crate) fn leave<R>(
        &mut self,
        invocation: Invocation<&str>,
        mut result: Result<R, ErrorKind>,
    ) -> Result<R, Error> {
        self.end_call();
        // Code that ran on what it was lent was out of fuel before, unless it got to another limit.
        if matches!(result, Ok(_) | Err(ErrorKind::Trap(_)))
            && let Err(overdrawn) = self.store.data().meter.check_overdrawn()
        {
            result = Err(overdrawn);
        }
        let inner = self.store.data_mut().inner_failure.take();
        let result = match result {
            Ok(results) => {
                if inner.is_some() {
                    self.poisoned = inner;
                }
                Ok(results)
            }
            Err(kind) => {
                let usage = self.usage();
                // What a host function looked for in vain is of the same kind, and stops the call half-way.
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
        };
        #[cfg(feature = "std")]
        self.store.data_mut().go_on_panicking();
        result
    }

    // With the meter's `grant` a twentieth of a short call, which each of them would else spend on being called.
    #[inline(always)]
    fn end_call(&mut self) {
        #[cfg(all(feature = "std", unix))]
        crate::services::end_call(self.store.data_mut());
        run::settle(&mut self.store.as_context_mut());
        self.store.data_mut().end_watch();
    }

    /// Puts the frame counters where they stand with no frame alive.
    fn rewind_frames(&mut self) {
        let globals = self.wired().hidden;
        if let Some(global) = globals.frames {
            hidden::write(self.store.as_context_mut(), global, self.frame_start);
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
