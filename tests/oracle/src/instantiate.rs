//! Instantiation, in the order of the specification.

use wasmparser::Operator;

use crate::error::{Error, Trap};
use crate::host::Imports;
use crate::module::{ElementMode, ExternIdx, ExternType, Module};
use crate::store::{Extern, Func, Instance, InstanceId, Store, import_matches};
use crate::value::Value;

impl<'a> Store<'a> {
    /// Instantiates a module: imports, memories and tables, active element segments, active data segments, the start
    /// function. [`usage`](Self::usage) then returns what it used.
    ///
    /// # Errors
    ///
    /// - [`Error::UnknownImport`], [`Error::IncompatibleImport`] before any item of the module itself is created
    /// - [`Error::Stopped`] if a segment, a limit or the start function stopped it
    pub fn instantiate(
        &mut self,
        module: &Module<'a>,
        imports: &mut Imports<'a>,
    ) -> Result<InstanceId, Error> {
        self.meter.start();
        let mut instance = Instance {
            types: module.types.clone(),
            ..Instance::default()
        };
        for import in &module.imports {
            let (wanted_module, name) = (import.module.clone(), import.name.clone());
            let Some(given) = imports.0.remove(&(wanted_module.clone(), name.clone())) else {
                return Err(Error::UnknownImport {
                    module: wanted_module,
                    name,
                });
            };
            let given = self.define(given)?;
            // A module may import the same item twice.
            imports.define(&wanted_module, &name, crate::host::Import::Extern(given));
            if !import_matches(&import.ty, &self.extern_type(given)) {
                return Err(Error::IncompatibleImport {
                    module: wanted_module,
                    name,
                });
            }
            match given {
                Extern::Func(addr) => instance.funcs.push(addr),
                Extern::Memory(addr) => instance.memories.push(addr),
                Extern::Table(addr) => instance.tables.push(addr),
                Extern::Global(addr) => instance.globals.push(addr),
            }
        }
        let records = self.records(module);
        self.meter.grow(records)?;
        for element in &module.elements {
            if let ElementMode::Passive = element.mode {
                self.meter
                    .grow(element.items.len() as u64 * self.meter.schedule.element_bytes)?;
            }
        }
        // Functions first: constant expressions can refer to them.
        let id = self.instances.len();
        for code in &module.code {
            self.funcs.push(Func::Wasm {
                instance: id,
                code: code.clone(),
            });
            instance.funcs.push(self.funcs.len() - 1);
        }
        for global in &module.globals {
            let value = self.eval(&instance, &global.init)?;
            instance.globals.push(self.new_global(global.ty, value));
        }
        for ty in &module.memories {
            instance.memories.push(self.new_memory(*ty)?);
        }
        for table in &module.tables {
            let init = match &table.init {
                Some(expr) => self.eval(&instance, expr)?,
                None => table.ty.element.zero(),
            };
            instance.tables.push(self.new_table(table.ty, init)?);
        }
        for element in &module.elements {
            let items: Result<Vec<_>, _> = element
                .items
                .iter()
                .map(|item| self.eval(&instance, item))
                .collect();
            instance.elements.push(items?);
        }
        instance.data = module.data.iter().map(|data| data.bytes).collect();
        for (name, idx) in &module.exports {
            let what = match idx {
                ExternIdx::Func(idx) => Extern::Func(instance.funcs[*idx as usize]),
                ExternIdx::Memory(idx) => Extern::Memory(instance.memories[*idx as usize]),
                ExternIdx::Table(idx) => Extern::Table(instance.tables[*idx as usize]),
                ExternIdx::Global(idx) => Extern::Global(instance.globals[*idx as usize]),
            };
            instance.exports.insert(name.clone(), what);
        }
        self.meter.surcharge(self.meter.schedule.records(records))?;
        self.meter
            .surcharge(self.meter.schedule.constant_operator * operators_beyond_the_first(module))?;
        // Kept even if a segment is out of bounds: earlier segments have been written, and other instances may see them.
        self.instances.push(instance);
        self.write_segments(id, module)?;
        if let Some(start) = module.start {
            let start = self.instances[id].funcs[start as usize];
            self.invoke(start, &[])?;
        }
        Ok(InstanceId(id))
    }

    /// Returns the bytes of records beyond the free ones.
    fn records(&self, module: &Module<'a>) -> u64 {
        let schedule = &self.meter.schedule;
        let own = [
            module.imports.len(),
            module.code.len(),
            module.globals.len(),
            module.memories.len(),
            module.tables.len(),
            module.exports.len(),
            module.elements.len(),
            module.data.len(),
        ];
        let records = own.iter().sum::<usize>() as u64 * schedule.record_bytes;
        let names: usize = module.exports.iter().map(|(name, _)| name.len()).sum();
        (records + names as u64).saturating_sub(schedule.free_record_bytes)
    }

