//! Creates an instance: its store, a provider for every import, the start function.

use super::{Instance, store_id};
use crate::{
    bytes::{self, Exchange},
    call::interrupt::LazyGate,
    call::run,
    call::share::Share,
    call::state::{Linked, State},
    call::watch::Watch,
    config::Config,
    error::{Error, ErrorKind, Invoked, MissingImport},
    host::{self, ConsoleState},
    instance::last_callee::LastCallee,
    metering::call_meter::CallMeter,
    metering::frames::FrameLimits,
    metering::memory_meter::MemoryMeter,
    module::{ExternType, INITIALIZE, Module},
    rewritten::{self, Hidden},
    value::Signature,
};
use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use dynload_caps::imports::{self, needs};
use wasmi::{AsContextMut, Extern, Store};

/// What a new instance gets from its sandbox, or from the call that starts it as a worker.
pub(crate) struct Origin {
    pub(crate) config: Arc<Config>,
    /// The number of the instance in its sandbox.
    pub(crate) nth: usize,
    pub(crate) gate: LazyGate,
    /// The number of the last call.
    pub(crate) call: usize,
    /// What a worker shares with the call that started it.
    pub(crate) parent: Option<Share>,
}

impl Instance {
    /// Creates the store and the instance in it, and runs the start function, as the call after `call`.
    pub(crate) fn new(module: Module, origin: Origin) -> Result<Instance, Error> {
        let frame_start = FrameLimits::new(&origin.config.limits).none_alive();
        let nth = origin.nth;
        let mut instance = Instance {
            store: new_store(&module, origin),
            module,
            store_id: store_id::next(),
            nth,
            poisoned: None,
            frame_start,
            last_callee: LastCallee::default(),
        };
        let result = instance.instantiate();
        #[cfg(feature = "std")]
        instance.store.data_mut().resume_panic();
        result.map(|()| instance)
    }

    /// Drops the store, and with it the interpreter's instance, and creates a new one.
    pub(super) fn replace_store(&mut self, origin: Origin) {
        self.store = new_store(&self.module, origin);
        self.store_id = store_id::next();
        self.poisoned = None;
        self.last_callee = LastCallee::default();
    }

    /// Instantiates the module in a new store, as one call. Keeps the panic of a host function.
    pub(super) fn instantiate(&mut self) -> Result<(), Error> {
        self.enter(Invoked::Instantiation)?;
        let (invocation, result) = match self.link() {
            Ok(()) => self.initialize(),
            refused => (Invoked::Instantiation, refused),
        };
        self.finish(invocation, result)
    }

    /// Runs the start function, then that of a reactor, as part of the call in which the instance is created.
    fn initialize(&mut self) -> (Invoked<'static>, Result<(), ErrorKind>) {
        let mut last = (Invoked::Start, Ok(()));
        if self.module.rewritten().has_start {
            last = (Invoked::Start, self.run(rewritten::START));
        }
        if last.1.is_ok() && self.module.is_reactor() {
            last = (Invoked::Export(INITIALIZE), self.run(INITIALIZE));
        }
        last
    }

    /// Runs an exported function without parameters and results.
    fn run(&mut self, export: &str) -> Result<(), ErrorKind> {
        match self.linked().instance.get_func(&*self.store, export) {
            Some(func) => run::untyped(self.store.as_context_mut(), &func, &[], &mut []),
            None => Ok(()),
        }
    }

    /// Resolves the imports and creates the interpreter's instance.
    fn link(&mut self) -> Result<(), ErrorKind> {
        let externs = resolve(&self.module, &mut self.store)?;
        #[cfg(all(feature = "std", any(unix, windows)))]
        self.store.data_mut().services.refusal()?;
        self.pay()?;
        let instance = wasmi::Instance::new(&mut *self.store, self.module.compiled(), &externs)
            .map_err(|error| self.refused(error))?;
        // An instantiation that cost much fuel has also taken time.
        self.store.data_mut().check_if_begun()?;
        self.find_parts(instance);
        self.rewind_frames();
        let first_uses = self.module.expected_first_uses().cloned();
        let functions = [
            self.module
                .rewritten()
                .grows
                .then(|| host::define_growth(&mut self.store)),
            first_uses.map(|uses| host::define_first_use(&mut self.store, uses)),
        ];
        for (index, function) in (0..).zip(functions) {
            if let Some(function) = function
                && let Some(table) = instance.get_table(&*self.store, rewritten::HOST)
            {
                // The rewriter added the table, with an element for each of the functions.
                let set = table.set(&mut *self.store, index, wasmi::Nullable::Val(function).into());
                debug_assert!(set.is_ok());
            }
        }
        Ok(())
    }

    /// Looks up the parts of the interpreter's instance that the meter and the host functions access.
    fn find_parts(&mut self, instance: wasmi::Instance) {
        let names = self.module.rewritten().hidden;
        let memory = self
            .module
            .memory()
            .and_then(|name| instance.get_memory(&*self.store, name));
        let frames = names
            .frames
            .and_then(|()| instance.get_global(&*self.store, rewritten::FRAMES));
        let hidden = Hidden {
            frames,
            refund: None,
            peaks: None,
        };
        self.store.data_mut().linked = Some(Linked {
            instance,
            memory,
            hidden,
        });
        if names.refund.is_some() || names.peaks.is_some() {
            self.find_rare_globals(instance);
        }
    }

