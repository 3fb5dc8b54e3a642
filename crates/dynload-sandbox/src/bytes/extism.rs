//! [Extism](https://extism.org) plugins: their bytes are in blocks at the host.

mod blocks;
mod imports;
mod variables;

pub(crate) use imports::define;

use super::{Outcome, message};
use crate::{
    call::run,
    call::state::State,
    error::{ErrorKind, Stop},
    host::Caller,
    instance::exported,
    value::{Signature, ValType},
};
use alloc::{format, sync::Arc, vec, vec::Vec};
use blocks::Blocks;
use core::fmt;
use variables::Variables;
use wasmi::{AsContext, AsContextMut, StoreContextMut, Val};

/// What the host keeps for a plugin.
#[derive(Debug, Default)]
pub(crate) struct Extism {
    blocks: Blocks,
    /// Offset and length.
    input: (u64, u64),
    output: (u64, u64),
    /// The block with the text of an error, or 0.
    error: u64,
    variables: Variables,
    http_status: u16,
    http_headers: u64,
    is_initialized: bool,
    /// Whether the guest imports functions of Extism.
    is_imported: bool,
}

impl Extism {
    /// Returns whether the guest imports functions of Extism.
    pub(super) fn is_imported(&self) -> bool {
        self.is_imported
    }

    /// Forgets which blocks have a meaning.
    fn forget(&mut self) {
        self.input = (0, 0);
        self.output = (0, 0);
        self.error = 0;
        self.http_status = 0;
        self.http_headers = 0;
    }

    /// Returns a range if it is inside of a block, or empty.
    fn checked(&self, offset: u64, len: u64) -> Option<(u64, u64)> {
        let is_inside = len == 0 || self.blocks.slice(offset, len).is_some();
        is_inside.then_some((offset, len))
    }
}

/// An HTTP response for an Extism plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers, as a JSON object of strings; empty if there are none.
    pub headers: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// Makes the HTTP requests of Extism plugins: see [`Sandbox::set_http_client`](crate::Sandbox::set_http_client).
pub(crate) type HttpFunction =
    Arc<dyn Fn(&mut Caller<'_>, &[u8], &[u8]) -> Result<HttpResponse, Stop> + Send + Sync>;

/// A guest passed an offset that is not that of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoBlock(pub(super) u64);

impl fmt::Display for NoBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the plugin passed {}, which is not the offset of a block",
            self.0
        )
    }
}

impl core::error::Error for NoBlock {}

/// For host functions that Extism plugins import from `extism:host/user`.
impl Caller<'_> {
    /// Returns the bytes of a block that an Extism plugin passes as an `i64`; none for 0, which is an empty text.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Caller, Capabilities, Limits, Sandbox, Stop};
    ///
    /// let mut sandbox = Sandbox::new(Limits::DEFAULT);
    /// sandbox.func_wrap("extism:host/user", "reverse", Capabilities::NONE, |caller: &mut Caller<'_>, (text,): (i64,)| {
    ///     let text = caller.extism_block(text).ok_or_else(|| Stop::host("not a block"))?;
    ///     let reversed: Vec<u8> = text.iter().rev().copied().collect();
    ///     caller.new_extism_block(&reversed)
    /// });
    /// ```
    #[must_use]
    pub fn extism_block(&mut self, block: i64) -> Option<&[u8]> {
        let extism = self.state().extism.as_ref()?;
        match block {
            0 => Some(&[]),
            block => extism.blocks.get(block as u64),
        }
    }

    /// Creates a block for an Extism plugin, which can return it as an `i64`. The guest pays for the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] if the fuel or the memory limit is exceeded; [`ErrorKind::Host`] if the guest is not an
    /// Extism plugin.
    pub fn new_extism_block(&mut self, bytes: &[u8]) -> Result<i64, Stop> {
        imports::give(self, bytes).map(|block| block as i64)
    }
}

