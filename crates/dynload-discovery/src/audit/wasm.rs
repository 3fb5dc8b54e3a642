//! The imports, exports and initial memory of a WebAssembly module.

use std::fmt;

use dynload_caps::imports::needs;
use dynload_caps::{Capabilities, ImportNeeds};
use dynload_diagnostics::overflowing_length;
use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{Parser, Payload, RefType, ValType, Validator, WasmFeatures};

use super::Facts;
use crate::cache::{Code, Input, record};
use crate::manifest::{FunctionType, ValueType};

/// The interface of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WasmFacts {
    /// The imports, in the order of the module.
    pub imports: Vec<ImportFact>,
    /// The exports.
    pub exports: Vec<ExportFact>,
    /// The total initial size of its memories and tables in bytes; a table element counts as 8.
    pub initial_bytes: u64,
}
record!(WasmFacts {
    imports,
    exports,
    initial_bytes
});

impl WasmFacts {
    /// Returns the capabilities that its imports require. Imports that need only one of several capabilities are not included.
    #[must_use]
    pub fn required(&self) -> Capabilities {
        let needs = self.imports.iter().map(|import| match import.needs() {
            ImportNeeds::AllOf(all) => all,
            _ => Capabilities::NONE,
        });
        needs.collect()
    }
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportFact {
    /// The module name.
    pub module: String,
    /// The name.
    pub name: String,
    /// Its kind.
    pub kind: ExternKind,
    /// Its type, when it is a function.
    pub signature: Option<FunctionType>,
}
record!(ImportFact {
    module,
    name,
    kind,
    signature
});

impl ImportFact {
    /// Returns the capabilities that it needs. An import that is not a function is unknown: a host provides none, except for
    /// the memory `env.memory` if it chooses to.
    #[must_use]
    pub fn needs(&self) -> ImportNeeds {
        match self.kind {
            ExternKind::Function => needs(&self.module, &self.name),
            _ => ImportNeeds::Unknown,
        }
    }
}

/// One export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportFact {
    /// The name.
    pub name: String,
    /// Its kind.
    pub kind: ExternKind,
    /// Its type, when it is a function.
    pub signature: Option<FunctionType>,
}
record!(ExportFact {
    name,
    kind,
    signature
});

/// The kind of an import or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExternKind {
    /// A function.
    Function,
    /// A table.
    Table,
    /// A linear memory.
    Memory,
    /// A global.
    Global,
    /// An exception tag.
    Tag,
}

impl ExternKind {
    const ALL: [ExternKind; 5] = [
        ExternKind::Function,
        ExternKind::Table,
        ExternKind::Memory,
        ExternKind::Global,
        ExternKind::Tag,
    ];
}

impl fmt::Display for ExternKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ExternKind::Function => "function",
            ExternKind::Table => "table",
            ExternKind::Memory => "memory",
            ExternKind::Global => "global",
            ExternKind::Tag => "tag",
        })
    }
}

record!(FunctionType {
    params,
    results,
    description
});

impl Code for ValueType {
    fn put(&self, out: &mut Vec<u8>) {
        let position = ValueType::NAMES.iter().position(|(_, known)| known == self);
        out.push(position.map_or(u8::MAX, |position| position as u8));
    }

    fn take(input: &mut Input<'_>) -> Option<ValueType> {
        let position = *input.bytes(1)?.first()?;
        if position == u8::MAX {
            return Some(ValueType::Other);
        }
        ValueType::NAMES
            .get(usize::from(position))
            .map(|(_, known)| *known)
    }
}

impl Code for ExternKind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn take(input: &mut Input<'_>) -> Option<ExternKind> {
        ExternKind::ALL
            .get(usize::from(*input.bytes(1)?.first()?))
            .copied()
    }
}

/// Returns whether a file starts like a module in the text format.
pub(crate) fn is_wat(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    start.starts_with(b"(") || start.starts_with(b";;")
}

/// Returns the facts about a module in the text format.
#[cfg(feature = "wat")]
fn facts_of_text(bytes: &[u8]) -> Facts {
    /// The parser keeps every word, which takes several times the memory of the text.
    const MOST: usize = 64 << 20;
    if bytes.len() > MOST {
        let reason = format!(
            "it is text of {} bytes, and at most {MOST} are read: translate it with `wat2wasm`",
            bytes.len()
        );
        return Facts::Invalid { reason };
    }
    match wat::Parser::new().parse_bytes(None, bytes) {
        Ok(binary) => facts(&binary),
        Err(error) => {
            // What is wrong, and where; then the line, which is not quoted.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim);
            let problem = lines.next().unwrap_or_default();
            let place = lines.find_map(|line| line.strip_prefix("--> <anon>:"));
            let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
            Facts::Invalid {
                reason: format!("{problem}{place}"),
            }
        }
    }
}

