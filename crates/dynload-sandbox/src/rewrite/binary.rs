//! The parts of the binary format that the rewriter emits.
//! ([Wasm spec, binary format](https://webassembly.github.io/spec/core/binary/index.html))

use alloc::vec::Vec;
use wasmparser::{RefType, ValType};

/// Opcodes.
pub(crate) mod op {
    pub(crate) const UNREACHABLE: u8 = 0x00;
    pub(crate) const NOP: u8 = 0x01;
    pub(crate) const BLOCK: u8 = 0x02;
    pub(crate) const LOOP: u8 = 0x03;
    pub(crate) const IF: u8 = 0x04;
    pub(crate) const ELSE: u8 = 0x05;
    pub(crate) const END: u8 = 0x0b;
    pub(crate) const DROP: u8 = 0x1a;
    pub(crate) const SELECT: u8 = 0x1b;
    pub(crate) const LOCAL_GET: u8 = 0x20;
    pub(crate) const LOCAL_SET: u8 = 0x21;
    pub(crate) const LOCAL_TEE: u8 = 0x22;
    pub(crate) const GLOBAL_GET: u8 = 0x23;
    pub(crate) const GLOBAL_SET: u8 = 0x24;
    pub(crate) const BR: u8 = 0x0c;
    pub(crate) const BR_IF: u8 = 0x0d;
    pub(crate) const BR_TABLE: u8 = 0x0e;
    pub(crate) const CALL_INDIRECT: u8 = 0x11;
    pub(crate) const TABLE_SIZE: [u8; 2] = [0xfc, 0x10];
    pub(crate) const I32_CONST: u8 = 0x41;
    pub(crate) const I64_CONST: u8 = 0x42;
    pub(crate) const I64_EQZ: u8 = 0x50;
    pub(crate) const I64_GT_U: u8 = 0x56;
    pub(crate) const I64_ADD: u8 = 0x7c;
    pub(crate) const I64_SUB: u8 = 0x7d;
    pub(crate) const I64_EXTEND_I32_U: u8 = 0xad;
    pub(crate) const I64_AND: u8 = 0x83;
    pub(crate) const I64_XOR: u8 = 0x85;
    pub(crate) const I64_SHR_U: u8 = 0x88;
    /// The type of a block without parameters and results.
    pub(crate) const EMPTY: u8 = 0x40;
    /// The type `i32`.
    pub(crate) const I32: u8 = 0x7f;
    /// The type `i64`.
    pub(crate) const I64: u8 = 0x7e;
    /// The type `f32`.
    pub(crate) const F32: u8 = 0x7d;
    /// The type `f64`.
    pub(crate) const F64: u8 = 0x7c;
    /// The type `v128`.
    pub(crate) const V128: u8 = 0x7b;
}

/// Appends a number in unsigned LEB128.
pub(crate) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number in signed LEB128.
pub(crate) fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = value as u8 & 0x7f;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// Appends an operator and its index.
pub(crate) fn indexed(out: &mut Vec<u8>, opcode: u8, index: u32) {
    out.push(opcode);
    unsigned(out, index.into());
}

/// Appends an `i64.const`.
pub(crate) fn i64_const(out: &mut Vec<u8>, value: i64) {
    out.push(op::I64_CONST);
    signed(out, value);
}

/// Returns the byte for a value type, or `None` for an unsupported one.
pub(crate) fn val_type(ty: ValType) -> Option<u8> {
    Some(match ty {
        ValType::I32 => op::I32,
        ValType::I64 => op::I64,
        ValType::F32 => op::F32,
        ValType::F64 => op::F64,
        ValType::V128 => op::V128,
        ValType::Ref(ty) if ty == RefType::FUNCREF => 0x70,
        ValType::Ref(ty) if ty == RefType::EXTERNREF => 0x6f,
        ValType::Ref(_) => return None,
    })
}

/// Writes the size of the bytes that follow the `reserved` ones at `start` in place of these.
pub(crate) fn fill_prefix(out: &mut Vec<u8>, start: usize, reserved: usize) {
    let size = out.len() - start - reserved;
    let len = prefix_len(size);
    if len != reserved {
        out.splice(start..start + reserved, core::iter::repeat_n(0, len));
    }
    let prefix = &mut out[start..start + len];
    for (i, byte) in prefix.iter_mut().enumerate() {
        let more = if i + 1 < len { 0x80 } else { 0 };
        *byte = (size >> (7 * i)) as u8 & 0x7f | more;
    }
}

/// Returns the number of bytes of a size in unsigned LEB128.
pub(crate) fn prefix_len(size: usize) -> usize {
    let bits = usize::BITS - size.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use wasmparser::BinaryReader;

    proptest! {
        #[test]
        fn a_size_is_written_before_the_bytes_however_many_were_reserved(reserved in 0..5_usize, len in 0..40_000_usize) {
            let mut out = vec![7; 3 + reserved];
            out.resize(3 + reserved + len, 9);
            fill_prefix(&mut out, 3, reserved);
            let mut expected = vec![7; 3];
            unsigned(&mut expected, len as u64);
            expected.resize(expected.len() + len, 9);
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn numbers_read_back(n: u64, i: i64) {
            let mut out = Vec::new();
            unsigned(&mut out, n);
            prop_assert_eq!(BinaryReader::new(&out, 0).read_var_u64().unwrap(), n);
            out.clear();
            signed(&mut out, i);
            prop_assert_eq!(BinaryReader::new(&out, 0).read_var_i64().unwrap(), i);
        }
    }
}
