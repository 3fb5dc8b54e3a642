//! Wasm instances and calls into them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};

use dynload_diagnostics::{listed, printable};
use dynload_sandbox::{
    Caller, ErrorKind, GuestMemory, Instance, InterruptHandle, Module, NoMemory, Signature, Usage, ValType,
    Value,
};

use crate::boundary::error::{Error, ErrorCode, Result, kind_code};
use crate::boundary::guest;
use crate::boundary::handle::{Kind, Table};

/// The instance that a handle identifies.
pub(crate) struct InstanceEntry {
    /// Locked during a call, and so while a host function of the guest runs.
    instance: Mutex<Instance>,
    /// Whether the instance is poisoned, as of the end of the last call.
    poisoned: AtomicBool,
    interrupt: InterruptHandle,
    module: Module,
    sandbox: i64,
}

impl Kind for InstanceEntry {
    const NAME: &'static str = "instance";
    const TAG: u8 = 2;
}

static INSTANCES: OnceLock<Table<InstanceEntry>> = OnceLock::new();

fn instances() -> &'static Table<InstanceEntry> {
    INSTANCES.get_or_init(Table::new)
}

/// Adds an instance and returns its handle.
pub(crate) fn insert(instance: Instance, sandbox: i64) -> Result<i64> {
    let interrupt = instance.interrupt_handle();
    let module = instance.module().clone();
    instances().insert(Arc::new(InstanceEntry {
        instance: Mutex::new(instance),
        poisoned: AtomicBool::new(false),
        interrupt,
        module,
        sandbox,
    }))
}

/// Destroys an instance and returns the handle of its sandbox. A call that runs in it is interrupted, and so is a
/// call that looked up the handle before and is about to begin: after this, no other code could end that call.
pub(super) fn destroy(handle: i64) -> Result<i64> {
    let entry = instances().remove(handle)?;
    entry.interrupt.interrupt_all();
    Ok(entry.sandbox)
}

/// Removes the handle of an instance and returns that of its sandbox. A call that runs in it completes normally.
pub(super) fn retire(handle: i64) -> Result<i64> {
    Ok(instances().remove(handle)?.sandbox)
}

/// Returns whether the instance can be called: it exists and is not poisoned by an aborted call. An instance that is
/// running can.
pub(crate) fn is_valid(handle: i64) -> bool {
    let entry = instances().get(handle);
    entry.is_ok_and(|entry| !entry.poisoned.load(Ordering::Acquire) && !entry.instance.is_poisoned())
}

/// Returns the sandbox of an instance.
pub(crate) fn sandbox_of(handle: i64) -> Result<i64> {
    Ok(instances().get(handle)?.sandbox)
}

/// Ends the call that runs in an instance, if there is one. Returns whether the instance exists. Async-signal-safe:
/// it loads and stores a few atomic numbers, and accesses no locks, no heap memory and no thread state.
pub(crate) fn interrupt(handle: i64) -> bool {
    let table = INSTANCES.get();
    table.is_some_and(|table| table.look(handle, |entry| entry.interrupt.interrupt()).is_some())
}

impl InstanceEntry {
    /// Returns the type of an exported function. Needs no access to the instance, which may be out.
    fn signature(&self, name: &str) -> Result<Signature> {
        let functions = || self.module.exports().filter(|export| export.ty.func().is_some());
        if let Some(signature) = functions()
            .find(|export| export.name == name)
            .and_then(|export| export.ty.func().cloned())
        {
            return Ok(signature);
        }
        let nearest = dynload_diagnostics::nearest_name(name, functions().map(|export| export.name));
        let hint = nearest
            .map(|nearest| format!("; did you mean `{}`?", printable(nearest)))
            .unwrap_or_default();
        Err(Error::new(
            ErrorCode::NotFound,
            format!("`{}` is not an exported function{hint}", printable(name)),
        ))
    }

