//! A running module: one store each, gone with it.

use crate::{
    authority::Authority,
    error::{Error, ErrorKind, Limit, MissingImport},
    frames::{self, FrameLimits},
    host::{self, ConsoleState, GuestMemory, Stream},
    integers::{self, LastCalled},
    interrupt::{CallGate, Interrupt},
    meter::{CallMeter, MemoryMeter},
    module::{self, Module},
    rewrite::{self, Hidden},
    run,
    sandbox::Config,
    share::Share,
    state::{State, Wired},
    usage::Usage,
    value::{Signature, Value},
};
use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use dynload_caps::imports::required_capability;
use wasmi::{AsContext, AsContextMut, Extern, Store, StoreContextMut, Val};

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

/// Numbers stores over the whole process.
static STORES: AtomicUsize = AtomicUsize::new(1);

impl Instance {
    /// Makes the store and the instance in it, and runs the start function, as the call after `call`.
    pub(crate) fn new(
        module: Module,
        config: Arc<Config>,
        authority: Authority,
        nth: usize,
        gate: Arc<CallGate>,
        call: usize,
    ) -> Result<Instance, Error> {
        let frame_start = FrameLimits::new(&config.limits).start();
        let store = new_store(&module, config, authority.clone(), nth, gate, call);
        let store_id = STORES.fetch_add(1, Ordering::Relaxed);
        let mut instance = Instance {
            module,
            authority,
            store,
            store_id,
            nth,
            poisoned: None,
            frame_start,
            last_called: LastCalled::default(),
        };
        instance.enter("(instantiation)")?;
        let (stage, result) = match instance.link() {
            Ok(()) => ("(start)", instance.run_start()),
            refused => ("(instantiation)", refused),
        };
        instance.leave(stage, result)?;
        Ok(instance)
    }

    /// Runs the start function, as part of the call in which the instance is made.
    fn run_start(&mut self) -> Result<(), ErrorKind> {
        if !self.module.rewritten().has_start {
            return Ok(());
        }
        match self.wired().instance.get_func(&*self.store, rewrite::START) {
            Some(func) => run::untyped(self.store.as_context_mut(), &func, &[], &mut []),
            None => Ok(()),
        }
    }

    /// Resolves the imports and makes the interpreter's instance.
    fn link(&mut self) -> Result<(), ErrorKind> {
        let externs = resolve(&self.module, &mut self.store)?;
        #[cfg(all(feature = "std", unix))]
        self.store.data_mut().services.refusal()?;
        let fuel = self.module.rewritten().segments_fuel;
        run::charge(&mut self.store.as_context_mut(), fuel)?;
        let instance = wasmi::Instance::new(&mut *self.store, self.module.compiled(), &externs)
            .map_err(|error| self.refused(error))?;
        let global = |name: &str| instance.get_global(&*self.store, name);
        let hidden = self.module.rewritten().hidden;
        let wired = Wired {
            instance,
            memory: instance.get_memory(&*self.store, "memory"),
            hidden: Hidden {
                frames: hidden.frames.and_then(|()| global(rewrite::FRAMES)),
                refund: hidden.refund.and_then(|()| global(rewrite::REFUND)),
                peaks: hidden
                    .peaks
                    .and_then(|_| Some((global(rewrite::PEAK_STACK)?, global(rewrite::PEAK_DEPTH)?))),
            },
        };
        self.store.data_mut().wired = Some(wired);
        self.rewind_frames();
        if self.module.rewritten().grows {
            let function = host::define_growth(&mut self.store);
            if let Some(table) = instance.get_table(&*self.store, rewrite::GROWTH) {
                // The rewriter made the table, of functions and with one element.
                let set = table.set(&mut *self.store, 0, wasmi::Nullable::Val(function).into());
                debug_assert!(set.is_ok());
            }
        }
        Ok(())
    }

    /// Why the interpreter would not instantiate.
    fn refused(&self, error: wasmi::Error) -> ErrorKind {
        match self.store.data().memory.denied {
            Some(denied) => ErrorKind::LimitExceeded {
                limit: Limit::Memory,
                value: denied.limit,
                asked: Some(denied.asked),
            },
            None => run::classify(&*self.store, error),
        }
    }

