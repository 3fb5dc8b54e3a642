//! The state of one instance: the data of its store.

use crate::{
    bytes::Exchange, call::interrupt::LazyGate, call::share::Share, call::watch::Watch, clock::Clock,
    config::Config, host::ConsoleState, host::EntropyStream, host::OpenConsole,
    metering::call_meter::CallMeter, metering::memory_meter::MemoryMeter, rewritten::Hidden, usage::Usage,
};
use alloc::{boxed::Box, sync::Arc};
use core::any::Any;

/// The payload of a panic in a function of the embedder. In a lock, so that instances can still be shared between threads; on
/// the heap, because it is rare.
#[cfg(feature = "std")]
pub(crate) type Panic = Box<std::sync::Mutex<Box<dyn Any + Send>>>;

/// The data of an instance's store.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    /// What a worker shares with the call that started it.
    pub(crate) parent: Option<Share>,
    pub(crate) gate: LazyGate,
    /// The number of the running call, or of the last one.
    pub(crate) call: usize,
    pub(crate) meter: CallMeter,
    pub(crate) watch: Watch,
    pub(crate) memory: MemoryMeter,
    pub(crate) exchange: Exchange,
    /// What the host keeps for an Extism plugin.
    #[cfg(feature = "extism")]
    pub(crate) extism: Option<Box<crate::bytes::Extism>>,
    pub(crate) console: ConsoleState,
    pub(crate) entropy: Box<dyn EntropyStream>,
    /// What the embedder keeps for its host functions.
    pub(crate) data: Option<Box<dyn Any + Send + Sync>>,
    pub(crate) linked: Option<Linked>,
    /// The number of host functions that are currently calling back into the guest.
    pub(crate) reentries: u32,
    /// The error of a failed call that a host function made, even if the host function continued.
    pub(crate) inner_failure: Option<crate::error::Error>,
    /// The payload of a panic in a host function, kept here so that it does not unwind through the interpreter.
    #[cfg(feature = "std")]
    pub(crate) panic: Option<Panic>,
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) services: crate::services::Services,
}

/// The parts of the interpreter's instance that the meter and the host functions access.
#[derive(Clone, Copy)]
pub(crate) struct Linked {
    pub(crate) instance: wasmi::Instance,
    /// The memory exported as `memory`.
    pub(crate) memory: Option<wasmi::Memory>,
    pub(crate) hidden: Hidden<wasmi::Global>,
}

impl State {
    /// Returns the console, to write to it and to read from it.
    pub(crate) fn console(&mut self) -> OpenConsole<'_> {
        OpenConsole {
            console: &self.config.console,
            state: &mut self.console,
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    /// Resumes the panic of a host function or of the console's callback, if there was one.
    #[cfg(feature = "std")]
    pub(crate) fn resume_panic(&mut self) {
        if self.panic.is_none() && self.console.panic.is_none() {
            return;
        }
        if let Some(panic) = self.panic.take().or_else(|| self.console.panic.take()) {
            let panic = panic.into_inner();
            std::panic::resume_unwind(panic.unwrap_or_else(std::sync::PoisonError::into_inner));
        }
    }

    /// Returns the resources that the call has used, if `fuel_left` is left of the running slice.
    pub(crate) fn usage(&mut self, fuel_left: u64, peaks: Option<(u64, u64)>) -> Usage {
        self.memory.settle();
        #[cfg(all(feature = "std", any(unix, windows)))]
        let (peak_gpu_memory_bytes, gpu_invocations) = self.services.gpu_usage(self.call);
        #[cfg(not(all(feature = "std", any(unix, windows))))]
        let (peak_gpu_memory_bytes, gpu_invocations) = (0, 0);
        Usage {
            fuel: self.meter.used(fuel_left),
            memory_bytes: self.memory.now,
            peak_memory_bytes: self.memory.peak,
            peak_stack_bytes: peaks.map(|(stack, _)| stack),
            peak_call_depth: peaks.map(|(_, depth)| depth),
            peak_gpu_memory_bytes,
            gpu_invocations,
            wall_time: self.meter.wall_time(&*self.config.clock),
        }
    }
}
