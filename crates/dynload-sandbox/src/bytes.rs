//! Calls that pass bytes to a guest and return bytes.
//!
//! The guest needs no allocator that the host can call: it imports one function that copies the arguments to where it wants
//! them, and one that hands over the result.

#[cfg(feature = "extism")]
mod extism;
mod protocol;

#[cfg(feature = "extism")]
pub use extism::HttpResponse;
#[cfg(feature = "extism")]
pub(crate) use extism::{Extism, HttpFunction, define as define_extism};
pub(crate) use protocol::{define_typst, define_vais};

use crate::{
    call::run,
    call::state::State,
    error::{DeniedGrowth, Error, ErrorKind, Invoked, Limit, Stop},
    instance::{Instance, exported},
    metering::memory_meter::MemoryMeter,
    value::{Signature, ValType},
};
use alloc::{format, string::String, vec, vec::Vec};
use wasmi::{AsContextMut, StoreContextMut, Val};

/// The maximum length in bytes of an error text of a guest; the rest is cut off.
const MAX_MESSAGE: usize = 1 << 16;

/// What an instance and its host exchange in a call.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The arguments, one after the other; `None` outside of a call with bytes.
    args: Option<Vec<u8>>,
    /// Whether the guest imports functions that read the arguments or set the result.
    is_imported: bool,
    /// Counted by the memory meter.
    result: Vec<u8>,
}

impl Exchange {
    /// Stores the result of the call, in place of an earlier one.
    fn set_result(&mut self, bytes: &[u8], memory: &mut MemoryMeter) -> Result<(), Stop> {
        self.take_result(memory);
        memory.hold(bytes.len() as u64).map_err(out_of_memory)?;
        self.result = bytes.into();
        Ok(())
    }

    /// Takes the result, which no longer counts as memory of the guest.
    fn take_result(&mut self, memory: &mut MemoryMeter) -> Vec<u8> {
        let result = core::mem::take(&mut self.result);
        memory.release(result.len() as u64);
        result
    }
}

fn out_of_memory(denied: DeniedGrowth) -> Stop {
    Stop(denied.into())
}

/// What a call that was not aborted returned: the result, or why there is none.
type Outcome = Result<Vec<u8>, ErrorKind>;