    /// Locks the instance, after the calls of other threads. In a callback it does not wait: two threads could wait for each
    /// other forever.
    fn lock(&self) -> Result<Locked<'_>> {
        let locked = if guest::is_running() {
            self.instance.try_lock()
        } else {
            self.instance.lock().map_err(TryLockError::Poisoned)
        };
        match locked {
            Ok(instance) => Ok(Locked {
                instance,
                poisoned: &self.poisoned,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorCode::Busy,
                "the instance is running: in a callback, only a host function of this instance can call it",
            )),
            Err(TryLockError::Poisoned(_)) => Err(Error::new(
                ErrorCode::Poisoned,
                "the instance was lost to an internal error of the library: load it again",
            )),
        }
    }
}

/// A locked instance. When it is dropped, the entry learns whether the instance is poisoned.
struct Locked<'a> {
    instance: MutexGuard<'a, Instance>,
    poisoned: &'a AtomicBool,
}

impl Deref for Locked<'_> {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Instance {
        &mut self.instance
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let poisoned = self.instance.poisoned_by().is_some();
        self.poisoned.store(poisoned, Ordering::Release);
    }
}

/// Calls a function with integer parameters and results.
pub(crate) fn call(handle: i64, name: &str, args: &[i64]) -> Result<i64> {
    let entry = instances().get(handle)?;
    if guest::is_running()
        && let Some(result) = guest::with_caller(handle, |caller| {
            let signature = entry.signature(name)?;
            let args = convert(name, &signature, args, 1, true)?;
            Ok(reenter(caller, name, &args)?
                .first()
                .map_or(0, |value| from_value(*value)))
        })
    {
        return result;
    }
    let mut instance = entry.lock()?;
    Ok(guest::run(handle, || instance.call_i64(name, args))?)
}

/// Calls from a host function's callback into its own guest. The caller has checked the call beforehand, because a
/// nested call that fails ends the outer call too.
fn reenter(caller: &mut Caller<'_>, name: &str, args: &[Value]) -> Result<Vec<Value>> {
    caller.call(name, args).map_err(|stop| match stop.kind() {
        ErrorKind::Host(cause) => match cause.downcast_ref::<dynload_sandbox::Error>() {
            Some(inner) => inner.clone().into(),
            None => Error::from_chain(kind_code(stop.kind()), &**cause),
        },
        kind => Error::new(kind_code(kind), kind.to_string()),
    })
}

/// Converts 64 bits to a value of a type. An i32 must fit. Floats are passed as their bits, unless only integers are
/// allowed.
pub(crate) fn to_value(ty: ValType, bits: i64, integers_only: bool) -> Option<Value> {
    match ty {
        ValType::I64 => Some(Value::I64(bits)),
        // Both interpretations of 32 bits are accepted: -1 and 4 294 967 295 are the same i32.
        ValType::I32 => i32::try_from(bits)
            .ok()
            .or_else(|| u32::try_from(bits).ok().map(|bits| bits as i32))
            .map(Value::I32),
        ValType::F64 if !integers_only => Some(Value::F64(f64::from_bits(bits as u64))),
        ValType::F32 if !integers_only => u32::try_from(bits)
            .ok()
            .map(|bits| Value::F32(f32::from_bits(bits))),
        _ => None,
    }
}

/// Converts a value to 64 bits: integers as they are, floats as their bits.
pub(crate) fn from_value(value: Value) -> i64 {
    match value {
        Value::I32(value) => i64::from(value),
        Value::I64(value) => value,
        Value::F32(value) => i64::from(value.to_bits()),
        Value::F64(value) => value.to_bits() as i64,
        _ => 0,
    }
}

/// Calls a function of any numeric type. `results` must have as many elements as the function has results.
pub(crate) fn call_n(handle: i64, name: &str, args: &[i64], results: &mut [i64]) -> Result<()> {
    let entry = instances().get(handle)?;
    let signature = entry.signature(name)?;
    let args = convert(name, &signature, args, results.len(), false)?;
    let from_within = if guest::is_running() {
        guest::with_caller(handle, |caller| reenter(caller, name, &args))
    } else {
        None
    };
    let values = match from_within {
        Some(values) => values?,
        None => {
            let mut instance = entry.lock()?;
            guest::run(handle, || instance.call(name, &args))?
        }
    };
    for (result, value) in results.iter_mut().zip(values) {
        *result = from_value(value);
    }
    Ok(())
}

