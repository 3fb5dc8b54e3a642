//! The store: live functions, tables, memories and globals, and the instances that refer to them.

use std::collections::HashMap;
use std::rc::Rc;

use crate::code::Code;
use crate::error::{Error, Trap};
use crate::host::{Caller, Host, HostFunc, Import, Imports};
use crate::interpreter;
use crate::meter::{Limits, Meter, Usage};
use crate::module::{ExternType, GlobalType, MemoryType, TableType};
use crate::schedule::Schedule;
use crate::value::{FuncType, ValType, Value};

/// The address of something in a [`Store`], as another module may import it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extern {
    /// A function.
    Func(usize),
    /// A linear memory.
    Memory(usize),
    /// A table.
    Table(usize),
    /// A global.
    Global(usize),
}

/// An instance in a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceId(pub(crate) usize);

#[derive(Clone)]
pub(crate) enum Func<'a> {
    Wasm { instance: usize, code: Rc<Code<'a>> },
    Host(Rc<HostFunc<'a>>),
}

impl Func<'_> {
    pub(crate) fn ty(&self) -> &FuncType {
        match self {
            Self::Wasm { code, .. } => &code.ty,
            Self::Host(host) => &host.ty,
        }
    }
}

pub(crate) struct Memory {
    pub(crate) ty: MemoryType,
    pub(crate) bytes: Vec<u8>,
}

impl Memory {
    pub(crate) fn pages(&self) -> u64 {
        self.bytes.len() as u64 >> self.ty.page_size_log2
    }
}

pub(crate) struct Table {
    pub(crate) ty: TableType,
    pub(crate) elements: Vec<Value>,
}

pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    pub(crate) value: Value,
}

/// An instance: maps each index of its module to an address in the store.
#[derive(Default)]
pub(crate) struct Instance<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) funcs: Vec<usize>,
    pub(crate) tables: Vec<usize>,
    pub(crate) memories: Vec<usize>,
    pub(crate) globals: Vec<usize>,
    /// Element segments; a dropped one is empty.
    pub(crate) elements: Vec<Vec<Value>>,
    /// Data segments; a dropped one is empty.
    pub(crate) data: Vec<&'a [u8]>,
    pub(crate) exports: HashMap<String, Extern>,
}

/// A store of instances. One store has one meter; instances that share a store share it.
#[derive(Default)]
pub struct Store<'a> {
    pub(crate) funcs: Vec<Func<'a>>,
    pub(crate) tables: Vec<Table>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) globals: Vec<Global>,
    pub(crate) instances: Vec<Instance<'a>>,
    pub(crate) meter: Meter,
    /// Whether to compare the operand stack with the height computed at load after every operator.
    pub(crate) self_check: bool,
}

/// The size in bytes of the largest memory or table that the oracle allocates; a table element counts as
/// [`Schedule::element_bytes`].
const MAX_ALLOCATION: u64 = 1 << 32;

impl<'a> Store<'a> {
    /// Creates an empty store.
    pub fn new(schedule: Schedule, limits: Limits) -> Self {
        Self {
            meter: Meter::new(schedule, limits),
            ..Self::default()
        }
    }

    /// Changes the limits for later calls.
    pub fn set_limits(&mut self, limits: Limits) {
        self.meter.limits = limits;
    }

    /// Returns what the last call from outside, or the last instantiation, used.
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// Puts a host item into the store.
    ///
    /// # Errors
    ///
    /// [`Trap::MemoryLimit`] if a memory or table exceeds the limit
    pub fn define(&mut self, import: Import<'a>) -> Result<Extern, Trap> {
        Ok(match import {
            Import::Func(func) => {
                self.funcs.push(Func::Host(Rc::new(func)));
                Extern::Func(self.funcs.len() - 1)
            }
            Import::Memory(ty) => Extern::Memory(self.new_memory(ty)?),
            Import::Table(ty) => Extern::Table(self.new_table(ty, ty.element.zero())?),
            Import::Global(ty, value) => Extern::Global(self.new_global(ty, value)),
            Import::Extern(existing) => existing,
        })
    }

    /// Puts a host function into the store.
    pub fn define_func(&mut self, ty: FuncType, call: impl Host<'a>) -> Extern {
        self.funcs.push(Func::Host(Rc::new(HostFunc::new(ty, call))));
        Extern::Func(self.funcs.len() - 1)
    }