    /// Calls an exported function by name.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSuchExport`] and [`ErrorKind::SignatureMismatch`]: nothing ran.
    /// - [`ErrorKind::Poisoned`]: nothing ran; [`reset`](Instance::reset) first.
    /// - Anything else stopped the call half-way; the instance is now poisoned.
    pub fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        self.enter(export)?;
        let result = call_export(self.store.as_context_mut(), export, args);
        self.leave(export, result)
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
        self.enter(export)?;
        let result = integers::call(self.store.as_context_mut(), &mut self.last_called, export, args);
        self.leave(export, result)
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
        let fresh = Instance::new(
            self.module.clone(),
            state.config.clone(),
            self.authority.clone(),
            self.nth,
            state.gate.clone(),
            state.call,
        );
        match fresh {
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
    pub fn poison(&self) -> Option<&Error> {
        self.poisoned.as_ref()
    }

    /// A handle that ends the next call, from any thread, and only that.
    #[must_use]
    pub fn interrupt_next(&self) -> Interrupt {
        let state = self.store.data();
        Interrupt::new(state.gate.clone(), Some(state.call + 1))
    }

    /// A handle that ends whichever call runs when it is used, from any thread.
    #[must_use]
    pub fn interrupt_running(&self) -> Interrupt {
        Interrupt::new(self.store.data().gate.clone(), None)
    }

    /// The memory that the guest exports as `memory`; one of no bytes if it exports none.
    pub fn memory(&mut self) -> GuestMemory<'_> {
        match self.wired().memory {
            Some(memory) => GuestMemory(memory.data_mut(&mut *self.store)),
            None => GuestMemory(&mut []),
        }
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
    pub(crate) fn enter(&mut self, export: &str) -> Result<(), Error> {
        if let Some(first) = &self.poisoned {
            let kind = ErrorKind::Poisoned(first.clone());
            return Err(Error::new(export, kind, Usage::default(), None));
        }
        let state = self.store.data_mut();
        state.call += 1;
        state.gate.enter(state.call);
        state.memory.denied = None;
        state.meter.start();
        let granted = if state.is_interrupted() {
            Err(ErrorKind::Interrupted)
        } else {
            state.meter.grant(0)
        };
        match granted {
            Ok(granted) => {
                run::set_fuel(&mut *self.store, granted);
                if self.module.rewritten().counts_frames && self.store.data().wired.is_some() {
                    self.rewind_frames();
                }
                Ok(())
            }
            Err(kind) => self.leave(export, Err(kind)),
        }
    }

    /// Ends a call: reads the meter, and poisons the instance if the guest was stopped half-way.
    pub(crate) fn leave<R>(&mut self, export: &str, result: Result<R, ErrorKind>) -> Result<R, Error> {
        self.end_call();
        let kept = || self.store.data().meter.check_overdrawn();
        let result = result.and_then(|results| kept().map(|()| results));
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
                let error = Error::new(export, kind, usage, self.store.data().memory.denied);
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
        let state = self.store.data_mut();
        state.meter.stop(&*state.config.clock);
    }

    /// Puts the frame counters where they stand with no frame alive.
    fn rewind_frames(&mut self) {
        let hidden = self.wired().hidden;
        if let Some(global) = hidden.frames {
            frames::write(self.store.as_context_mut(), global, self.frame_start);
        }
        if let Some((stack, depth)) = hidden.peaks {
            frames::write(self.store.as_context_mut(), stack, 0);
            frames::write(self.store.as_context_mut(), depth, 0);
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

fn new_store(
    module: &Module,
    config: Arc<Config>,
    authority: Authority,
    nth: usize,
    gate: Arc<CallGate>,
    call: usize,
) -> Box<Store<State>> {
    let state = State {
        meter: CallMeter::new(
            &config.limits,
            config.budget.clone(),
            config.fixed_slice,
            module.rewritten().hidden.refund.is_some(),
        )
        .began(config.share.as_ref().map(Share::started)),
        memory: MemoryMeter::new(config.limits.max_memory_bytes, module.rewritten().grows.into()),
        console: ConsoleState::new(config.console.clone()),
        entropy_state: config.entropy.start(nth),
        #[cfg(all(feature = "std", unix))]
        services: crate::services::Services::new(module),
        config,
        authority,
        gate,
        call,
        wired: None,
        reentries: 0,
        inner_failure: None,
        #[cfg(feature = "std")]
        panic: None,
    };
    let mut store = Box::new(Store::new(module.compiled().engine(), state));
    store.limiter(|state| &mut state.memory);
    store
}

/// Finds a provider for every import, or lists all that have none.
fn resolve(module: &Module, store: &mut Store<State>) -> Result<Vec<Extern>, ErrorKind> {
    let mut externs = Vec::new();
    let mut missing = Vec::new();
    for import in module.compiled().imports() {
        let (module_name, name) = (import.module(), import.name());
        let offered = import.ty().func().and_then(|_| provide(store, module_name, name));
        let fits = offered.is_some_and(|func| Some(&func.ty(&*store)) == import.ty().func());
        match offered {
            Some(func) if fits => externs.push(Extern::Func(func)),
            _ => missing.push(MissingImport {
                module: module_name.to_string(),
                name: name.to_string(),
                wanted: module::describe(import.ty()),
                offered: offered.map(|func| Signature::from_engine(&func.ty(&*store)).to_string()),
                needs: required_capability(module_name, name),
            }),
        }
    }
    if missing.is_empty() {
        Ok(externs)
    } else {
        Err(ErrorKind::MissingImports(missing))
    }
}

/// Makes the host function of that name, if anybody has one.
fn provide(store: &mut Store<State>, module: &str, name: &str) -> Option<wasmi::Func> {
    let config = store.data().config.clone();
    if let Some(function) = config.functions.find(module, name) {
        return Some(function.define(store));
    }
    if module == dynload_caps::imports::VAIS {
        return host::define_vais(store, name);
    }
    #[cfg(all(feature = "std", unix))]
    return crate::services::define(store, module, name);
    #[cfg(not(all(feature = "std", unix)))]
    None
}

/// Calls an export, from outside or from a host function. Fuel and clock of the call are running already.
pub(crate) fn call_export(
    mut ctx: StoreContextMut<'_, State>,
    export: &str,
    args: &[Value],
) -> Result<Vec<Value>, ErrorKind> {
    let func = exported(&ctx, export)?;
    let ty = func.ty(&ctx);
    let signature = Signature::from_engine(&ty);
    let fits = signature
        .params
        .iter()
        .copied()
        .eq(args.iter().map(|value| value.ty()));
    if !fits || !signature.is_callable() {
        let wanted = Signature {
            params: args.iter().map(|value| value.ty()).collect(),
            results: Vec::new(),
        };
        let wanted = wanted.to_string().replace(" -> ()", "");
        return Err(ErrorKind::SignatureMismatch {
            found: signature,
            wanted,
        });
    }
    let params: Vec<Val> = args.iter().map(|value| value.into_engine()).collect();
    let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    run::untyped(ctx.as_context_mut(), &func, &params, &mut results)?;
    Ok(results.iter().filter_map(Value::from_engine).collect())
}

/// The exported function of that name.
pub(crate) fn exported(ctx: &StoreContextMut<'_, State>, export: &str) -> Result<wasmi::Func, ErrorKind> {
    let found = ctx
        .data()
        .wired
        .and_then(|wired| find(ctx.as_context(), wired, export));
    found.ok_or_else(|| {
        let wired = ctx.data().wired;
        let exports = wired
            .iter()
            .flat_map(|wired| wired.instance.exports(ctx.as_context()));
        let functions: Vec<&str> = exports
            .filter(|export| !rewrite::is_hidden(export.name()))
            .filter(|export| matches!(export.ty(ctx.as_context()), wasmi::ExternType::Func(_)))
            .map(|export| export.name())
            .collect();
        let nearest = dynload_caps::nearest_name(export, functions.iter().copied());
        ErrorKind::NoSuchExport {
            nearest: nearest.map(ToString::to_string),
        }
    })
}

/// The type of an exported function.
pub(crate) fn signature(ctx: wasmi::StoreContext<'_, State>, export: &str) -> Option<Signature> {
    let func = find(ctx, ctx.data().wired?, export)?;
    Some(Signature::from_engine(&func.ty(ctx)))
}

fn find(ctx: wasmi::StoreContext<'_, State>, wired: Wired, export: &str) -> Option<wasmi::Func> {
    if rewrite::is_hidden(export) {
        return None;
    }
    wired.instance.get_func(ctx, export)
}
