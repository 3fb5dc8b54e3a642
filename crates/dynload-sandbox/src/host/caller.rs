//! The view that a host function has of the call that it serves.

use crate::{
    call::run,
    call::state::State,
    error::{Error, ErrorKind, Invoked, Limit, Stop},
    host::{EntropyError, GuestMemory, NoMemory, Stream},
    metering::hidden,
    schedule,
    value::{Signature, Value},
};
use alloc::{string::ToString, vec::Vec};
use core::{any::Any, time::Duration};
use dynload_caps::{Capabilities, Limits};
use wasmi::{AsContext, AsContextMut};

/// The maximum nesting depth of calls from host functions back into the guest.
///
/// Each level uses the host's own stack, however small the guest's functions are: about 4 KiB if this crate is
/// optimised, about 17 KiB if not, plus the stack of the host function itself. So this crate's own part of all levels
/// fits into 256 KiB in a release build, and into 1 MiB in a debug build; the host functions need their part in
/// addition.
pub const MAX_REENTRY: u64 = 40;

/// How long a waiting host function sleeps between two checks of deadline, interrupt and capabilities.
const WAIT_SLICE: Duration = Duration::from_millis(1);

/// The guest's side of a host call: its memory, its limits, its capabilities, and calls back into it.
///
/// # Examples
///
/// A host function that reads the guest's memory. [`GuestMemory`] has an example of one that writes.
///
/// ```
/// use dynload_sandbox::{Caller, Capabilities, Engine, Limits, Module, Sandbox, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut sandbox = Sandbox::new(Limits::DEFAULT);
/// sandbox.func_wrap("env", "sum", Capabilities::NONE, |caller: &mut Caller<'_>, (ptr, len): (i32, i32)| {
///     let (ptr, len) = (ptr as u32, len as u32);
///     // The work is paid for before it is done.
///     caller.charge_bytes(len.into())?;
///     Ok(caller.memory()?.slice(ptr, len)?.iter().map(|byte| i64::from(*byte)).sum::<i64>())
/// });
/// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
///     (import "env" "sum" (func $sum (param i32 i32) (result i64)))
///     (memory (export "memory") 1) (data (i32.const 8) "\01\02\03")
///     (func (export "run") (result i64) (call $sum (i32.const 8) (i32.const 3))))"#)?)?;
/// let mut instance = sandbox.instantiate(&module)?;
/// assert_eq!(instance.call("run", &[])?, [Value::I64(6)]);
/// # Ok(())
/// # }
/// ```
pub struct Caller<'a>(wasmi::Caller<'a, State>);

impl<'a> Caller<'a> {
    /// Enters a host function: charges the base cost of every host function.
    #[inline]
    pub(crate) fn enter(inner: wasmi::Caller<'a, State>) -> Result<Caller<'a>, Stop> {
        let mut caller = Caller(inner);
        caller.glance()?;
        caller.charge(schedule::HOST_CALL)?;
        Ok(caller)
    }

    /// Returns the unburnt fuel of the running slice, because other calls may need it while this one waits.
    pub(crate) fn return_fuel(&mut self) {
        run::settle(&mut self.0.as_context_mut());
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.0.data_mut()
    }

    /// Returns the capabilities that are granted at this moment.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.data().config.authority.capabilities()
    }

    /// Returns the value that the embedder stored with [`Instance::set_data`](crate::Instance::set_data), if it is a `T`.
    pub fn data<T: Any>(&mut self) -> Option<&mut T> {
        self.0.data_mut().data.as_mut()?.downcast_mut()
    }

    /// Ends the call unless every bit of `capability` is granted at this moment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CapabilityDenied`], naming `import`.
    pub fn require(&self, capability: Capabilities, import: &str) -> Result<(), Stop> {
        if self.capabilities().has(capability) {
            return Ok(());
        }
        Err(Stop(ErrorKind::CapabilityDenied {
            capability,
            import: import.to_string(),
        }))
    }