    /// Returns what an instance exports under a name.
    pub fn export(&self, instance: InstanceId, name: &str) -> Option<Extern> {
        self.instances[instance.0].exports.get(name).copied()
    }

    /// Defines everything that an instance exports as imports from the module `module`.
    pub fn export_all(&self, instance: InstanceId, module: &str, imports: &mut Imports<'a>) {
        for (name, what) in &self.instances[instance.0].exports {
            imports.define(module, name, Import::Extern(*what));
        }
    }

    /// Returns the type of something in the store.
    pub fn extern_type(&self, what: Extern) -> ExternType {
        match what {
            Extern::Func(addr) => ExternType::Func(self.funcs[addr].ty().clone()),
            Extern::Memory(addr) => {
                let memory = &self.memories[addr];
                ExternType::Memory(MemoryType {
                    initial: memory.pages(),
                    ..memory.ty
                })
            }
            Extern::Table(addr) => {
                let table = &self.tables[addr];
                ExternType::Table(TableType {
                    initial: table.elements.len() as u64,
                    ..table.ty
                })
            }
            Extern::Global(addr) => ExternType::Global(self.globals[addr].ty),
        }
    }

    /// Returns the value of an exported global.
    pub fn global(&self, instance: InstanceId, name: &str) -> Option<Value> {
        match self.export(instance, name)? {
            Extern::Global(addr) => Some(self.globals[addr].value),
            _ => None,
        }
    }

    /// Calls an exported function from outside: usage starts at 0.
    ///
    /// # Errors
    ///
    /// - The [`Trap`] that stopped it
    /// - [`Trap::BadCall`] if there is no such function or the arguments do not match
    pub fn call(&mut self, instance: InstanceId, name: &str, args: &[Value]) -> Result<Vec<Value>, Trap> {
        let Some(Extern::Func(func)) = self.export(instance, name) else {
            return Err(Trap::BadCall(format!("there is no exported function `{name}`")));
        };
        self.meter.start();
        self.invoke(func, args)
    }

    /// Calls a function within the running call.
    pub(crate) fn invoke(&mut self, func: usize, args: &[Value]) -> Result<Vec<Value>, Trap> {
        let params = &self.funcs[func].ty().params;
        if !params.iter().copied().eq(args.iter().map(Value::ty)) {
            return Err(Trap::BadCall(format!(
                "the function accepts {params:?}, not {args:?}"
            )));
        }
        interpreter::run(self, func, args)
    }

    pub(crate) fn call_host(
        &mut self,
        host: &HostFunc<'a>,
        instance: Option<usize>,
        args: &[Value],
    ) -> Result<Vec<Value>, Trap> {
        self.meter.surcharge(self.meter.schedule.host_entry)?;
        let results = (host.call)(&mut Caller::new(self, instance), args)?;
        if !host.ty.results.iter().copied().eq(results.iter().map(Value::ty)) {
            return Err(Trap::BadCall(format!(
                "a host function of type {:?} returned {results:?}",
                host.ty
            )));
        }
        Ok(results)
    }

    pub(crate) fn new_memory(&mut self, ty: MemoryType) -> Result<usize, Trap> {
        let bytes = ty
            .initial
            .checked_shl(ty.page_size_log2)
            .filter(|bytes| bytes >> ty.page_size_log2 == ty.initial);
        let bytes = bytes
            .filter(|bytes| *bytes <= MAX_ALLOCATION)
            .ok_or(Trap::MemoryLimit)?;
        self.meter.grow(bytes)?;
        self.memories.push(Memory {
            ty,
            bytes: vec![0; bytes as usize],
        });
        Ok(self.memories.len() - 1)
    }

    pub(crate) fn new_table(&mut self, ty: TableType, init: Value) -> Result<usize, Trap> {
        if ty.initial > MAX_ALLOCATION / self.meter.schedule.element_bytes {
            return Err(Trap::MemoryLimit);
        }
        self.meter.grow(ty.initial * self.meter.schedule.element_bytes)?;
        self.tables.push(Table {
            ty,
            elements: vec![init; ty.initial as usize],
        });
        Ok(self.tables.len() - 1)
    }

    pub(crate) fn new_global(&mut self, ty: GlobalType, value: Value) -> usize {
        self.globals.push(Global { ty, value });
        self.globals.len() - 1
    }

