//! The limits and capabilities of plugins, and the instantiation of modules.

use crate::{
    authority::Authority,
    call::interrupt::{InterruptHandle, LazyGate},
    clock::{Clock, ClockScope},
    config::Config,
    error::{Error, Stop},
    host::{Caller, Console, Entropy, HostArgs, HostFunctions, HostResults, UnsupportedSignature},
    instance::{Instance, Origin},
    metering::budget::FuelBudget,
    module::Module,
    value::{Signature, Value},
};
use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::{fmt, sync::atomic::AtomicUsize, sync::atomic::Ordering};
use dynload_caps::{Capabilities, Grant, Limits, Scopes};

/// The environment in which plugins run: limits, capabilities, scopes, host functions.
///
/// A sandbox creates any number of instances of any number of modules. A change of capabilities takes effect immediately; any
/// other change takes effect for the instances that are created afterwards.
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Capabilities, Engine, Limits, Module, Sandbox, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new(&Engine::default(), wat::parse_str(
///     "(module (func (export \"add\") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))")?)?;
/// let sandbox = Sandbox::new(Limits::RESTRICTIVE).with_capabilities(Capabilities::CONSOLE);
/// let mut instance = sandbox.instantiate(&module)?;
/// assert_eq!(instance.call("add", &[Value::I64(40), Value::I64(2)])?, [Value::I64(42)]);
/// assert_eq!(instance.usage().fuel, 4); // entering the function, two gets, one add
/// # Ok(())
/// # }
/// ```
pub struct Sandbox {
    config: Arc<Config>,
    /// The number of instances created so far, if they are numbered: seeded entropy differs between them.
    made: AtomicUsize,
}

impl Sandbox {
    /// Creates a sandbox with these limits, no capability, the system's clock and entropy, and a buffered console.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn new(limits: Limits) -> Sandbox {
        let mut sandbox = Sandbox::with_clock_and_entropy(
            limits,
            Arc::new(crate::clock::SystemClock::new()),
            Arc::new(crate::host::OsEntropy),
        );
        sandbox.config_mut().numbers_instances = is_numbered(&crate::host::OsEntropy);
        sandbox
    }

    /// Creates a sandbox with these limits, no capability, the embedder's clock and entropy, and a buffered console.
    ///
    /// The time limit is only as good as the clock: a clock that stands still never ends a call.
    #[must_use]
    pub fn with_clock_and_entropy(
        limits: Limits,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Sandbox {
        Sandbox {
            config: Arc::new(Config {
                limits,
                authority: Authority::default(),
                scopes: Scopes::none(),
                #[cfg(all(feature = "std", any(unix, windows)))]
                grants: crate::services::Grants::default(),
                #[cfg(all(feature = "std", any(unix, windows)))]
                gpu: None,
                functions: HostFunctions::new(),
                console: Console::default(),
                clock,
                clock_scope: ClockScope::FULL,
                entropy,
                numbers_instances: true,
                budget: None,
                args: Vec::new(),
                #[cfg(feature = "extism")]
                http_client: None,
                plugin_config: BTreeMap::new(),
                fixed_slice: None,
            }),
            made: AtomicUsize::new(0),
        }
    }

    fn config_mut(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.config)
    }

    /// Grants these capabilities and no others.
    ///
    /// Scopes restrict them further: [`FS_READ`](Capabilities::FS_READ) without a directory in the scopes opens nothing.
    /// [`grant`](Sandbox::grant) and [`revoke`](Sandbox::revoke) change them later, also for running instances.
    ///
    /// # Grants
    ///
    /// What the capabilities and the scopes together allow.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Sandbox {
        self.config_mut().authority = Authority::new(capabilities);
        self
    }

    /// Shares the capabilities of `authority`: a grant or a revocation then affects every sandbox that shares it.
    ///
    /// # Grants
    ///
    /// As [`with_capabilities`](Sandbox::with_capabilities).
    #[must_use]
    pub fn with_authority(mut self, authority: Authority) -> Sandbox {
        self.config_mut().authority = authority;
        self
    }

    /// Sets the capabilities and scopes of `grant`.
    ///
    /// # Grants
    ///
    /// As [`with_capabilities`](Sandbox::with_capabilities) and [`with_scopes`](Sandbox::with_scopes).
    #[must_use]
    pub fn with_grant(self, grant: Grant) -> Sandbox {
        self.with_capabilities(grant.capabilities)
            .with_scopes(grant.scopes)
    }

    /// Sets the scopes: directories, environment variables, network addresses and programs that the capabilities open.
    ///
    /// Builder form of [`set_scopes`](Sandbox::set_scopes).
    ///
    /// # Grants
    ///
    /// What the capabilities and the scopes together allow.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Sandbox {
        self.set_scopes(scopes);
        self
    }

    /// Sets the limits of each call and instance.
    ///
    /// Builder form of [`set_limits`](Sandbox::set_limits).
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Sandbox {
        self.set_limits(limits);
        self
    }

    /// Sets where guests write to and read from.
    ///
    /// Builder form of [`set_console`](Sandbox::set_console).
    #[must_use]
    pub fn with_console(mut self, console: Console) -> Sandbox {
        self.set_console(console);
        self
    }

    /// Sets the source of random bytes.
    ///
    /// Builder form of [`set_entropy`](Sandbox::set_entropy).
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy + 'static) -> Sandbox {
        self.set_entropy(entropy);
        self
    }

    /// Sets the clock that deadlines and guests read.
    ///
    /// Builder form of [`set_clock`](Sandbox::set_clock).
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Sandbox {
        self.set_clock(clock);
        self
    }

    /// Sets how much of the clock guests see.
    ///
    /// Builder form of [`set_clock_scope`](Sandbox::set_clock_scope).
    #[must_use]
    pub fn with_clock_scope(mut self, scope: ClockScope) -> Sandbox {
        self.set_clock_scope(scope);
        self
    }

    /// Draws fuel from `budget`, on top of the limit of each call.
    ///
    /// Builder form of [`set_fuel_budget`](Sandbox::set_fuel_budget).
    #[must_use]
    pub fn with_fuel_budget(mut self, budget: FuelBudget) -> Sandbox {
        self.set_fuel_budget(budget);
        self
    }

    /// Sets the arguments of WASI programs. By convention the first is the program name.
    ///
    /// Builder form of [`set_args`](Sandbox::set_args).
    ///
    /// # Examples
    ///
    /// Running a WASI command and reading its exit code. This one exits with the number of its arguments:
    ///
    /// ```
    /// use dynload_sandbox::{Engine, Limits, Module, Sandbox};
    ///
    /// # #[cfg(not(any(unix, windows)))]
    /// # fn main() {}
    /// # #[cfg(any(unix, windows))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
    ///     (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    ///     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    ///     (memory (export "memory") 1)
    ///     (func (export "_start")
    ///         (drop (call $args (i32.const 0) (i32.const 4)))
    ///         (call $exit (i32.load (i32.const 0)))))"#)?)?;
    ///
    /// let sandbox = Sandbox::new(Limits::DEFAULT).with_args(["count", "one", "two"]);
    /// let mut command = sandbox.instantiate(&module)?;
    /// let code = match command.call("_start", &[]) {
    ///     Ok(_) => 0,
    ///     // Any error without an exit code stopped the command.
    ///     Err(error) => error.exit_code().ok_or(error)?,
    /// };
    /// assert_eq!(code, 3);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Sandbox {
        self.set_args(args);
        self
    }

    /// Sets the configuration of plugins.
    ///
    /// Builder form of [`set_plugin_config`](Sandbox::set_plugin_config).
    #[must_use]
    pub fn with_plugin_config(
        mut self,
        config: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Sandbox {
        self.set_plugin_config(config);
        self
    }

    /// Offers these host functions instead of those that were added before.
    ///
    /// Builder form of [`set_host_functions`](Sandbox::set_host_functions).
    ///
    /// # Grants
    ///
    /// Whatever the functions do, to guests that have the capabilities they require.
    #[must_use]
    pub fn with_host_functions(mut self, functions: HostFunctions) -> Sandbox {
        self.set_host_functions(functions);
        self
    }

    /// Grants fuel in slices of this size. For tests: the fuel that a call burns does not depend on it.
    #[doc(hidden)]
    #[must_use]
    pub fn with_fuel_slice(mut self, fuel: u64) -> Sandbox {
        self.config_mut().fixed_slice = Some(fuel.max(1));
        self
    }

    /// Sets the scopes of the instances that are created afterwards.
    ///
    /// Directories are opened now, and never again by their path: a later replacement, or a change of the working directory,
    /// has no effect. They stay open as long as the sandbox has them or an instance with them is alive; directories that the
    /// previous scopes also had are not opened again. A directory that cannot be opened is an error of
    /// [`check_directories`](Sandbox::check_directories), and of the creation of every instance that imports a host service.
    ///
    /// # Grants
    ///
    /// What the capabilities and the scopes together allow.
    pub fn set_scopes(&mut self, scopes: Scopes) {
        let config = self.config_mut();
        #[cfg(all(feature = "std", any(unix, windows)))]
        config.grants.set(&scopes.dirs);
        config.scopes = scopes;
    }

    /// Checks that every directory of the scopes could be opened when the scopes were set.
    ///
    /// # Errors
    ///
    /// - [`ServiceError::Directory`](crate::ServiceError::Directory) for the first that could not be opened.
    /// - [`ServiceError::Nesting`](crate::ServiceError::Nesting) if it is not known whether they are nested.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub fn check_directories(&self) -> Result<(), crate::ServiceError> {
        self.config.grants.check()
    }

    /// Sets the limits of each call and instance, for the instances that are created afterwards.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config_mut().limits = limits;
    }

    /// Sets where guests write to and read from, for the instances that are created afterwards.
    pub fn set_console(&mut self, console: Console) {
        self.config_mut().console = console;
    }

    /// Sets the source of random bytes, for the instances that are created afterwards.
    pub fn set_entropy(&mut self, entropy: impl Entropy + 'static) {
        let config = self.config_mut();
        config.numbers_instances = is_numbered(&entropy);
        config.entropy = Arc::new(entropy);
    }

    /// Sets the clock that deadlines and guests read, for the instances that are created afterwards.
    pub fn set_clock(&mut self, clock: impl Clock + 'static) {
        self.config_mut().clock = Arc::new(clock);
    }

    /// Sets how much of the clock guests see, for the instances that are created afterwards.
    pub fn set_clock_scope(&mut self, scope: ClockScope) {
        self.config_mut().clock_scope = scope;
    }

    /// Draws fuel from `budget`, on top of the limit of each call, for the instances that are created afterwards.
    pub fn set_fuel_budget(&mut self, budget: FuelBudget) {
        self.config_mut().budget = Some(budget);
    }

    /// Sets the arguments of WASI programs, for the instances that are created afterwards.
    pub fn set_args(&mut self, args: impl IntoIterator<Item = impl Into<String>>) {
        self.config_mut().args = args.into_iter().map(Into::into).collect();
    }

    /// Sets the configuration of plugins, for the instances that are created afterwards: names with values.
    ///
    /// A guest reads it with `vais.config_get (i32 key, i32 key_len, i32 buffer, i32 buffer_len) -> i32`, which copies as much
    /// of the value as fits, and returns the value's length, or -1 if there is none.
    pub fn set_plugin_config(
        &mut self,
        config: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) {
        let entries = config
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.config_mut().plugin_config = entries.collect();
    }

    /// Offers these host functions instead of those that were added before, for the instances that are created afterwards.
    ///
    /// # Grants
    ///
    /// Whatever the functions do, to guests that have the capabilities they require.
    pub fn set_host_functions(&mut self, functions: HostFunctions) {
        self.config_mut().functions = functions;
    }

    /// Sets the function that makes the HTTP requests of Extism plugins, for the instances that are created afterwards.
    ///
    /// It receives the request as the plugin wrote it, a JSON object with `url`, `method` and `headers`, and the body. Without
    /// such a function a request ends the plugin's call. `HttpClient::send` (with the feature `http`) applies the network
    /// scopes.
    ///
    /// # Grants
    ///
    /// Plugins with [`NETWORK`](Capabilities::NETWORK) can request whatever `client` accepts. The network scopes are not
    /// applied to a function of the embedder: check the address in it.
    #[cfg(feature = "extism")]
    pub fn set_http_client(
        &mut self,
        client: impl Fn(&mut Caller<'_>, &[u8], &[u8]) -> Result<crate::HttpResponse, Stop>
        + Send
        + Sync
        + 'static,
    ) {
        self.config_mut().http_client = Some(Arc::new(client));
    }

    /// Sets the GPUs that the scopes choose from, for the instances that are created afterwards. Without them, the functions
    /// of GPUs return NOSYS.
    ///
    /// # Grants
    ///
    /// Plugins with [`GPU`](Capabilities::GPU) can run any shader on the devices that the [scopes](Scopes::gpu) allow.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub fn set_gpu(&mut self, gpu: Arc<dyn crate::gpu::Gpu>) {
        self.config_mut().gpu = Some(gpu);
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.config.limits
    }

    /// Returns the GPUs that the scopes choose from.
    #[cfg(all(feature = "std", any(unix, windows)))]
    #[must_use]
    pub fn gpu(&self) -> Option<&Arc<dyn crate::gpu::Gpu>> {
        self.config.gpu.as_ref()
    }

    /// Returns the scopes.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.config.scopes
    }

    /// Returns the configuration of plugins.
    #[must_use]
    pub fn plugin_config(&self) -> &BTreeMap<String, String> {
        &self.config.plugin_config
    }

    /// Returns the shared authority: a clone of it grants and revokes capabilities from any thread while instances run.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.config.authority
    }

    /// Returns the capabilities that are currently granted.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.config.authority.capabilities()
    }

    /// Grants `capabilities` in addition, effective immediately, also to running instances.
    ///
    /// # Grants
    ///
    /// Widens what every instance of this sandbox may do.
    pub fn grant(&self, capabilities: Capabilities) {
        self.config.authority.grant(capabilities);
    }

    /// Revokes `capabilities`, effective immediately, also from running instances.
    pub fn revoke(&self, capabilities: Capabilities) {
        self.config.authority.revoke(capabilities);
    }

    /// Adds a host function, for the instances that are created afterwards: see [`HostFunctions::func_wrap`].
    ///
    /// # Grants
    ///
    /// Guests that have `capability` can do whatever `body` does.
    pub fn func_wrap<A, R>(
        &mut self,
        module: &str,
        name: &str,
        capability: Capabilities,
        body: impl Fn(&mut Caller<'_>, A) -> Result<R, Stop> + Send + Sync + 'static,
    ) where
        A: HostArgs,
        R: HostResults,
    {
        self.config_mut()
            .functions
            .func_wrap(module, name, capability, body);
    }

    /// Adds a host function whose type is known only at run time: see [`HostFunctions::func_new`].
    ///
    /// # Errors
    ///
    /// [`UnsupportedSignature`] if `signature` is not [callable](Signature::is_callable).
    ///
    /// # Grants
    ///
    /// As [`func_wrap`](Sandbox::func_wrap).
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        capability: Capabilities,
        signature: Signature,
        body: impl Fn(&mut Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Result<(), UnsupportedSignature> {
        self.config_mut()
            .functions
            .func_new(module, name, capability, signature, body)
    }

    /// Creates an instance and runs its start function, within the limits of one call.
    ///
    /// A *reactor* of the [WASI application ABI], a library with state, is initialized: its `_initialize` runs in the
    /// same call, after the start function. Do not call it again: many toolchains make that a trap. A module that exports
    /// `_start` is a *command*: nothing of it runs before the host calls `_start`.
    ///
    /// [WASI application ABI]: https://github.com/WebAssembly/WASI/blob/main/legacy/application-abi.md
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Engine, Limits, Module, Sandbox};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let reactor = r#"(module (global $ready (mut i64) (i64.const 0))
    ///     (func (export "_initialize") (global.set $ready (i64.const 1)))
    ///     (func (export "ready") (result i64) global.get $ready))"#;
    /// let module = Module::new(&Engine::default(), wat::parse_str(reactor)?)?;
    /// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
    /// assert_eq!(instance.call_i64("ready", &[])?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::MissingImports`](crate::ErrorKind::MissingImports) with every unresolved import.
    /// - [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if initial memories and tables, segments, the
    ///   start function or `_initialize` need more than the limits allow.
    /// - Any error that stops one of these functions, including [`ErrorKind::Exit`](crate::ErrorKind::Exit).
    pub fn instantiate(&self, module: &Module) -> Result<Instance, Error> {
        self.create(module, LazyGate::default())
    }

    /// As [`instantiate`](Sandbox::instantiate), and other threads can interrupt it: `tell` receives the handle,
    /// before any of the module runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Engine, ErrorKind, Limits, Module, Sandbox};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let module = Module::new(&Engine::default(), wat::parse_str("(module (func $spin (loop (br 0))) (start $spin))")?)?;
    /// let stopped = Sandbox::new(Limits::DEFAULT).instantiate_interruptible(&module, |interrupt| {
    ///     std::thread::spawn(move || interrupt.interrupt());
    /// });
    /// assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Interrupted));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`instantiate`](Sandbox::instantiate).
    pub fn instantiate_interruptible(
        &self,
        module: &Module,
        tell: impl FnOnce(InterruptHandle),
    ) -> Result<Instance, Error> {
        let gate = LazyGate::default();
        tell(InterruptHandle::of_first(&gate));
        self.create(module, gate)
    }

    fn create(&self, module: &Module, gate: LazyGate) -> Result<Instance, Error> {
        // A counter that all threads write would keep them from creating instances independently.
        let nth = if self.config.numbers_instances {
            self.made.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let origin = Origin {
            config: self.config.clone(),
            nth,
            gate,
            call: 0,
            parent: None,
        };
        Instance::new(module.clone(), origin)
    }
}

/// Returns whether the bytes of an instance may depend on its number.
fn is_numbered<E: Entropy + 'static>(_: &E) -> bool {
    #[cfg(feature = "std")]
    if core::any::TypeId::of::<E>() == core::any::TypeId::of::<crate::host::OsEntropy>() {
        return false;
    }
    true
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("limits", &self.config.limits)
            .field("capabilities", &self.capabilities())
            .field("scopes", &self.config.scopes)
            .finish_non_exhaustive()
    }
}