#[cfg(not(feature = "wat"))]
fn facts_of_text(_bytes: &[u8]) -> Facts {
    Facts::Invalid {
        reason: "it is a module in the text format, which this program does not accept: translate it with `wat2wasm`".to_owned(),
    }
}

pub(super) fn facts(bytes: &[u8]) -> Facts {
    let invalid = |reason: String| Facts::Invalid { reason };
    if is_wat(bytes) {
        return facts_of_text(bytes);
    }
    if !bytes.starts_with(b"\0asm") {
        return invalid("it does not start with the magic number of a Wasm module".to_owned());
    }
    if Parser::is_component(bytes) {
        return invalid("it is a component, not a core module: build it for wasm32-wasip1".to_owned());
    }
    if let Some(offset) = overflowing_length(bytes) {
        return invalid(format!(
            "a length is larger than what contains it at byte {offset}"
        ));
    }
    if let Err(reason) = is_bounded(bytes) {
        return invalid(reason);
    }
    // All features that are part of the standard, and custom page sizes, which the sandbox accepts. An engine refuses
    // those that it does not support.
    let features = WasmFeatures::WASM3 | WasmFeatures::CUSTOM_PAGE_SIZES;
    let types = match Validator::new_with_features(features).validate_all(bytes) {
        Ok(types) => types,
        Err(error) => return invalid(format!("{} at byte {}", error.message(), error.offset())),
    };
    let types = types.as_ref();
    let (Some(imports), Some(exports)) = (types.core_imports(), types.core_exports()) else {
        return invalid("it is not a core module".to_owned());
    };
    let imports = imports.map(|(module, name, entity)| {
        let (kind, signature) = describe(types, entity);
        ImportFact {
            module: module.to_owned(),
            name: name.to_owned(),
            kind,
            signature,
        }
    });
    let exports = exports.map(|(name, entity)| {
        let (kind, signature) = describe(types, entity);
        ExportFact {
            name: name.to_owned(),
            kind,
            signature,
        }
    });
    let memories = (0..types.memory_count()).map(|at| {
        let memory = types.memory_at(at);
        let page = 1u64
            .checked_shl(memory.page_size_log2.unwrap_or(16))
            .unwrap_or(u64::MAX);
        memory.initial.saturating_mul(page)
    });
    let tables = (0..types.table_count()).map(|at| types.table_at(at).initial.saturating_mul(8));
    Facts::Wasm(WasmFacts {
        imports: imports.collect(),
        exports: exports.collect(),
        initial_bytes: memories.chain(tables).fold(0, u64::saturating_add),
    })
}

/// Checks that the imports and exports of a module are as many as a module can use.
///
/// The audit describes each, several times, and their number is the choice of the author. The largest real modules have some
/// thousands.
fn is_bounded(bytes: &[u8]) -> Result<(), String> {
    const MOST: u32 = 50_000;
    const MOST_BYTES: usize = 4 << 20;
    for payload in Parser::new(0).parse_all(bytes) {
        let (what, count, size) = match payload {
            Ok(Payload::ImportSection(section)) => ("imports", section.count(), section.range().len()),
            Ok(Payload::ExportSection(section)) => ("exports", section.count(), section.range().len()),
            // The validator reports it.
            Err(_) => return Ok(()),
            _ => continue,
        };
        if count > MOST || size > MOST_BYTES {
            return Err(format!(
                "its {count} {what} take {size} bytes, and at most {MOST} of {MOST_BYTES} bytes are audited"
            ));
        }
    }
    Ok(())
}

fn describe(types: TypesRef<'_>, entity: EntityType) -> (ExternKind, Option<FunctionType>) {
    match entity {
        EntityType::Func(id) => {
            let function = types[id].unwrap_func();
            let values = |types: &[ValType]| types.iter().copied().map(value).collect::<Vec<_>>();
            (
                ExternKind::Function,
                Some(FunctionType::new(
                    values(function.params()),
                    values(function.results()),
                )),
            )
        }
        EntityType::Table(_) => (ExternKind::Table, None),
        EntityType::Memory(_) => (ExternKind::Memory, None),
        EntityType::Global(_) => (ExternKind::Global, None),
        EntityType::Tag(_) => (ExternKind::Tag, None),
    }
}

fn value(value: ValType) -> ValueType {
    match value {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(RefType::FUNCREF) => ValueType::FuncRef,
        ValType::Ref(RefType::EXTERNREF) => ValueType::ExternRef,
        ValType::Ref(_) => ValueType::Other,
    }
}