    /// Executes `memory.grow`: returns the old size in pages, or `None` if it is denied.
    pub(crate) fn grow_memory(&mut self, addr: usize, delta: u64) -> Option<u64> {
        let memory = &self.memories[addr];
        let old = memory.pages();
        let new = old.checked_add(delta)?;
        // Without a declared maximum, the address type is the limit.
        let reach = if memory.ty.memory64 { 64 } else { 32 };
        let most = 1_u128 << (reach - memory.ty.page_size_log2);
        if u128::from(new) > memory.ty.maximum.map_or(most, u128::from).min(most) {
            return None;
        }
        let bytes = delta
            .checked_shl(memory.ty.page_size_log2)
            .filter(|b| b >> memory.ty.page_size_log2 == delta)?;
        if memory.bytes.len() as u64 + bytes > MAX_ALLOCATION || self.meter.grow(bytes).is_err() {
            return None;
        }
        let memory = &mut self.memories[addr];
        memory.bytes.resize(memory.bytes.len() + bytes as usize, 0);
        Some(old)
    }

    /// Executes `table.grow`: returns the old size, or `None` if it is denied.
    pub(crate) fn grow_table(&mut self, addr: usize, delta: u64, init: Value) -> Option<u64> {
        let table = &self.tables[addr];
        let old = table.elements.len() as u64;
        let new = old.checked_add(delta)?;
        let reach = if table.ty.table64 {
            u64::MAX
        } else {
            u64::from(u32::MAX)
        };
        if new > table.ty.maximum.unwrap_or(reach).min(reach) {
            return None;
        }
        let element_bytes = self.meter.schedule.element_bytes;
        if new > MAX_ALLOCATION / element_bytes || self.meter.grow(delta * element_bytes).is_err() {
            return None;
        }
        self.tables[addr].elements.resize(new as usize, init);
        Some(old)
    }

    /// Returns the bytes of an instance's memory, by its index in the module.
    pub fn memory(&self, instance: InstanceId, index: usize) -> Option<&[u8]> {
        let addr = *self.instances[instance.0].memories.get(index)?;
        Some(&self.memories[addr].bytes)
    }

    /// Returns the values of all globals of an instance, by their index in the module, imported ones first.
    pub fn globals(&self, instance: InstanceId) -> Vec<Value> {
        self.instances[instance.0]
            .globals
            .iter()
            .map(|addr| self.globals[*addr].value)
            .collect()
    }

    /// Returns the elements of an instance's table, by its index in the module.
    pub fn table(&self, instance: InstanceId, index: usize) -> Option<&[Value]> {
        let addr = *self.instances[instance.0].tables.get(index)?;
        Some(&self.tables[addr].elements)
    }

    /// Returns the parameter and result types of an exported function.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the instance has no such function
    pub fn func_type(&self, instance: InstanceId, name: &str) -> Result<&FuncType, Error> {
        match self.export(instance, name) {
            Some(Extern::Func(addr)) => Ok(self.funcs[addr].ty()),
            _ => Err(Error::Unsupported(format!(
                "a call of `{name}`, which is not an exported function"
            ))),
        }
    }
}

pub(crate) fn import_matches(wanted: &ExternType, given: &ExternType) -> bool {
    let limits = |wanted: (u64, Option<u64>), given: (u64, Option<u64>)| {
        given.0 >= wanted.0
            && wanted
                .1
                .is_none_or(|most| given.1.is_some_and(|given| given <= most))
    };
    match (wanted, given) {
        (ExternType::Func(wanted), ExternType::Func(given)) => wanted == given,
        (ExternType::Global(wanted), ExternType::Global(given)) => wanted == given,
        (ExternType::Memory(wanted), ExternType::Memory(given)) => {
            wanted.memory64 == given.memory64
                && wanted.page_size_log2 == given.page_size_log2
                && limits((wanted.initial, wanted.maximum), (given.initial, given.maximum))
        }
        (ExternType::Table(wanted), ExternType::Table(given)) => {
            wanted.table64 == given.table64
                && wanted.element == given.element
                && limits((wanted.initial, wanted.maximum), (given.initial, given.maximum))
        }
        _ => false,
    }
}

/// Returns a zero or null reference for each type, for hosts that have no better value.
pub(crate) fn zeros(types: &[ValType]) -> Vec<Value> {
    types.iter().map(|ty| ty.zero()).collect()
}