/// Calls a function with bytes.
pub(crate) fn call_bytes(handle: i64, name: &str, inputs: &[&[u8]]) -> Result<Vec<u8>> {
    let entry = instances().get(handle)?;
    let mut instance = entry.lock()?;
    Ok(guest::run(handle, || instance.call_bytes(name, inputs))?)
}

/// Converts the arguments to the function's parameter types. In integer-only calls the function may have fewer
/// results than there is room for.
fn convert(
    name: &str,
    signature: &Signature,
    args: &[i64],
    results: usize,
    integers: bool,
) -> Result<Vec<Value>> {
    let mismatch = || {
        let name = printable(name);
        let message = format!(
            "`{name}` has the type {signature}, but was called with the arguments [{}] and room for {results} results",
            listed(args)
        );
        Error::new(ErrorCode::Signature, message)
    };
    let room = if integers {
        let integer = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64);
        signature.results.len() <= results && signature.results.iter().all(integer)
    } else {
        signature.results.len() == results
    };
    if signature.params.len() != args.len() || !room {
        return Err(mismatch());
    }
    let values = signature
        .params
        .iter()
        .zip(args)
        .map(|(ty, arg)| to_value(*ty, *arg, integers));
    values.collect::<Option<Vec<Value>>>().ok_or_else(mismatch)
}

/// Returns the resource usage of the last call.
pub(crate) fn usage(handle: i64) -> Result<Usage> {
    let entry = instances().get(handle)?;
    let mut instance = entry.lock()?;
    Ok(instance.usage())
}

/// Passes the memory of an instance to `f`, also in a callback of this instance.
pub(crate) fn with_memory<R>(handle: i64, f: impl FnOnce(GuestMemory<'_>) -> Result<R>) -> Result<R> {
    let entry = instances().get(handle)?;
    let mut f = Some(f);
    if guest::is_running() {
        let from_within = guest::with_caller(handle, |caller| {
            f.take()
                .map(|f| caller.memory().map_err(no_memory).and_then(f))
                .unwrap_or_else(|| Err(Error::new(ErrorCode::Internal, "the memory was passed on twice")))
        });
        if let Some(result) = from_within {
            return result;
        }
    }
    let mut instance = entry.lock()?;
    match f.take() {
        Some(f) => instance.memory().map_err(no_memory).and_then(f),
        None => Err(Error::new(ErrorCode::Internal, "the memory was passed on twice")),
    }
}

fn no_memory(error: NoMemory) -> Error {
    Error::new(ErrorCode::InvalidArgument, error.to_string())
}

/// Converts an offset in a guest's memory from C.
pub(crate) fn offset(offset: i64) -> Result<u32> {
    u32::try_from(offset).map_err(|_| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the offset is {offset}: it must be from 0 to {}", u32::MAX),
        )
    })
}

/// Resets an instance to the initial state of its module.
pub(crate) fn reset(handle: i64) -> Result<()> {
    let entry = instances().get(handle)?;
    let mut instance = entry.lock()?;
    Ok(guest::run(handle, || instance.reset())?)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use dynload_sandbox::{Engine, Limits, Sandbox};

    const SPIN: &str = r#"(module (func (export "spin") (loop (br 0))) (func (export "nothing")))"#;

    fn spinning() -> i64 {
        let wasm = wat::parse_str(SPIN).unwrap();
        let module = Module::new(&Engine::default(), wasm).unwrap();
        let sandbox = Sandbox::new(Limits::DEFAULT);
        insert(sandbox.instantiate(&module).unwrap(), 0).unwrap()
    }

    #[test]
    fn a_call_that_is_about_to_begin_is_interrupted_with_its_instance() {
        let handle = spinning();
        let entry = instances().get(handle).unwrap();
        destroy(handle).unwrap();
        let mut instance = entry.lock().unwrap();
        let error = instance.call("spin", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
        assert!(instance.reset().is_err());
    }

    #[test]
    fn a_call_into_a_retired_instance_completes() {
        let handle = spinning();
        let entry = instances().get(handle).unwrap();
        retire(handle).unwrap();
        entry.lock().unwrap().call("nothing", &[]).unwrap();
        assert!(call(handle, "nothing", &[]).is_err());
    }
}