    fn write_segments(&mut self, id: usize, module: &Module<'a>) -> Result<(), Error> {
        for (segment, element) in module.elements.iter().enumerate() {
            match &element.mode {
                ElementMode::Passive => {
                    let items = element.items.len() as u64;
                    self.meter.surcharge(self.meter.schedule.element_segment(items))?;
                    continue;
                }
                ElementMode::Active { table, offset } => {
                    let offset = self.eval(&self.instances[id], offset)?;
                    let items = self.instances[id].elements[segment].clone();
                    self.meter
                        .surcharge(self.meter.schedule.element_segment(items.len() as u64))?;
                    let table = &mut self.tables[self.instances[id].tables[*table as usize]];
                    let room =
                        range(offset, items.len(), table.elements.len()).ok_or(Trap::TableOutOfBounds)?;
                    table.elements[room].copy_from_slice(&items);
                }
                ElementMode::Declared => self.meter.surcharge(self.meter.schedule.segment)?,
            }
            self.instances[id].elements[segment].clear();
        }
        for (segment, data) in module.data.iter().enumerate() {
            let Some((memory, offset)) = &data.active else {
                self.meter.surcharge(self.meter.schedule.segment)?;
                continue;
            };
            let offset = self.eval(&self.instances[id], offset)?;
            self.meter
                .surcharge(self.meter.schedule.data_segment(data.bytes.len() as u64))?;
            let memory = &mut self.memories[self.instances[id].memories[*memory as usize]];
            let room = range(offset, data.bytes.len(), memory.bytes.len()).ok_or(Trap::MemoryOutOfBounds)?;
            memory.bytes[room].copy_from_slice(data.bytes);
            self.instances[id].data[segment] = &[];
        }
        Ok(())
    }

    /// Evaluates a constant expression.
    fn eval(&self, instance: &Instance<'a>, expr: &[Operator<'_>]) -> Result<Value, Error> {
        let mut stack = Vec::new();
        for operator in expr {
            let value = match operator {
                Operator::I32Const { value } => Value::I32(*value),
                Operator::I64Const { value } => Value::I64(*value),
                Operator::F32Const { value } => Value::F32(value.bits()),
                Operator::F64Const { value } => Value::F64(value.bits()),
                Operator::V128Const { value } => Value::V128(u128::from_le_bytes(*value.bytes())),
                Operator::RefNull { hty } => null(*hty)?,
                Operator::RefFunc { function_index } => {
                    Value::FuncRef(Some(instance.funcs[*function_index as usize]))
                }
                Operator::GlobalGet { global_index } => {
                    self.globals[instance.globals[*global_index as usize]].value
                }
                binary => match (stack.pop(), stack.pop()) {
                    (Some(Value::I32(right)), Some(Value::I32(left))) => Value::I32(match binary {
                        Operator::I32Add => left.wrapping_add(right),
                        Operator::I32Sub => left.wrapping_sub(right),
                        Operator::I32Mul => left.wrapping_mul(right),
                        other => {
                            return Err(Error::Unsupported(format!("{other:?} in a constant expression")));
                        }
                    }),
                    (Some(Value::I64(right)), Some(Value::I64(left))) => Value::I64(match binary {
                        Operator::I64Add => left.wrapping_add(right),
                        Operator::I64Sub => left.wrapping_sub(right),
                        Operator::I64Mul => left.wrapping_mul(right),
                        other => {
                            return Err(Error::Unsupported(format!("{other:?} in a constant expression")));
                        }
                    }),
                    _ => return Err(Error::Unsupported(format!("{binary:?} in a constant expression"))),
                },
            };
            stack.push(value);
        }
        stack
            .pop()
            .ok_or_else(|| Error::Unsupported("an empty constant expression".into()))
    }

    /// Returns whether something in this store satisfies an import of type `wanted`; for callers that link by hand.
    pub fn matches(&self, wanted: &ExternType, given: Extern) -> bool {
        import_matches(wanted, &self.extern_type(given))
    }
}

/// Counts the operators of all constant expressions except the first of each.
fn operators_beyond_the_first(module: &Module<'_>) -> u64 {
    let globals = module.globals.iter().map(|global| global.init.len());
    let tables = module
        .tables
        .iter()
        .filter_map(|table| table.init.as_ref().map(Vec::len));
    let offsets = module.elements.iter().filter_map(|element| match &element.mode {
        ElementMode::Active { offset, .. } => Some(offset.len()),
        ElementMode::Passive | ElementMode::Declared => None,
    });
    let items = module
        .elements
        .iter()
        .flat_map(|element| element.items.iter().map(Vec::len));
    let data = module
        .data
        .iter()
        .filter_map(|data| data.active.as_ref().map(|(_, offset)| offset.len()));
    let all = globals.chain(tables).chain(offsets).chain(items).chain(data);
    all.map(|operators| operators.saturating_sub(1) as u64).sum()
}

/// Returns the null reference of a heap type.
pub(crate) fn null(hty: wasmparser::HeapType) -> Result<Value, Error> {
    match hty {
        wasmparser::HeapType::FUNC => Ok(Value::FuncRef(None)),
        wasmparser::HeapType::EXTERN => Ok(Value::ExternRef(None)),
        other => Err(Error::Unsupported(format!("ref.null {other:?}"))),
    }
}

/// Returns `offset .. offset + len` if that is within `size`.
fn range(offset: Value, len: usize, size: usize) -> Option<std::ops::Range<usize>> {
    let offset = match offset {
        Value::I32(offset) => u64::from(offset as u32),
        Value::I64(offset) => offset as u64,
        _ => return None,
    };
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(len)?;
    (end <= size).then_some(start..end)
}
