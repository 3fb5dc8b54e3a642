//! Sandboxes: limits, capabilities, scopes and host functions, and the instances in them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dynload_caps::GpuPattern;
#[cfg(unix)]
use dynload_gpu::Workers;
use dynload_sandbox::{
    Authority, Capabilities, Console, ConsoleOutput, Engine, EngineConfig, Grant, InterruptHandle, Limits,
    Module, Sandbox, Scopes,
};

use crate::boundary::abi::ResourceLimits;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::guest;
use crate::boundary::handle::{Kind, Table};
use crate::boundary::sync::{Condvar, Mutex, lock, wait};
use crate::objects::instance;

/// The sandbox that a handle identifies.
pub(crate) struct SandboxEntry {
    /// Outside the lock: a grant takes effect immediately, whatever else is in progress.
    authority: Authority,
    inner: Mutex<Inner>,
    /// Signaled when a load has succeeded or failed.
    loaded: Condvar,
}

struct Inner {
    /// Shared only with loads in progress, which run start functions and thus must hold no lock.
    sandbox: Arc<Sandbox>,
    /// Compiles the modules that are loaded from now on.
    engine: Engine,
    instances: HashSet<i64>,
    /// The start functions that are running, by the number of the load.
    starting: BTreeMap<u64, InterruptHandle>,
    loads: u64,
    destroyed: bool,
}

impl Kind for SandboxEntry {
    const NAME: &'static str = "sandbox";
    const TAG: u8 = 1;
}

static SANDBOXES: LazyLock<Table<SandboxEntry>> = LazyLock::new(Table::new);

/// Converts limits from C; a negative limit is an error.
pub(crate) fn limits(limits: ResourceLimits) -> Result<Limits> {
    Ok(Limits::DEFAULT
        .with_memory_bytes(limit(limits.max_memory_bytes, "max_memory_bytes")?)
        .with_time(Duration::from_millis(limit(limits.max_time_ms, "max_time_ms")?))
        .with_stack_bytes(limit(limits.max_stack_bytes, "max_stack_bytes")?)
        .with_call_depth(limit(limits.max_call_depth, "max_call_depth")?))
}

/// Converts a limit from C; a negative one is an error.
pub(crate) fn limit(value: i64, name: &str) -> Result<u64> {
    u64::try_from(value).map_err(|_| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("{name} is {value}: pass a limit of 0 or more"),
        )
    })
}

/// Converts limits for C. A value that does not fit becomes the largest number that does, which has the same effect.
pub(crate) const fn resource_limits(limits: Limits) -> ResourceLimits {
    const fn value(value: u64) -> i64 {
        if value > i64::MAX as u64 {
            i64::MAX
        } else {
            value as i64
        }
    }
    let milliseconds = limits.max_time.as_millis();
    let milliseconds = if milliseconds > i64::MAX as u128 {
        i64::MAX
    } else {
        milliseconds as i64
    };
    ResourceLimits {
        max_memory_bytes: value(limits.max_memory_bytes),
        max_time_ms: milliseconds,
        max_stack_bytes: value(limits.max_stack_bytes),
        max_call_depth: value(limits.max_call_depth),
    }
}

/// Converts capabilities from C; the error names the unknown bits.
pub(crate) fn capabilities(bits: i64) -> Result<Capabilities> {
    Ok(Capabilities::from_raw(bits)?)
}

/// Converts capabilities for C.
pub(crate) fn bits(capabilities: Capabilities) -> i64 {
    // There are only ten capabilities.
    capabilities.bits() as i64
}

/// Creates a sandbox and returns its handle.
pub(crate) fn create(limits: Limits, capabilities: Capabilities) -> Result<i64> {
    let sandbox = Sandbox::new(limits)
        .with_capabilities(capabilities)
        .with_console(Console::new(ConsoleOutput::Inherit));
    SANDBOXES.insert(Arc::new(SandboxEntry {
        authority: sandbox.authority().clone(),
        inner: Mutex::new(Inner {
            sandbox: Arc::new(sandbox),
            engine: Engine::default(),
            instances: HashSet::new(),
            starting: BTreeMap::new(),
            loads: 0,
            destroyed: false,
        }),
        loaded: Condvar::new(),
    }))
}

/// Destroys a sandbox with all its instances. Calls and start functions that run in them are interrupted.
pub(crate) fn destroy(handle: i64) -> Result<()> {
    let entry = SANDBOXES.remove(handle)?;
    let instances = {
        let mut inner = lock(&entry.inner);
        inner.destroyed = true;
        for interrupt in inner.starting.values() {
            interrupt.interrupt();
        }
        std::mem::take(&mut inner.instances)
    };
    entry.loaded.notify_all();
    for instance in instances {
        // It may have been destroyed meanwhile, which is just as good.
        let _ = instance::destroy(instance);
    }
    Ok(())
}

