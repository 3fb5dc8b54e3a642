//! Loads and stores.

use wasmparser::{MemArg, MemArgTarget, Operator};

use crate::error::Trap;
use crate::operands::Operands;
use crate::store::Store;
use crate::value::Value;

/// Pops an address and returns the bytes at it.
pub(crate) fn load<const N: usize>(
    operands: &mut Operands,
    store: &Store<'_>,
    instance: usize,
    memarg: &MemArg,
) -> Result<[u8; N], Trap> {
    let base = operands.take_index();
    let memory = &store.memories[address_space(store, instance, memarg)].bytes;
    let start = effective_address(base, memarg, N, memory.len())?;
    let mut bytes = [0; N];
    bytes.copy_from_slice(&memory[start..start + N]);
    Ok(bytes)
}

/// Pops an address and writes the bytes to it.
pub(crate) fn store_bytes<const N: usize>(
    operands: &mut Operands,
    store: &mut Store<'_>,
    instance: usize,
    memarg: &MemArg,
    bytes: [u8; N],
) -> Result<(), Trap> {
    let base = operands.take_index();
    let addr = address_space(store, instance, memarg);
    let memory = &mut store.memories[addr].bytes;
    let start = effective_address(base, memarg, N, memory.len())?;
    memory[start..start + N].copy_from_slice(&bytes);
    Ok(())
}

fn address_space(store: &Store<'_>, instance: usize, memarg: &MemArg) -> usize {
    match memarg.target {
        MemArgTarget::Memory(memory) => store.instances[instance].memories[memory as usize],
        MemArgTarget::Array(_) => panic!("arrays do not validate"),
    }
}

fn effective_address(base: u64, memarg: &MemArg, len: usize, size: usize) -> Result<usize, Trap> {
    let start = u128::from(base) + u128::from(memarg.offset);
    if start + len as u128 > size as u128 {
        return Err(Trap::MemoryOutOfBounds);
    }
    Ok(start as usize)
}

/// Executes a load, a store, `memory.size` or `memory.grow`. Returns `false` for any other operator.
pub(crate) fn execute(
    operator: &Operator<'_>,
    operands: &mut Operands,
    store: &mut Store<'_>,
    instance: usize,
) -> Result<bool, Trap> {
    macro_rules! load {
        ($memarg:expr, $stored:ty, $extended:ty) => {{
            let bytes = load(operands, store, instance, $memarg)?;
            operands.give(<$stored>::from_le_bytes(bytes) as $extended);
        }};
    }
    macro_rules! store {
        ($memarg:expr, $value:ty, $stored:ty) => {{
            let value: $value = operands.take();
            store_bytes(
                operands,
                store,
                instance,
                $memarg,
                (value as $stored).to_le_bytes(),
            )?;
        }};
    }
    match operator {
        Operator::I32Load { memarg } => load!(memarg, i32, i32),
        Operator::I64Load { memarg } => load!(memarg, i64, i64),
        // Floats move as bits: a load must not change a NaN.
        Operator::F32Load { memarg } => {
            let bytes = load(operands, store, instance, memarg)?;
            operands.push(Value::F32(u32::from_le_bytes(bytes)));
        }
        Operator::F64Load { memarg } => {
            let bytes = load(operands, store, instance, memarg)?;
            operands.push(Value::F64(u64::from_le_bytes(bytes)));
        }
        Operator::I32Load8S { memarg } => load!(memarg, i8, i32),
        Operator::I32Load8U { memarg } => load!(memarg, u8, i32),
        Operator::I32Load16S { memarg } => load!(memarg, i16, i32),
        Operator::I32Load16U { memarg } => load!(memarg, u16, i32),
        Operator::I64Load8S { memarg } => load!(memarg, i8, i64),
        Operator::I64Load8U { memarg } => load!(memarg, u8, i64),
        Operator::I64Load16S { memarg } => load!(memarg, i16, i64),
        Operator::I64Load16U { memarg } => load!(memarg, u16, i64),
        Operator::I64Load32S { memarg } => load!(memarg, i32, i64),
        Operator::I64Load32U { memarg } => load!(memarg, u32, i64),
        Operator::I32Store { memarg } => store!(memarg, i32, i32),
        Operator::I64Store { memarg } => store!(memarg, i64, i64),
        Operator::F32Store { memarg } => {
            let Value::F32(bits) = operands.pop() else {
                panic!("validated")
            };
            store_bytes(operands, store, instance, memarg, bits.to_le_bytes())?;
        }
        Operator::F64Store { memarg } => {
            let Value::F64(bits) = operands.pop() else {
                panic!("validated")
            };
            store_bytes(operands, store, instance, memarg, bits.to_le_bytes())?;
        }
        Operator::I32Store8 { memarg } => store!(memarg, i32, i8),
        Operator::I32Store16 { memarg } => store!(memarg, i32, i16),
        Operator::I64Store8 { memarg } => store!(memarg, i64, i8),
        Operator::I64Store16 { memarg } => store!(memarg, i64, i16),
        Operator::I64Store32 { memarg } => store!(memarg, i64, i32),
        Operator::MemorySize { mem } => {
            let memory = &store.memories[store.instances[instance].memories[*mem as usize]];
            operands.push_index(memory.ty.memory64, memory.pages());
        }
        Operator::MemoryGrow { mem } => {
            let delta = operands.take_index();
            let addr = store.instances[instance].memories[*mem as usize];
            let ty = store.memories[addr].ty;
            let old = store.grow_memory(addr, delta);
            if old.is_some() {
                let bytes = delta << ty.page_size_log2;
                store.meter.surcharge(store.meter.schedule.memory_grow(bytes))?;
            }
            operands.push_index(ty.memory64, old.unwrap_or(u64::MAX));
        }
        _ => return Ok(false),
    }
    Ok(true)
}