    /// Looks up the globals that only some modules have.
    ///
    /// In `find_parts`, they would be written one by one and then copied together with the others. A processor waits for such
    /// copies, for about a twentieth of the time of a new instance without a memory.
    #[inline(never)]
    fn find_rare_globals(&mut self, instance: wasmi::Instance) {
        let names = self.module.rewritten().hidden;
        let global = |name: &str| instance.get_global(&*self.store, name);
        let refund = names.refund.and_then(|()| global(rewritten::REFUND));
        let peaks = names
            .peaks
            .and_then(|_| Some((global(rewritten::PEAK_STACK)?, global(rewritten::PEAK_DEPTH)?)));
        if let Some(linked) = &mut self.store.data_mut().linked {
            linked.hidden.refund = refund;
            linked.hidden.peaks = peaks;
        }
    }

    /// Charges for everything that the interpreter does to instantiate, before it does any of it.
    fn pay(&mut self) -> Result<(), ErrorKind> {
        let cost = self.module.rewritten().instance;
        let memory = &mut self.store.data_mut().memory;
        memory
            .keep(cost.kept_bytes, cost.initial_bytes)
            .map_err(ErrorKind::from)?;
        run::charge(&mut self.store.as_context_mut(), cost.fuel)
    }

    /// Returns why the interpreter refused to instantiate.
    fn refused(&self, error: wasmi::Error) -> ErrorKind {
        match self.store.data().memory.denied {
            Some(denied) => denied.into(),
            None => run::classify(&*self.store, error),
        }
    }
}

fn new_store(module: &Module, origin: Origin) -> Box<Store<State>> {
    let Origin {
        config,
        nth,
        gate,
        call,
        parent,
    } = origin;
    let hidden_elements = if module.rewritten().calls_host() {
        rewritten::HOST_FUNCTIONS
    } else {
        0
    };
    let state = State {
        meter: CallMeter::new(
            &config.limits,
            config.budget.clone(),
            config.fixed_slice,
            parent.as_ref().map(Share::started),
        ),
        memory: MemoryMeter::new(
            config.limits.max_memory_bytes,
            hidden_elements,
            parent.as_ref().map(Share::memory),
        ),
        exchange: Exchange::default(),
        #[cfg(feature = "extism")]
        extism: None,
        console: ConsoleState::default(),
        entropy: config.entropy.stream(nth),
        data: None,
        #[cfg(all(feature = "std", any(unix, windows)))]
        services: Default::default(),
        config,
        parent,
        gate,
        call,
        watch: Watch::default(),
        linked: None,
        reentries: 0,
        inner_failure: None,
        #[cfg(feature = "std")]
        panic: None,
    };
    let mut store = Box::new(Store::new(module.compiled().engine(), state));
    store.limiter(|state| &mut state.memory);
    store
}

/// Finds a provider for every import, or lists all imports that have none.
fn resolve(module: &Module, store: &mut Store<State>) -> Result<Vec<Extern>, ErrorKind> {
    let mut externs = Vec::new();
    if !module.has_imports() {
        return Ok(externs);
    }
    let mut missing = Vec::new();
    let config = store.data().config.clone();
    for import in module.compiled().imports() {
        let (module_name, name) = (import.module(), import.name());
        let provided = import
            .ty()
            .func()
            .and_then(|_| provide(store, module, &config, module_name, name));
        let fits = provided.is_some_and(|func| Some(&func.ty(&*store)) == import.ty().func());
        match provided {
            Some(func) if fits => externs.push(Extern::Func(func)),
            _ => missing.push(MissingImport {
                module: module_name.to_string(),
                name: name.to_string(),
                expected: ExternType::from_engine(import.ty()).to_string(),
                provided: provided.map(|func| Signature::from_engine(&func.ty(&*store)).to_string()),
                needs: needs(module_name, name),
            }),
        }
    }
    if missing.is_empty() {
        Ok(externs)
    } else {
        Err(ErrorKind::MissingImports(missing))
    }
}

/// Creates the host function of that name, if it has a provider.
fn provide(
    store: &mut Store<State>,
    #[cfg_attr(not(all(feature = "std", any(unix, windows))), expect(unused_variables))] of: &Module,
    config: &Config,
    module: &str,
    name: &str,
) -> Option<wasmi::Func> {
    if let Some(function) = config.functions.find(module, name) {
        return Some(function.define(store));
    }
    match module {
        imports::VAIS => {
            return host::define_vais(store, name).or_else(|| bytes::define_vais(store, name));
        }
        #[cfg(feature = "extism")]
        imports::EXTISM => return bytes::define_extism(store, name),
        imports::TYPST => return bytes::define_typst(store, name),
        _ => {}
    }
    #[cfg(all(feature = "std", any(unix, windows)))]
    return crate::services::define(store, of, module, name);
    #[cfg(not(all(feature = "std", any(unix, windows))))]
    None
}