/// Calls an export. The fuel and the time of the call are already being counted.
pub(super) fn call(
    mut ctx: StoreContextMut<'_, State>,
    export: &str,
    args: &[&[u8]],
) -> Result<Outcome, ErrorKind> {
    let func = exported(&ctx, export)?;
    let found = Signature::from_engine(&func.ty(&ctx));
    let expected = signature();
    let [input] = args else {
        let expected = format!("{} inputs; an Extism plugin has one", args.len());
        return Err(ErrorKind::SignatureMismatch { found, expected });
    };
    if found != expected {
        let expected = format!("{expected}, the type of an Extism plugin's functions");
        return Err(ErrorKind::SignatureMismatch { found, expected });
    }
    // What the call before had no time to remove.
    while !remove_some(&mut ctx)? {
        ctx.data_mut().look()?;
    }
    initialize(&mut ctx)?;
    let (extism, memory) = imports::parts(ctx.data_mut()).map_err(|Stop(kind)| kind)?;
    let block = match extism.blocks.copy(input, memory) {
        Ok(block) => block,
        Err(denied) => return Err(super::out_of_memory(denied).0),
    };
    extism.input = (block, input.len() as u64);
    let mut results = [Val::I32(0)];
    // A reset removes the blocks of a call that was aborted.
    run::untyped(ctx.as_context_mut(), &func, &[], &mut results)?;
    let (extism, _) = imports::parts(ctx.data_mut()).map_err(|Stop(kind)| kind)?;
    let outcome = outcome(extism, results[0].i32().unwrap_or(-1));
    extism.forget();
    // The guest has returned in time: at the deadline, the rest is left to the next call.
    while !remove_some(&mut ctx)? && ctx.data_mut().look().is_ok() {}
    Ok(outcome)
}

/// Removes some blocks. Returns whether none is left.
fn remove_some(ctx: &mut StoreContextMut<'_, State>) -> Result<bool, ErrorKind> {
    imports::remove_some(ctx.data_mut()).map_err(|Stop(kind)| kind)
}

/// Returns the type of the functions of an Extism plugin.
pub(super) fn signature() -> Signature {
    Signature {
        params: Vec::new(),
        results: vec![ValType::I32],
    }
}

/// Returns what a call returned.
fn outcome(extism: &Extism, status: i32) -> Outcome {
    if let Some(text) = extism.blocks.get(extism.error) {
        return Err(ErrorKind::Failed(message(text)));
    }
    if status != 0 {
        return Err(ErrorKind::Failed(format!("it returned the status {status}")));
    }
    let (offset, len) = extism.output;
    Ok(extism.blocks.slice(offset, len).unwrap_or_default().into())
}

/// Runs what initializes the plugin's language, before the first call: `hs_init` after `_initialize`, else `__wasm_call_ctors`,
/// else `_initialize`; without `_initialize` if it ran when the instance was created.
fn initialize(ctx: &mut StoreContextMut<'_, State>) -> Result<(), ErrorKind> {
    let extism = ctx.data_mut().extism.as_deref_mut();
    if extism.is_none_or(|extism| core::mem::replace(&mut extism.is_initialized, true)) {
        return Ok(());
    }
    let Some(instance) = ctx.data().linked.map(|linked| linked.instance) else {
        return Ok(());
    };
    let find = |name| instance.get_func(ctx.as_context(), name);
    let has_run = find("_initialize").is_some() && find("_start").is_none();
    let language = find("hs_init");
    let initialize = find("_initialize").filter(|_| !has_run);
    let constructors = find("__wasm_call_ctors").filter(|_| !has_run && language.is_none());
    let first = constructors.or(initialize);
    for func in first.into_iter().chain(language) {
        let ty = func.ty(&*ctx);
        let zeros: Vec<Val> = ty.params().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        run::untyped(ctx.as_context_mut(), &func, &zeros, &mut results)?;
    }
    Ok(())
}
