//! The index spaces of a module: types, functions, tables, memories, globals.
//! ([Wasm spec, index spaces](https://webassembly.github.io/spec/core/syntax/modules.html#indices))

use super::binary::val_type;
use crate::metering::memory_meter::ELEMENT_BYTES;
use alloc::vec::Vec;
use wasmparser::{BlockType, FuncType, GlobalType, MemoryType, TableType, TypeRef, ValType};

/// The index spaces of a module, the imports first in each.
#[derive(Default)]
pub(crate) struct IndexSpaces {
    pub(super) types: Vec<FuncType>,
    /// The type index of each function.
    pub(super) functions: Vec<u32>,
    pub(super) tables: Vec<TableType>,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<Global>,
}

/// A global.
pub(crate) struct Global {
    /// The byte of its type, if the interpreter may know its value when it translates.
    pub(super) constant: Option<u8>,
    #[cfg(feature = "simd")]
    is_vector: bool,
}

impl Global {
    /// An imported global, whose value only an instance knows.
    fn imported(ty: GlobalType) -> Global {
        let mut global = Global::defined(ty);
        global.constant = None;
        global
    }

    /// A global that the module defines.
    pub(super) fn defined(ty: GlobalType) -> Global {
        let constant = val_type(ty.content_type).filter(|_| !ty.mutable);
        Global {
            constant,
            #[cfg(feature = "simd")]
            is_vector: ty.content_type == ValType::V128,
        }
    }
}

impl IndexSpaces {
    /// Adds an import.
    pub(super) fn import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) => self.functions.push(ty),
            TypeRef::Table(ty) => self.tables.push(ty),
            TypeRef::Global(ty) => self.globals.push(Global::imported(ty)),
            TypeRef::Memory(ty) => self.memories.push(ty),
            TypeRef::Tag(_) => {}
        }
    }

    /// Returns whether vectors occur in the types or the globals.
    #[cfg(feature = "simd")]
    pub(super) fn has_vectors(&self) -> bool {
        let mut types = self
            .types
            .iter()
            .flat_map(|ty| ty.params().iter().chain(ty.results()));
        types.any(|ty| *ty == ValType::V128) || self.globals.iter().any(|global| global.is_vector)
    }

    /// Returns the initial size of a memory in bytes, which is also its minimum.
    pub(super) fn initial_bytes(&self, memory: u32) -> u64 {
        self.memories.get(memory as usize).map_or(0, initial_bytes)
    }

    /// Returns the initial bytes of all memories and tables.
    pub(super) fn all_initial_bytes(&self) -> u64 {
        let memories = self.memories.iter().map(initial_bytes);
        let tables = self
            .tables
            .iter()
            .map(|ty| ty.initial.saturating_mul(ELEMENT_BYTES));
        memories.chain(tables).fold(0, u64::saturating_add)
    }

    /// Returns the type of a function.
    pub(super) fn function(&self, index: u32) -> Option<&FuncType> {
        self.types.get(*self.functions.get(index as usize)? as usize)
    }

    /// Returns the parameters and the results of a block.
    pub(super) fn block<'a>(&'a self, ty: &'a BlockType) -> (&'a [ValType], &'a [ValType]) {
        match ty {
            BlockType::Empty => (&[], &[]),
            BlockType::Type(result) => (&[], core::slice::from_ref(result)),
            BlockType::FuncType(index) => self
                .types
                .get(*index as usize)
                .map_or((&[], &[]), |ty| (ty.params(), ty.results())),
        }
    }
}

/// Returns the initial size of a memory in bytes.
fn initial_bytes(ty: &MemoryType) -> u64 {
    ty.initial.saturating_mul(1 << page_size_log2(ty))
}

/// Returns the page size of a memory: 0, or 16 by default. The validator refuses all others.
/// ([Custom page sizes](https://github.com/WebAssembly/custom-page-sizes))
pub(super) fn page_size_log2(ty: &MemoryType) -> u32 {
    ty.page_size_log2.unwrap_or(16)
}