/// Returns the capabilities that are granted now.
pub(crate) fn granted(handle: i64) -> Result<Capabilities> {
    Ok(SANDBOXES.get(handle)?.authority.capabilities())
}

/// Grants capabilities and returns the capabilities that are granted now.
pub(crate) fn grant(handle: i64, capabilities: i64) -> Result<Capabilities> {
    let entry = SANDBOXES.get(handle)?;
    entry.authority.grant(self::capabilities(capabilities)?);
    Ok(entry.authority.capabilities())
}

/// Revokes capabilities and returns the capabilities that are granted now.
pub(crate) fn revoke(handle: i64, capabilities: i64) -> Result<Capabilities> {
    let entry = SANDBOXES.get(handle)?;
    entry.authority.revoke(self::capabilities(capabilities)?);
    Ok(entry.authority.capabilities())
}

/// Changes a sandbox for the instances that are created later. Waits until the loads in progress have ended; in a
/// callback, a load in progress is an error.
pub(crate) fn change<R>(handle: i64, f: impl FnOnce(&mut Sandbox) -> Result<R>) -> Result<R> {
    let entry = SANDBOXES.get(handle)?;
    change_entry(&entry, |sandbox, _| f(sandbox))
}

/// As [`change`], and tells `f` whether a load was ever tried.
fn change_entry<R>(entry: &SandboxEntry, f: impl FnOnce(&mut Sandbox, bool) -> Result<R>) -> Result<R> {
    let mut inner = lock(&entry.inner);
    loop {
        if inner.destroyed {
            return Err(gone());
        }
        let is_used = inner.loads > 0;
        if let Some(sandbox) = Arc::get_mut(&mut inner.sandbox) {
            return f(sandbox, is_used);
        }
        if guest::is_running() {
            return Err(Error::new(
                ErrorCode::Busy,
                "the sandbox is loading a module: it cannot be changed in a callback",
            ));
        }
        inner = wait(&entry.loaded, inner);
    }
}

/// Adds to the scopes of a sandbox, or changes nothing on an error. A directory that cannot be opened is an error
/// now, and not when the next module is loaded.
pub(crate) fn widen(handle: i64, add: impl FnOnce(&mut Scopes) -> Result<()>) -> Result<()> {
    change(handle, |sandbox| {
        let mut scopes = sandbox.scopes().clone();
        add(&mut scopes)?;
        scopes.validate()?;
        let before = sandbox.scopes().clone();
        sandbox.set_scopes(scopes);
        if let Err(error) = sandbox.check_directories() {
            sandbox.set_scopes(before);
            return Err(error.into());
        }
        Ok(())
    })
}

/// Adds devices to the scopes of a sandbox. A worker is started before the sandbox is locked, because that takes time.
#[cfg(unix)]
pub(crate) fn allow_gpu(
    handle: i64,
    worker: Option<&std::path::Path>,
    device: GpuPattern,
    max_memory_bytes: u64,
) -> Result<()> {
    SANDBOXES.get(handle)?;
    let gpu = worker.map(Workers::new).transpose()?;
    change(handle, |sandbox| {
        if gpu.is_none() && sandbox.gpu().is_none() {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                "the sandbox has no worker for GPUs yet: pass the absolute path of `dynload-gpu-worker`",
            ));
        }
        let mut scopes = sandbox.scopes().clone();
        if !scopes.gpu.devices.contains(&device) {
            scopes.gpu.devices.push(device);
        }
        scopes.gpu.max_memory_bytes = max_memory_bytes;
        sandbox.set_scopes(scopes);
        if let Some(gpu) = gpu {
            sandbox.set_gpu(Arc::new(gpu));
        }
        Ok(())
    })
}

/// There are no GPUs on this platform.
#[cfg(not(unix))]
pub(crate) fn allow_gpu(
    handle: i64,
    _worker: Option<&std::path::Path>,
    _device: GpuPattern,
    _max_memory_bytes: u64,
) -> Result<()> {
    SANDBOXES.get(handle)?;
    let message = "GPUs are available on Unix only: run this plugin without";
    Err(Error::new(ErrorCode::InvalidArgument, message))
}

/// What a plugin is granted of a sandbox.
pub(crate) struct Admitted {
    pub(crate) grant: Grant,
    pub(crate) limits: Limits,
    pub(crate) config: BTreeMap<String, String>,
}

