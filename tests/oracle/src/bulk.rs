//! Bulk memory operators and all operators on tables.
//!
//! A surcharge depends on the requested length and is charged before the bounds are checked; growing is charged once it
//! has succeeded.

use std::ops::Range;

use wasmparser::Operator;

use crate::error::Trap;
use crate::operands::Operands;
use crate::store::Store;

/// Executes a bulk memory operator or an operator on tables. Returns `false` for any other operator.
pub(crate) fn execute(
    operator: &Operator<'_>,
    operands: &mut Operands,
    store: &mut Store<'_>,
    instance: usize,
) -> Result<bool, Trap> {
    let schedule = store.meter.schedule;
    let memory = |store: &Store<'_>, index: u32| store.instances[instance].memories[index as usize];
    let table = |store: &Store<'_>, index: u32| store.instances[instance].tables[index as usize];
    match operator {
        Operator::MemoryCopy { dst_mem, src_mem } => {
            let (len, from, to) = (
                operands.take_index(),
                operands.take_index(),
                operands.take_index(),
            );
            store.meter.surcharge(schedule.memory_bulk(len))?;
            let (target, source) = (memory(store, *dst_mem), memory(store, *src_mem));
            let from = memory_range(from, len, store.memories[source].bytes.len())?;
            let to = memory_range(to, len, store.memories[target].bytes.len())?;
            let bytes = store.memories[source].bytes[from].to_vec();
            store.memories[target].bytes[to].copy_from_slice(&bytes);
        }
        Operator::MemoryFill { mem } => {
            let len = operands.take_index();
            let byte: u32 = operands.take();
            let to = operands.take_index();
            store.meter.surcharge(schedule.memory_bulk(len))?;
            let addr = memory(store, *mem);
            let bytes = &mut store.memories[addr].bytes;
            let to = memory_range(to, len, bytes.len())?;
            bytes[to].fill(byte as u8);
        }
        Operator::MemoryInit { data_index, mem } => {
            let (len, from, to) = (
                operands.take_index(),
                operands.take_index(),
                operands.take_index(),
            );
            store.meter.surcharge(schedule.memory_bulk(len))?;
            let data = store.instances[instance].data[*data_index as usize];
            let addr = memory(store, *mem);
            let bytes = &mut store.memories[addr].bytes;
            let from = memory_range(from, len, data.len())?;
            let to = memory_range(to, len, bytes.len())?;
            bytes[to].copy_from_slice(&data[from]);
        }
        Operator::DataDrop { data_index } => store.instances[instance].data[*data_index as usize] = &[],
        Operator::TableGet { table: index } => {
            let at = operands.take_index();
            let elements = &store.tables[table(store, *index)].elements;
            let element = usize::try_from(at).ok().and_then(|at| elements.get(at));
            operands.push(*element.ok_or(Trap::TableOutOfBounds)?);
        }
        Operator::TableSet { table: index } => {
            let value = operands.pop();
            let at = operands.take_index();
            let addr = table(store, *index);
            let elements = &mut store.tables[addr].elements;
            let element = usize::try_from(at).ok().and_then(|at| elements.get_mut(at));
            *element.ok_or(Trap::TableOutOfBounds)? = value;
        }
        Operator::TableSize { table: index } => {
            let table = &store.tables[table(store, *index)];
            operands.push_index(table.ty.table64, table.elements.len() as u64);
        }
        Operator::TableGrow { table: index } => {
            let delta = operands.take_index();
            let init = operands.pop();
            let addr = table(store, *index);
            let old = store.grow_table(addr, delta, init);
            if old.is_some() {
                store.meter.surcharge(schedule.table_bulk(delta))?;
            }
            operands.push_index(store.tables[addr].ty.table64, old.unwrap_or(u64::MAX));
        }
        Operator::TableFill { table: index } => {
            let len = operands.take_index();
            let value = operands.pop();
            let to = operands.take_index();
            store.meter.surcharge(schedule.table_bulk(len))?;
            let addr = table(store, *index);
            let elements = &mut store.tables[addr].elements;
            let to = table_range(to, len, elements.len())?;
            elements[to].fill(value);
        }
        Operator::TableCopy { dst_table, src_table } => {
            let (len, from, to) = (
                operands.take_index(),
                operands.take_index(),
                operands.take_index(),
            );
            store.meter.surcharge(schedule.table_bulk(len))?;
            let (target, source) = (table(store, *dst_table), table(store, *src_table));
            let from = table_range(from, len, store.tables[source].elements.len())?;
            let to = table_range(to, len, store.tables[target].elements.len())?;
            let elements = store.tables[source].elements[from].to_vec();
            store.tables[target].elements[to].copy_from_slice(&elements);
        }
        Operator::TableInit {
            elem_index,
            table: index,
        } => {
            let (len, from, to) = (
                operands.take_index(),
                operands.take_index(),
                operands.take_index(),
            );
            store.meter.surcharge(schedule.table_bulk(len))?;
            let segment = &store.instances[instance].elements[*elem_index as usize];
            let addr = store.instances[instance].tables[*index as usize];
            let elements = &mut store.tables[addr].elements;
            let from = table_range(from, len, segment.len())?;
            let to = table_range(to, len, elements.len())?;
            elements[to].copy_from_slice(&segment[from]);
        }
        Operator::ElemDrop { elem_index } => {
            store.instances[instance].elements[*elem_index as usize].clear();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn memory_range(start: u64, len: u64, size: usize) -> Result<Range<usize>, Trap> {
    range(start, len, size).ok_or(Trap::MemoryOutOfBounds)
}

fn table_range(start: u64, len: u64, size: usize) -> Result<Range<usize>, Trap> {
    range(start, len, size).ok_or(Trap::TableOutOfBounds)
}

fn range(start: u64, len: u64, size: usize) -> Option<Range<usize>> {
    let end = start.checked_add(len)?;
    (end <= size as u64).then_some(start as usize..end as usize)
}