    /// Returns the limits of the sandbox.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.data().config.limits
    }

    /// Charges `fuel` for work that the host does for the guest. Charge before the work is done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] if less than `fuel` is left; the guest is then charged nothing.
    #[inline]
    pub fn charge(&mut self, fuel: u64) -> Result<(), Stop> {
        run::charge(&mut self.0.as_context_mut(), fuel).map_err(Stop)
    }

    /// Charges for `bytes` that the host reads or writes for the guest, by the [`schedule`].
    ///
    /// # Errors
    ///
    /// As [`charge`](Caller::charge).
    pub fn charge_bytes(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge(bytes / schedule::BYTES_PER_FUEL)
    }

    /// Returns the memory that the guest exports as `memory`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`] if it exports none; as a [`Stop`] it ends the call.
    pub fn memory(&mut self) -> Result<GuestMemory<'_>, NoMemory> {
        match self.0.data().linked.and_then(|linked| linked.memory) {
            Some(memory) => Ok(GuestMemory(memory.data_mut(&mut self.0))),
            None => Err(NoMemory),
        }
    }

    /// As [`memory`](Caller::memory), but returns an empty memory if the guest exports none, so that every pointer is
    /// out of bounds.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn memory_or_empty(&mut self) -> GuestMemory<'_> {
        self.memory_and_state().0
    }

    pub(crate) fn memory_and_state(&mut self) -> (GuestMemory<'_>, &mut State) {
        let memory = self.0.data().linked.and_then(|linked| linked.memory);
        match memory {
            Some(memory) => {
                let (bytes, state) = memory.data_and_store_mut(&mut self.0);
                (GuestMemory(bytes), state)
            }
            None => (GuestMemory(&mut []), self.0.data_mut()),
        }
    }

    /// Returns the time until the call's deadline.
    pub fn remaining(&mut self) -> Duration {
        let state = self.0.data_mut();
        let now = state.config.clock.monotonic();
        state.meter.remaining(now)
    }

    /// Ends the call if its time is up or it was interrupted. A long-running host function calls this regularly.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] with [`Limit::Time`], or [`ErrorKind::Interrupted`].
    pub fn check(&mut self) -> Result<(), Stop> {
        self.0.data_mut().look().map_err(Stop)?;
        Ok(())
    }

    /// As [`check`](Caller::check), but only if time may have passed since the last glance.
    #[inline]
    pub(crate) fn glance(&mut self) -> Result<(), Stop> {
        self.0.data_mut().glance().map_err(Stop)
    }

    /// Waits for `duration` or until `done`, called about every millisecond, returns true. Returns whether `done`
    /// did.
    ///
    /// # Errors
    ///
    /// As [`check`](Caller::check): the wait ends with the call's time and with an interrupt.
    pub fn wait(
        &mut self,
        duration: Duration,
        mut done: impl FnMut(&mut Caller<'a>) -> bool,
    ) -> Result<bool, Stop> {
        let end = self.state().config.clock.monotonic().checked_add(duration);
        loop {
            self.check()?;
            if done(self) {
                return Ok(true);
            }
            let remaining = self.remaining();
            let now = self.state().config.clock.monotonic();
            let left = end.map_or(Duration::MAX, |end| end.saturating_sub(now));
            if left.is_zero() {
                return Ok(false);
            }
            if self.state().meter.is_shared() {
                self.return_fuel();
            }
            let pause = left.min(remaining).min(WAIT_SLICE);
            self.state().config.clock.clone().sleep(pause);
        }
    }

    /// Returns the time of the host's monotonic clock, since some fixed moment.
    #[cfg(feature = "std")]
    pub(crate) fn monotonic(&mut self) -> Duration {
        self.state().clock().monotonic()
    }

    /// Fills `buffer` with random bytes of the host.
    ///
    /// Checks no capability: that is up to the host function that passes the bytes on.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the host has none.
    pub fn random(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        self.state().entropy.fill(buffer)
    }

    /// Writes to the instance's console and returns how many bytes its limit and its sink accepted. Checks no capability.
    ///
    /// If the console is the host's own stream and its reader does not read earlier output, this waits until the call
    /// has to end, and then writes no more.
    pub fn print(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        let mut done = 0;
        // The next check finds again what stops the call.
        let _ = self.write_console(stream, bytes, &mut done);
        done
    }

    /// Writes to the instance's console and adds the number of written bytes to `done`. Waits no longer than the call
    /// may run. If the sink fails, the rest is dropped: the callers have no way to report it to the guest.
    pub(crate) fn write_console(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        done: &mut usize,
    ) -> Result<(), Stop> {
        #[cfg(all(feature = "std", any(unix, windows)))]
        if self.state().config.console.inherits_output() {
            use crate::services::system::console;
            for chunk in bytes.chunks(console::ROOM) {
                self.wait(Duration::MAX, |_| console::is_ready(stream))?;
                let Ok(written) = self.state().console().write(stream, chunk) else {
                    return Ok(());
                };
                *done += written;
            }
            self.wait(Duration::MAX, |_| console::is_written(stream, Duration::ZERO))?;
            return Ok(());
        }
        *done += self.state().console().write(stream, bytes).unwrap_or(0);
        Ok(())
    }

    /// Returns the signature of a function that the guest exports, or `None` if it does not export it.
    ///
    /// A host function can check this before it [calls](Caller::call): calling an export that does not exist ends the
    /// outer call too.
    #[must_use]
    pub fn signature(&self, export: &str) -> Option<Signature> {
        crate::instance::signature(self.0.as_context(), export)
    }

    /// Calls an export of the guest, within the same limits as the call that this host function serves.
    ///
    /// # Errors
    ///
    /// As [`Instance::call`](crate::Instance::call), and [`Limit::Reentry`] beyond [`MAX_REENTRY`]. The host function
    /// should return the error: the guest was stopped partway, and even if the host function continues, the instance
    /// is poisoned when the outer call ends.
    pub fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        if u64::from(self.state().reentries) >= MAX_REENTRY {
            return Err(Stop(ErrorKind::LimitExceeded {
                limit: Limit::Reentry,
                value: MAX_REENTRY,
                requested: None,
            }));
        }
        // The frames of the outer call are alive while the inner one runs; the values that the inner one leaves in
        // the counters are garbage.
        let frames = self.0.data().linked.and_then(|linked| linked.hidden.frames);
        let alive = frames.map(|global| (global, hidden::read(self.0.as_context(), global)));
        self.state().reentries += 1;
        let result = crate::instance::call_export(self.0.as_context_mut(), export, args);
        self.state().reentries -= 1;
        if let Some((global, counters)) = alive {
            hidden::write(self.0.as_context_mut(), global, counters);
        }
        match result {
            Ok(results) => Ok(results),
            Err(kind) => {
                let usage = run::usage(&mut self.0.as_context_mut());
                let state = self.0.data_mut();
                state.inner_failure = Some(Error::new(
                    Invoked::Export(export),
                    kind.clone(),
                    usage,
                    state.memory.denied,
                ));
                Err(Stop(kind))
            }
        }
    }
}
