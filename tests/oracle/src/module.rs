//! Decodes and validates a module into plain tables.

use std::rc::Rc;

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate, FunctionBody, Operator,
    Parser, Payload, TableInit, TypeRef, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::code::Code;
use crate::error::Error;
use crate::value::{FuncType, ValType};

/// Type of a linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryType {
    /// Whether addresses are i64.
    pub memory64: bool,
    /// Initial number of pages.
    pub initial: u64,
    /// Maximum number of pages, if declared.
    pub maximum: Option<u64>,
    /// Page size as a power of two; 16 unless the custom-page-sizes proposal is used.
    pub page_size_log2: u32,
}

/// Type of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableType {
    /// Whether indices are i64.
    pub table64: bool,
    /// Type of the elements.
    pub element: ValType,
    /// Initial number of elements.
    pub initial: u64,
    /// Maximum number of elements, if declared.
    pub maximum: Option<u64>,
}

/// Type of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    /// Type of the value.
    pub ty: ValType,
    /// Whether it may be set.
    pub mutable: bool,
}

/// The type of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A linear memory.
    Memory(MemoryType),
    /// A table.
    Table(TableType),
    /// A global.
    Global(GlobalType),
}

/// An import: the two names and the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportType {
    /// The module's name.
    pub module: String,
    /// The item's name.
    pub name: String,
    /// The required type.
    pub ty: ExternType,
}

/// An index into one of the index spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExternIdx {
    Func(u32),
    Memory(u32),
    Table(u32),
    Global(u32),
}

#[derive(Debug)]
pub(crate) struct Global<'a> {
    pub(crate) ty: GlobalType,
    pub(crate) init: Expr<'a>,
}

#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) ty: TableType,
    pub(crate) init: Option<Expr<'a>>,
}

#[derive(Debug)]
pub(crate) struct Element<'a> {
    pub(crate) items: Vec<Expr<'a>>,
    pub(crate) mode: ElementMode<'a>,
}

#[derive(Debug)]
pub(crate) enum ElementMode<'a> {
    Passive,
    Active { table: u32, offset: Expr<'a> },
    Declared,
}

#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) bytes: &'a [u8],
    /// Memory and offset, if the segment is active.
    pub(crate) active: Option<(u32, Expr<'a>)>,
}

/// A constant expression, without its `end`.
pub(crate) type Expr<'a> = Vec<Operator<'a>>;

/// A decoded and validated module.
#[derive(Debug, Default)]
pub struct Module<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<ImportType>,
    /// Types of all functions, imported ones first.
    pub(crate) funcs: Vec<FuncType>,
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<Global<'a>>,
    pub(crate) exports: Vec<(String, ExternIdx)>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    pub(crate) data: Vec<Data<'a>>,
    /// Bodies of the functions that are not imported.
    pub(crate) code: Vec<Rc<Code<'a>>>,
}

impl<'a> Module<'a> {
    /// Returns the features that a module may use: Wasm 2.0, tail calls, several memories, 64-bit memories, extended constant
    /// expressions, custom page sizes.
    pub fn features() -> WasmFeatures {
        WasmFeatures::WASM2
            | WasmFeatures::TAIL_CALL
            | WasmFeatures::MULTI_MEMORY
            | WasmFeatures::MEMORY64
            | WasmFeatures::EXTENDED_CONST
            | WasmFeatures::CUSTOM_PAGE_SIZES
    }

