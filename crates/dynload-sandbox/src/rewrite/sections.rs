//! Rewrites a module section by section.

mod bounds;
mod imported_memory;
mod instance;
mod names;
mod write;

use super::{
    body::Context,
    code::{self, Code, Function},
    first_use::{self, Reports},
    frame_counters::Globals,
    index_spaces::{Global, IndexSpaces},
    load_estimate::{self, Estimate},
};
use crate::{
    engine::{EngineConfig, HAS_VECTORS, Translation},
    error::{ModuleError, Refused},
    module::limits::{Bound, ModuleLimit, ModuleLimits},
    rewritten::Rewritten,
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{
    BinaryReader, MemoryType, Parser, Payload, TypeRef, ValType, ValidPayload, Validator, WasmFeatures,
};

/// Section ids, in the order in which a module has them.
mod id {
    pub(super) const TYPE: u8 = 1;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const TABLE: u8 = 4;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const GLOBAL: u8 = 6;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const ELEMENT: u8 = 9;
    pub(super) const DATA_COUNT: u8 = 12;
    pub(super) const CODE: u8 = 10;
    pub(super) const DATA: u8 = 11;
    pub(super) const ORDER: [u8; 11] = [
        TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, ELEMENT, DATA_COUNT, CODE, DATA,
    ];
}

/// The features that a guest may use. A module that uses others is refused.
fn features(config: &EngineConfig) -> WasmFeatures {
    let mut features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::GC_TYPES;
    features.set(WasmFeatures::MEMORY64, config.memory64);
    features.set(WasmFeatures::SIMD, HAS_VECTORS);
    features.set(WasmFeatures::RELAXED_SIMD, HAS_VECTORS);
    features
}

/// Rewrites a module, and validates it except for its functions, which the interpreter validates.
pub(crate) fn module(wasm: &[u8], config: &EngineConfig) -> Result<(Vec<u8>, Rewritten), ModuleError> {
    crate::Module::check_lengths(wasm)?;
    match parse(wasm, config) {
        // The error that is found first is not necessarily the first error in the module.
        Err(Refused(invalid @ ModuleError::Invalid { .. })) => validate(wasm, config).and(Err(invalid)),
        Err(Refused(mut error)) => {
            if let ModuleError::TooLarge {
                function: Some(index),
                function_name,
                ..
            } = &mut error
            {
                *function_name = names::function(wasm, *index);
            }
            Err(error)
        }
        Ok(rewritten) => Ok(rewritten),
    }
}

fn parse(wasm: &[u8], config: &EngineConfig) -> Result<(Vec<u8>, Rewritten), Refused> {
    let limits = &config.module_limits;
    let bytes = wasm.len() as u64 - custom_bytes(wasm);
    limits
        .bound(ModuleLimit::Bytes)
        .check("bytes without custom sections", bytes)?;
    let mut reader = ModuleReader::new(wasm, config, bytes);
    for payload in Parser::new(0).parse_all(wasm) {
        reader.payload(payload?, limits)?;
    }
    limits
        .bound(ModuleLimit::TotalLocals)
        .check("locals in all functions", reader.locals)?;
    reader.rewrite_code(limits)?;
    Ok(reader.write())
}

/// Validates a module in its original form, so that an error refers to that.
pub(crate) fn validate(wasm: &[u8], config: &EngineConfig) -> Result<(), ModuleError> {
    let mut validator = Validator::new_with_features(features(config));
    let valid = validator.validate_all(wasm).map(drop).map_err(Refused::from);
    valid.map_err(|Refused(error)| error)
}

/// Returns the bytes of the custom sections that come before anything malformed.
fn custom_bytes(wasm: &[u8]) -> u64 {
    let sections = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    let custom = sections.map(|payload| match payload {
        Payload::CustomSection(section) => section.range().len() as u64,
        _ => 0,
    });
    custom.sum()
}

/// The contents of a section: the number of entries, and their bytes.
#[derive(Clone, Default)]
struct Section {
    present: bool,
    count: u32,
    entries: Range<usize>,
}

struct ModuleReader<'a> {
    wasm: &'a [u8],
    /// The bytes of the module without its custom sections.
    bytes: usize,
    profile: bool,
    imported_memory: bool,
    translation: Translation,
    validator: Validator,
    features: WasmFeatures,
    sections: [Section; 13],
    spaces: IndexSpaces,
    start: Option<u32>,
    /// The bytes of the import that becomes a definition.
    defined_import: Option<Range<usize>>,
    functions: Vec<Function<'a>>,
    code: Code,
    /// Which functions report their first use, if any.
    reports: Option<Reports>,
    /// Whether functions can be translated on first use.
    is_lazy: bool,
    max_load_bytes: u64,
    instance: instance::Counter,
    /// The number of locals of all functions so far.
    locals: u64,
    /// The memory that loading takes, at first without the functions.
    load: u64,
}