impl Instance {
    /// Calls an exported function with bytes, and returns the bytes of its result.
    ///
    /// The function has an `i32` parameter for the length of each argument, and returns an `i32`: 0, or 1 if its result is the
    /// text of an error. It calls
    ///
    /// - `vais.read_args (i32) -> ()`, which copies the arguments, one after the other, to an address;
    /// - `vais.set_result (i32, i32) -> ()`, which copies the result from an address, with a length. A later call replaces it.
    ///
    /// Plugins for [typst] work as well: they import the same functions under other names. So do [Extism] plugins, which import
    /// from `extism:host/env`: their functions have no parameters and one input; a guest that imports neither is one if the
    /// function has that type. Their log goes to standard error of the
    /// console, with CONSOLE.
    ///
    /// This is one call: one deadline, one fuel limit, one [`usage`](Instance::usage). The guest pays for the bytes that are
    /// copied ([`schedule`](crate::schedule)). The result counts as memory of the instance until it is returned.
    ///
    /// [Extism]: https://extism.org
    /// [typst]: https://typst.app/docs/reference/foundations/plugin/
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Engine, Limits, Module, Sandbox};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Reverses its argument.
    /// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
    ///     (import "vais" "read_args" (func $read_args (param i32)))
    ///     (import "vais" "set_result" (func $set_result (param i32 i32)))
    ///     (memory (export "memory") 1)
    ///     (func (export "reverse") (param $len i32) (result i32) (local $i i32)
    ///         (call $read_args (i32.const 0))
    ///         (block $done (loop $next
    ///             (br_if $done (i32.eq (local.get $i) (local.get $len)))
    ///             (i32.store8
    ///                 (i32.sub (i32.sub (i32.const 0x8000) (local.get $i)) (i32.const 1))
    ///                 (i32.load8_u (local.get $i)))
    ///             (local.set $i (i32.add (local.get $i) (i32.const 1)))
    ///             (br $next)))
    ///         (call $set_result (i32.sub (i32.const 0x8000) (local.get $len)) (local.get $len))
    ///         (i32.const 0)))"#)?)?;
    /// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
    /// assert_eq!(instance.call_bytes("reverse", &[b"abc"])?, b"cba");
    /// assert_eq!(instance.call_str("reverse", "stressed")?, "desserts");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Instance::call). Also, without poisoning the instance:
    ///
    /// - [`ErrorKind::Failed`] if the guest returned an error.
    /// - [`ErrorKind::InvalidResult`] if it returned neither 0 nor 1.
    /// - [`ErrorKind::LimitExceeded`] if the arguments have 4 GiB or more. No guest code ran.
    pub fn call_bytes(&mut self, export: &str, args: &[&[u8]]) -> Result<Vec<u8>, Error> {
        self.enter(Invoked::Export(export))?;
        #[cfg(feature = "extism")]
        let call = if self.is_extism(export, args.len()) {
            extism::call
        } else {
            call
        };
        let result = call(self.context(), export, args);
        let outcome = self.leave(Invoked::Export(export), result)?;
        outcome.map_err(|kind| {
            self.context().data_mut().meter.fail();
            let usage = self.usage();
            let denied = self.context().data().memory.denied;
            Error::new(Invoked::Export(export), kind, usage, denied)
        })
    }

    /// Returns whether an export is called as one of an Extism plugin.
    ///
    /// A guest may need none of the imports of either convention. Then a function without parameters that is called with one
    /// input can only be one of Extism's: in the other convention it would have a parameter.
    #[cfg(feature = "extism")]
    fn is_extism(&mut self, export: &str, inputs: usize) -> bool {
        let context = self.context();
        let state = context.data();
        match &state.extism {
            Some(extism) if extism.is_imported() => return true,
            _ if state.exchange.is_imported || inputs != 1 => return false,
            _ => {}
        }
        let is_of_extism = self.signature(export) == Some(extism::signature());
        if is_of_extism {
            self.context().data_mut().extism.get_or_insert_default();
        }
        is_of_extism
    }

    /// Calls an exported function with a text, and returns the text of its result: see [`call_bytes`](Instance::call_bytes).
    ///
    /// # Errors
    ///
    /// As [`call_bytes`](Instance::call_bytes), and [`ErrorKind::InvalidResult`] if the result is not UTF-8.
    pub fn call_str(&mut self, export: &str, text: &str) -> Result<String, Error> {
        let result = self.call_bytes(export, &[text.as_bytes()])?;
        String::from_utf8(result).map_err(|error| {
            self.context().data_mut().meter.fail();
            let reason = format!(
                "a result that is not UTF-8 (from byte {})",
                error.utf8_error().valid_up_to()
            );
            let usage = self.usage();
            Error::new(
                Invoked::Export(export),
                ErrorKind::InvalidResult(reason),
                usage,
                None,
            )
        })
    }
}

/// Calls an export with bytes. The fuel and the time of the call are already being counted.
fn call(mut ctx: StoreContextMut<'_, State>, export: &str, args: &[&[u8]]) -> Result<Outcome, ErrorKind> {
    let func = exported(&ctx, export)?;
    let found = Signature::from_engine(&func.ty(&ctx));
    let expected = Signature {
        params: vec![ValType::I32; args.len()],
        results: vec![ValType::I32],
    };
    if found != expected {
        // The type of a call with many arguments would not fit into an error.
        let expected = match args.len() {
            0..=8 => format!("{expected}, which has an i32 for the length of each argument"),
            many => format!("a function with an i32 for the length of each of {many} arguments"),
        };
        return Err(ErrorKind::SignatureMismatch { found, expected });
    }
    let total = args.iter().map(|arg| arg.len() as u64).sum();
    if total > u64::from(u32::MAX) {
        return Ok(Err(ErrorKind::LimitExceeded {
            limit: Limit::Memory,
            value: u32::MAX.into(),
            requested: Some(total),
        }));
    }
    // Each fits, because the sum does.
    let lengths: Vec<Val> = args.iter().map(|arg| Val::I32(arg.len() as i32)).collect();
    ctx.data_mut().exchange.args = Some(args.concat());
    let mut results = [Val::I32(0)];
    let called = run::untyped(ctx.as_context_mut(), &func, &lengths, &mut results);
    let State { exchange, memory, .. } = ctx.data_mut();
    exchange.args = None;
    let result = exchange.take_result(memory);
    called?;
    Ok(match results {
        [Val::I32(0)] => Ok(result),
        [Val::I32(1)] => Err(ErrorKind::Failed(message(&result))),
        [other] => {
            let status = other.i32().unwrap_or(-1);
            Err(ErrorKind::InvalidResult(format!(
                "the status {status}; a function that is called with bytes returns 0, or 1 with an error text as its result"
            )))
        }
    })
}

/// Returns the text of a guest's error.
fn message(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MAX_MESSAGE)];
    String::from_utf8_lossy(cut).into_owned()
}