    /// Decodes and validates a binary module.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`] if it does not decode or validate with [`features`](Self::features)
    /// - [`Error::Unsupported`] if it uses something that the oracle does not support
    pub fn new(wasm: &'a [u8]) -> Result<Self, Error> {
        let mut validator = Validator::new_with_features(Self::features());
        let mut module = Self::default();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let ValidPayload::Func(func, body) = validator.payload(&payload)? {
                bodies.push((func, body));
            }
            module.read(payload)?;
        }
        for (func, body) in bodies {
            let code = module.read_code(func, &body)?;
            module.code.push(Rc::new(code));
        }
        Ok(module)
    }

    /// Returns the imports of the module, in order.
    pub fn imports(&self) -> &[ImportType] {
        &self.imports
    }

    /// Returns the names and types of the exported functions, in order.
    pub fn exported_funcs(&self) -> impl Iterator<Item = (&str, &FuncType)> {
        self.exports.iter().filter_map(|(name, idx)| match idx {
            ExternIdx::Func(func) => Some((name.as_str(), &self.funcs[*func as usize])),
            _ => None,
        })
    }

    fn read_code(
        &self,
        func: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'a>,
    ) -> Result<Code<'a>, Error> {
        let ty = self.types[func.ty as usize].clone();
        Code::read(ty, func.into_validator(Default::default()), body)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(reader) => {
                for ty in reader.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    let params: Result<Vec<_>, _> =
                        ty.params().iter().map(|ty| ValType::decode(*ty)).collect();
                    let results: Result<Vec<_>, _> =
                        ty.results().iter().map(|ty| ValType::decode(*ty)).collect();
                    self.types.push(FuncType::new(params?, results?));
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    let ty = self.extern_type(import.ty)?;
                    if let ExternType::Func(ty) = &ty {
                        self.funcs.push(ty.clone());
                    }
                    self.imports.push(ImportType {
                        module: import.module.into(),
                        name: import.name.into(),
                        ty,
                    });
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    let ty = self.types[ty? as usize].clone();
                    self.funcs.push(ty);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    let table = table?;
                    let init = match table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(const_expr(&expr)?),
                    };
                    self.tables.push(Table {
                        ty: table_type(table.ty)?,
                        init,
                    });
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory_type(memory?));
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    self.globals.push(Global {
                        ty: global_type(global.ty)?,
                        init: const_expr(&global.init_expr)?,
                    });
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    let idx = match export.kind {
                        ExternalKind::Func => ExternIdx::Func(export.index),
                        ExternalKind::Table => ExternIdx::Table(export.index),
                        ExternalKind::Memory => ExternIdx::Memory(export.index),
                        ExternalKind::Global => ExternIdx::Global(export.index),
                        other => return Err(Error::Unsupported(format!("export kind {other:?}"))),
                    };
                    self.exports.push((export.name.into(), idx));
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    let element = element?;
                    let items = match element.items {
                        ElementItems::Functions(funcs) => funcs
                            .into_iter()
                            .map(|func| {
                                Ok(vec![Operator::RefFunc {
                                    function_index: func?,
                                }])
                            })
                            .collect::<Result<Vec<_>, Error>>()?,
                        ElementItems::Expressions(_, exprs) => exprs
                            .into_iter()
                            .map(|expr| const_expr(&expr?))
                            .collect::<Result<Vec<_>, Error>>()?,
                    };
                    let mode = match element.kind {
                        ElementKind::Passive => ElementMode::Passive,
                        ElementKind::Declared => ElementMode::Declared,
                        ElementKind::Active {
                            table_index,
                            offset_expr,
                        } => ElementMode::Active {
                            table: table_index.unwrap_or(0),
                            offset: const_expr(&offset_expr)?,
                        },
                    };
                    self.elements.push(Element { items, mode });
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    let data = data?;
                    let active = match data.kind {
                        DataKind::Passive => None,
                        DataKind::Active {
                            memory_index,
                            offset_expr,
                        } => Some((memory_index, const_expr(&offset_expr)?)),
                    };
                    self.data.push(Data {
                        bytes: data.data,
                        active,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn extern_type(&self, ty: TypeRef) -> Result<ExternType, Error> {
        Ok(match ty {
            TypeRef::Func(idx) => ExternType::Func(self.types[idx as usize].clone()),
            TypeRef::Table(ty) => ExternType::Table(table_type(ty)?),
            TypeRef::Memory(ty) => ExternType::Memory(memory_type(ty)),
            TypeRef::Global(ty) => ExternType::Global(global_type(ty)?),
            other => return Err(Error::Unsupported(format!("import of {other:?}"))),
        })
    }
}

fn memory_type(ty: wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        memory64: ty.memory64,
        initial: ty.initial,
        maximum: ty.maximum,
        page_size_log2: ty.page_size_log2.unwrap_or(16),
    }
}

fn table_type(ty: wasmparser::TableType) -> Result<TableType, Error> {
    let element = ValType::decode_ref(ty.element_type)?;
    Ok(TableType {
        table64: ty.table64,
        element,
        initial: ty.initial,
        maximum: ty.maximum,
    })
}

fn global_type(ty: wasmparser::GlobalType) -> Result<GlobalType, Error> {
    Ok(GlobalType {
        ty: ValType::decode(ty.content_type)?,
        mutable: ty.mutable,
    })
}

fn const_expr<'a>(expr: &ConstExpr<'a>) -> Result<Expr<'a>, Error> {
    let mut operators = expr
        .get_operators_reader()
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    operators.pop(); // the `end`
    Ok(operators)
}