/// Replaces what a sandbox allows by what `decide` returns for it, or changes nothing on an error. Nothing may have been
/// loaded: what runs keeps what it was granted, and would lose its capabilities.
pub(crate) fn admit(
    handle: i64,
    decide: impl FnOnce(Grant, Limits, &BTreeMap<String, String>) -> Result<Admitted>,
) -> Result<()> {
    let entry = SANDBOXES.get(handle)?;
    change_entry(&entry, |sandbox, is_used| {
        if is_used {
            return Err(Error::new(
                ErrorCode::Busy,
                "a module was loaded into the sandbox: admit each plugin into a sandbox of its own, before it is loaded",
            ));
        }
        let before = Grant::none()
            .with_capabilities(sandbox.capabilities())
            .with_scopes(sandbox.scopes().clone());
        let Admitted {
            grant,
            limits,
            config,
        } = decide(before.clone(), sandbox.limits(), sandbox.plugin_config())?;
        sandbox.set_scopes(grant.scopes);
        if let Err(error) = sandbox.check_directories() {
            sandbox.set_scopes(before.scopes);
            return Err(error.into());
        }
        sandbox.set_limits(limits);
        sandbox.set_plugin_config(config);
        // Also what another thread has granted meanwhile.
        entry.authority.revoke(!grant.capabilities);
        Ok(())
    })
}

/// Changes the configuration of the engine, for modules that are loaded later.
pub(crate) fn configure(handle: i64, change: impl FnOnce(EngineConfig) -> EngineConfig) -> Result<()> {
    let entry = SANDBOXES.get(handle)?;
    let mut inner = lock(&entry.inner);
    inner.engine = Engine::new(change(*inner.engine.config()));
    Ok(())
}

/// Compiles a module without a sandbox.
pub(crate) fn compile(bytes: &[u8]) -> Result<Module> {
    Ok(Module::new(&Engine::default(), bytes)?)
}

/// Compiles a module for a sandbox.
pub(crate) fn compile_for(handle: i64, bytes: &[u8]) -> Result<Module> {
    let entry = SANDBOXES.get(handle)?;
    let engine = lock(&entry.inner).engine.clone();
    Ok(Module::new(&engine, bytes)?)
}

/// Creates an instance of a module and returns its handle.
pub(crate) fn load(handle: i64, module: &Module) -> Result<i64> {
    SANDBOXES.get(handle)?.instantiate(handle, module)
}

impl SandboxEntry {
    fn instantiate(&self, handle: i64, module: &Module) -> Result<i64> {
        /// A load in progress. When it ends, it releases the sandbox and wakes the threads that wait to change the
        /// sandbox.
        struct Loading<'a> {
            entry: &'a SandboxEntry,
            sandbox: Option<Arc<Sandbox>>,
            number: u64,
        }
        impl Drop for Loading<'_> {
            fn drop(&mut self) {
                // Under the lock, so that a waiting thread sees that the sandbox is released.
                let mut inner = lock(&self.entry.inner);
                self.sandbox = None;
                inner.starting.remove(&self.number);
                drop(inner);
                self.entry.loaded.notify_all();
            }
        }

        let loading = {
            let mut inner = lock(&self.inner);
            inner.loads += 1;
            Loading {
                entry: self,
                sandbox: Some(inner.sandbox.clone()),
                number: inner.loads,
            }
        };
        let Some(sandbox) = &loading.sandbox else {
            return Err(gone());
        };
        let tell = |interrupt: InterruptHandle| {
            let mut inner = lock(&self.inner);
            if inner.destroyed {
                interrupt.interrupt();
            }
            inner.starting.insert(loading.number, interrupt);
        };
        let made = guest::run(0, || sandbox.instantiate_interruptible(module, tell));
        drop(loading);
        let instance = instance::insert(made?, handle)?;
        let mut inner = lock(&self.inner);
        if inner.destroyed {
            drop(inner);
            let _ = instance::destroy(instance);
            return Err(gone());
        }
        inner.instances.insert(instance);
        Ok(instance)
    }
}

/// Destroys an instance. A call that runs in it is interrupted.
pub(crate) fn destroy_instance(instance: i64) -> Result<()> {
    forget(instance::destroy(instance)?, instance);
    Ok(())
}

/// Releases the handle of an instance. A call that runs in it completes.
pub(crate) fn retire_instance(instance: i64) -> Result<()> {
    forget(instance::retire(instance)?, instance);
    Ok(())
}

fn forget(handle: i64, instance: i64) {
    if let Ok(entry) = SANDBOXES.get(handle) {
        lock(&entry.inner).instances.remove(&instance);
    }
}

fn gone() -> Error {
    Error::new(
        ErrorCode::InvalidHandle,
        "the sandbox was destroyed during the call",
    )
}
