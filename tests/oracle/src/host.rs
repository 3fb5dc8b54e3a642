//! The imports of a program.

use std::collections::HashMap;

use crate::error::Trap;
use crate::module::{ExternType, GlobalType, MemoryType, Module, TableType};
use crate::store::{Extern, InstanceId, Store, zeros};
use crate::value::{FuncType, Value};

/// The behaviour of a host function.
pub trait Host<'a>: Fn(&mut Caller<'_, 'a>, &[Value]) -> Result<Vec<Value>, Trap> + 'a {}

impl<'a, F> Host<'a> for F where F: Fn(&mut Caller<'_, 'a>, &[Value]) -> Result<Vec<Value>, Trap> + 'a {}

/// A host function with its type.
pub struct HostFunc<'a> {
    pub(crate) ty: FuncType,
    pub(crate) call: Box<dyn Host<'a>>,
}

impl<'a> HostFunc<'a> {
    /// Creates a host function of type `ty` that runs `call`.
    pub fn new(ty: FuncType, call: impl Host<'a>) -> Self {
        Self {
            ty,
            call: Box::new(call),
        }
    }
}

/// Something that an import can be resolved to.
pub enum Import<'a> {
    /// A host function.
    Func(HostFunc<'a>),
    /// A host memory, created when the module is instantiated.
    Memory(MemoryType),
    /// A host table, created when the module is instantiated.
    Table(TableType),
    /// A host global, created when the module is instantiated.
    Global(GlobalType, Value),
    /// Something that is already in the store.
    Extern(Extern),
}

/// Imports by their two names.
#[derive(Default)]
pub struct Imports<'a>(pub(crate) HashMap<(String, String), Import<'a>>);

impl<'a> Imports<'a> {
    /// Creates an empty set of imports.
    pub fn new() -> Self {
        Self::default()
    }

    /// Provides `module.name`, replacing any earlier definition.
    pub fn define(&mut self, module: &str, name: &str, import: Import<'a>) {
        self.0.insert((module.into(), name.into()), import);
    }

    /// Provides the function `module.name`.
    #[must_use]
    pub fn func(mut self, module: &str, name: &str, ty: FuncType, call: impl Host<'a>) -> Self {
        self.define(module, name, Import::Func(HostFunc::new(ty, call)));
        self
    }

    /// Provides every import of a module: functions that return zeros and nulls, memories and tables of the requested size,
    /// globals that are zero.
    pub fn zeros(module: &Module<'_>) -> Self {
        let mut imports = Self::new();
        for import in module.imports() {
            let what = match &import.ty {
                ExternType::Func(ty) => {
                    let results = zeros(&ty.results);
                    Import::Func(HostFunc::new(
                        ty.clone(),
                        move |_: &mut Caller<'_, 'a>, _: &[Value]| Ok(results.clone()),
                    ))
                }
                ExternType::Memory(ty) => Import::Memory(*ty),
                ExternType::Table(ty) => Import::Table(*ty),
                ExternType::Global(ty) => Import::Global(*ty, ty.ty.zero()),
            };
            imports.define(&import.module, &import.name, what);
        }
        imports
    }
}

/// A host function's access to its caller.
pub struct Caller<'s, 'a> {
    store: &'s mut Store<'a>,
    instance: Option<usize>,
}

impl<'s, 'a> Caller<'s, 'a> {
    pub(crate) fn new(store: &'s mut Store<'a>, instance: Option<usize>) -> Self {
        Self { store, instance }
    }

    /// Calls an export of the calling instance, within the same call from outside: fuel, depth and stack keep counting.
    /// The host makes this call, so it costs the function entry and no call operator.
    ///
    /// # Errors
    ///
    /// - The [`Trap`] that stopped it
    /// - [`Trap::BadCall`] if there is no such function or the arguments do not match
    pub fn call(&mut self, name: &str, args: &[Value]) -> Result<Vec<Value>, Trap> {
        let export = self
            .instance
            .and_then(|instance| self.store.export(InstanceId(instance), name));
        match export {
            Some(Extern::Func(func)) => self.store.invoke(func, args),
            _ => Err(Trap::BadCall(format!("there is no exported function `{name}`"))),
        }
    }

    /// Calls a function that the guest passed as a reference.
    ///
    /// # Errors
    ///
    /// - The [`Trap`] that stopped it
    /// - [`Trap::BadCall`] if `func` is not a function or the arguments do not match
    pub fn call_ref(&mut self, func: Value, args: &[Value]) -> Result<Vec<Value>, Trap> {
        match func {
            Value::FuncRef(Some(func)) => self.store.invoke(func, args),
            other => Err(Trap::BadCall(format!("{other:?} is not a function"))),
        }
    }

    /// Charges fuel for work of the host; it counts as surcharge.
    ///
    /// # Errors
    ///
    /// [`Trap::OutOfFuel`] if this exceeds the fuel limit
    pub fn burn(&mut self, fuel: u64) -> Result<(), Trap> {
        self.store.meter.surcharge(fuel)
    }

    /// Returns a memory of the calling instance, by its index in the module.
    pub fn memory(&mut self, index: usize) -> Option<&mut [u8]> {
        let addr = *self.store.instances[self.instance?].memories.get(index)?;
        Some(&mut self.store.memories[addr].bytes)
    }
}