impl<'a> ModuleReader<'a> {
    fn new(wasm: &'a [u8], config: &EngineConfig, bytes: u64) -> ModuleReader<'a> {
        ModuleReader {
            wasm,
            bytes: bytes as usize,
            profile: config.profile,
            imported_memory: config.imported_memory,
            translation: config.translation,
            validator: Validator::new_with_features(features(config)),
            features: features(config),
            sections: Default::default(),
            spaces: IndexSpaces::default(),
            start: None,
            defined_import: None,
            functions: Vec::new(),
            code: Code::default(),
            reports: None,
            is_lazy: false,
            max_load_bytes: config.module_limits.max_load_bytes,
            instance: instance::Counter::default(),
            locals: 0,
            load: load_estimate::BYTE * bytes,
        }
    }

    /// Processes one payload of the parser. Its size is checked before it is validated.
    fn payload(&mut self, payload: Payload<'a>, limits: &ModuleLimits) -> Result<(), Refused> {
        self.bound(&payload, limits)?;
        if let Payload::CustomSection(_) = payload {
            return Ok(());
        }
        match self
            .validator
            .payload(&payload)
            .map_err(|error| self.explain(&payload, error))?
        {
            ValidPayload::Func(function, body) => {
                let index = Some(function.index);
                limits.bound(ModuleLimit::BodyBytes).check_in(
                    index,
                    "bytes of code",
                    body.range().len() as u64,
                )?;
                let ty = self.spaces.types.get(function.ty as usize);
                // In the interpreter, a vector takes the place of two other values.
                let weight = |ty: ValType| 1 + u64::from(ty == ValType::V128);
                let mut locals = ty.map_or(0, |ty| ty.params().iter().copied().map(weight).sum());
                for group in body.get_locals_reader()? {
                    let (count, ty) = group?;
                    locals += u64::from(count) * weight(ty);
                }
                limits
                    .bound(ModuleLimit::Locals)
                    .check_in(index, "locals", locals)?;
                self.locals += locals;
                self.functions.push((function, body));
                Ok(())
            }
            _ => self.record(payload),
        }
    }

    /// Rewrites the functions, after all other sections have been parsed.
    fn rewrite_code(&mut self, limits: &ModuleLimits) -> Result<(), Refused> {
        if self.defined_import.is_some() {
            let memories = self.spaces.memories.len() as u64;
            limits
                .bound(ModuleLimit::Memories)
                .check("memories, including that of `env.memory`", memories)?;
        }
        let functions = core::mem::take(&mut self.functions);
        self.reports = self.reports(&functions);
        if let Some(reports) = self.reports {
            self.load += load_estimate::ITEM * u64::from(reports.globals);
        }
        let context = Context {
            globals: self.hidden_globals(),
            spaces: &self.spaces,
            start: self.start,
            host: (self.spaces.types.len() as u32, self.spaces.tables.len() as u32),
            reports: self.reports,
            large: match self.reports {
                Some(_) => first_use::large(&functions),
                None => Vec::new(),
            },
            carried: limits.bound(ModuleLimit::CarriedValues),
            load: Estimate::new(limits.bound(ModuleLimit::LoadBytes)),
            #[cfg(feature = "simd")]
            vectors: self.spaces.has_vectors(),
        };
        context.load.add(self.load)?;
        self.code = code::rewrite(&context, functions)?;
        self.load = context.load.sum();
        if self.code.needs.growth {
            let tables = self.spaces.tables.len() as u64 + 1;
            Bound::TABLES.check("tables, including the one that growth needs", tables)?;
        }
        Ok(())
    }

    /// Returns which functions report their first use, if any has to and there is room for what that needs.
    fn reports(&self, functions: &[Function<'_>]) -> Option<Reports> {
        /// The interpreter's maximum of globals.
        const GLOBALS: usize = 1_000_000;
        let globals = self.hidden_globals();
        let first = globals.frames + globals.count();
        let reports = Reports::new(functions, self.translation.unreported_bytes()?, first)?;
        let is_room = (first + reports.globals) as usize <= GLOBALS
            && Bound::TABLES
                .check("tables", self.spaces.tables.len() as u64 + 1)
                .is_ok();
        is_room.then_some(reports)
    }

    /// Returns whether rewritten code calls functions of the host.
    fn calls_host(&self) -> bool {
        self.code.needs.growth || self.reports.is_some()
    }

    /// Returns an error that suggests what to do, if a feature is disabled.
    fn explain(&self, payload: &Payload<'_>, error: wasmparser::BinaryReaderError) -> ModuleError {
        let memories: Vec<MemoryType> = match payload {
            Payload::MemorySection(section) => section.clone().into_iter().flatten().collect(),
            Payload::ImportSection(section) => {
                let imports = section.clone().into_iter().flatten();
                imports
                    .filter_map(|import| {
                        if let TypeRef::Memory(memory) = import.ty {
                            Some(memory)
                        } else {
                            None
                        }
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        for memory in memories {
            if memory.shared {
                let feature = "shared memory; compile it without threads, or start workers with the import `dynload.thread_spawn`";
                return ModuleError::Unsupported { feature };
            }
            if memory.memory64 && !self.features.contains(WasmFeatures::MEMORY64) {
                let feature = "a 64-bit memory; compile it for wasm32, or set `EngineConfig::memory64`";
                return ModuleError::Unsupported { feature };
            }
        }
        Refused::from(error).0
    }

    /// Records what is needed to write the module again.
    fn record(&mut self, payload: Payload<'a>) -> Result<(), Refused> {
        match payload {
            Payload::TypeSection(section) => {
                self.keep(id::TYPE, section.range())?;
                for group in section {
                    for ty in group?.into_types() {
                        if let wasmparser::CompositeInnerType::Func(ty) = ty.composite_type.inner {
                            let carried = ty.params().len() + ty.results().len();
                            self.load += load_estimate::TYPE + load_estimate::PARAMETER * carried as u64;
                            self.spaces.types.push(ty);
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                self.keep(id::IMPORT, section.range())?;
                self.instance.records(section.count());
                self.load += load_estimate::ITEM * u64::from(section.count());
                if self.imported_memory {
                    self.defined_import = imported_memory::find(&section)?;
                }
                for import in section {
                    self.spaces.import(import?.ty);
                }
            }
            Payload::FunctionSection(section) => {
                self.keep(id::FUNCTION, section.range())?;
                self.instance.records(section.count());
                for ty in section {
                    self.spaces.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                self.keep(id::TABLE, section.range())?;
                self.instance.records(section.count());
                for table in section {
                    self.spaces.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(section) => {
                self.keep(id::MEMORY, section.range())?;
                self.instance.records(section.count());
                for memory in section {
                    self.spaces.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                self.keep(id::GLOBAL, section.range())?;
                self.instance.records(section.count());
                self.load += load_estimate::ITEM * u64::from(section.count());
                for global in section {
                    self.spaces.globals.push(Global::defined(global?.ty));
                }
            }
            Payload::ExportSection(section) => {
                self.keep(id::EXPORT, section.range())?;
                self.load += load_estimate::ITEM * u64::from(section.count());
                for export in section {
                    self.instance.export(&export?);
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => {
                self.keep(id::ELEMENT, section.range())?;
                self.load += load_estimate::ITEM * u64::from(section.count());
                for segment in section {
                    let segment = segment?;
                    self.load += load_estimate::ELEMENT * u64::from(instance::elements(&segment));
                    self.instance.element_segment(&segment);
                }
            }
            Payload::DataCountSection { range, .. } => self.keep(id::DATA_COUNT, range)?,
            Payload::DataSection(section) => {
                self.keep(id::DATA, section.range())?;
                self.load += load_estimate::ITEM * u64::from(section.count());
                for segment in section {
                    self.instance.data_segment(&segment?);
                }
            }
            Payload::CodeSectionStart { count, range, .. } => {
                self.sections[id::CODE as usize] = Section {
                    present: true,
                    count,
                    entries: range,
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// Records the entries of a section.
    fn keep(&mut self, id: u8, range: Range<usize>) -> Result<(), Refused> {
        let mut reader = BinaryReader::new(&self.wasm[range.clone()], range.start);
        let count = reader.read_var_u32()?;
        let entries = reader.original_position()..range.end;
        self.sections[id as usize] = Section {
            present: true,
            count,
            entries,
        };
        Ok(())
    }

    /// Returns the indices of the hidden globals, which follow the guest's own.
    fn hidden_globals(&self) -> Globals {
        let first = self.spaces.globals.len() as u32;
        Globals {
            frames: first,
            refund: first + 1,
            peaks: self.profile.then_some((first + 2, first + 3)),
        }
    }
}
