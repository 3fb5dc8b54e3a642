//! Assembles a module around the bodies.

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction,
    MemorySection, MemoryType, Module, RefType, StartSection, TableSection, TableType, TypeSection,
};

use super::body::{Body, Context};
use super::dice::Dice;
use super::{Call, Options, Program, import_types};
use crate::value::{FuncType, ValType, Value};

/// The length of the passive data segment.
pub(crate) const PASSIVE_BYTES: usize = 200;
/// The initial size of the table that bulk operators work on.
pub(crate) const TABLE_ELEMENTS: usize = 40;

/// The maximum patience of programs with imports. Hosts limit the depth of re-entry, and every re-entry uses up patience.
const MOST_REENTRIES: usize = 40;

pub(crate) fn encode(ty: ValType) -> wasm_encoder::ValType {
    match ty {
        ValType::I32 => wasm_encoder::ValType::I32,
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        ValType::V128 => wasm_encoder::ValType::V128,
        ValType::FuncRef => wasm_encoder::ValType::Ref(RefType::FUNCREF),
        ValType::ExternRef => wasm_encoder::ValType::Ref(RefType::EXTERNREF),
    }
}

struct Defined {
    ty: FuncType,
    locals: Vec<ValType>,
    code: Vec<Instruction<'static>>,
}

pub(crate) fn program(mut dice: Dice<'_>, options: &Options) -> Program {
    let dice = &mut dice;
    let imported: Vec<FuncType> = if options.imports {
        import_types().into()
    } else {
        Vec::new()
    };
    // The functions that do the work, then for each an exported one that sets the patience and calls it.
    let workers: Vec<FuncType> = (0..dice.range(1, 5)).map(|_| func_type(dice, options)).collect();
    let mut funcs = imported.clone();
    funcs.extend(workers.clone());
    let first = imported.len() as u32;
    let callable: Vec<u32> = (0..funcs.len() as u32).collect();
    let slots = (0..dice.range(1, 6)).map(|_| dice.pick(&callable)).collect();
    let globals = vec![ValType::I32, ValType::I64, ValType::F64];
    let mut context = Context {
        options: *options,
        types: Vec::new(),
        patience: globals.len() as u32,
        globals,
        funcs,
        callable,
        slots,
        memories: 1 + u32::from(options.two_memories),
        data_segments: 1,
    };
    let mut defined = Vec::new();
    for ty in &workers {
        let locals = declared_locals(dice, options);
        let all = ty.params.iter().chain(&locals).copied().collect();
        let code = Body::generate(&mut context, dice, all, ty.results.clone());
        defined.push(Defined {
            ty: ty.clone(),
            locals,
            code,
        });
    }
    for (index, ty) in workers.iter().enumerate() {
        let most = if options.imports { MOST_REENTRIES } else { 300 };
        let patience = dice.range(1, most) as i32;
        defined.push(runner(first + index as u32, ty, patience, context.patience));
    }
    let runners = first + workers.len() as u32;
    let start = dice.chance(15).then(|| {
        let worker = dice.below(workers.len());
        let mut code = vec![
            Instruction::I32Const(30),
            Instruction::GlobalSet(context.patience),
        ];
        code.extend(workers[worker].params.iter().map(|ty| zero(*ty)));
        code.push(Instruction::Call(first + worker as u32));
        code.extend(workers[worker].results.iter().map(|_| Instruction::Drop));
        code.push(Instruction::End);
        defined.push(Defined {
            ty: FuncType::new([], []),
            locals: Vec::new(),
            code,
        });
        first + defined.len() as u32 - 1
    });
    let back = options.imports.then(|| {
        defined.push(back(first, &workers[0]));
        first + defined.len() as u32 - 1
    });
    let mut calls = Vec::new();
    for _ in 0..2 {
        for (index, ty) in workers.iter().enumerate() {
            let args = ty.params.iter().map(|ty| argument(dice, *ty)).collect();
            calls.push(Call {
                name: format!("run{index}"),
                args,
            });
        }
    }
    let exports = Exports {
        runners,
        count: workers.len() as u32,
        back,
        start,
    };
    Program {
        wasm: write(&mut context, &imported, &defined, &exports, dice),
        calls,
    }
}

fn func_type(dice: &mut Dice<'_>, options: &Options) -> FuncType {
    let vectors = usize::from(options.vectors);
    let types = [
        ValType::I32,
        ValType::I64,
        ValType::F64,
        ValType::F32,
        ValType::V128,
    ];
    let mut list = |most: usize| -> Vec<ValType> {
        let count = dice.below(most + 1);
        (0..count)
            .map(|_| types[dice.weighted(&[8, 3, 2, 1, vectors])])
            .collect()
    };
    // Parameters and results of exported functions cross to the host, where vectors are not supported everywhere.
    let (params, results) = (list(3), list(2));
    FuncType::new(params, results)
}

fn declared_locals(dice: &mut Dice<'_>, options: &Options) -> Vec<ValType> {
    let vectors = usize::from(options.vectors);
    let types = [
        ValType::I32,
        ValType::I64,
        ValType::F64,
        ValType::FuncRef,
        ValType::V128,
    ];
    // Around the free number, and far above it.
    let count = match dice.below(12) {
        0 => dice.range(60, 75),
        1 => dice.range(100, 400),
        _ => dice.below(6),
    };
    (0..count)
        .map(|_| types[dice.weighted(&[8, 3, 2, 1, 2 * vectors])])
        .collect()
}

fn argument(dice: &mut Dice<'_>, ty: ValType) -> Value {
    let number = dice.constant();
    match ty {
        ValType::I32 => Value::I32(number),
        ValType::I64 => Value::I64(i64::from(number)),
        ValType::F32 => Value::F32((number as f32).to_bits()),
        ValType::F64 => Value::F64(f64::from(number).to_bits()),
        ValType::V128 => Value::V128(number as u128),
        ValType::FuncRef => Value::FuncRef(None),
        ValType::ExternRef => Value::ExternRef(None),
    }
}

fn zero(ty: ValType) -> Instruction<'static> {
    match ty {
        ValType::I32 => Instruction::I32Const(0),
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0_f32.into()),
        ValType::F64 => Instruction::F64Const(0.0.into()),
        ValType::V128 => Instruction::V128Const(0),
        ValType::FuncRef => Instruction::RefNull(wasm_encoder::HeapType::FUNC),
        ValType::ExternRef => Instruction::RefNull(wasm_encoder::HeapType::EXTERN),
    }
}

fn runner(worker: u32, ty: &FuncType, patience: i32, global: u32) -> Defined {
    let mut code = vec![Instruction::I32Const(patience), Instruction::GlobalSet(global)];
    code.extend((0..ty.params.len() as u32).map(Instruction::LocalGet));
    code.push(Instruction::Call(worker));
    code.push(Instruction::End);
    Defined {
        ty: ty.clone(),
        locals: Vec::new(),
        code,
    }
}

/// The export `(i32) -> i32` that `env.back` calls: it calls the first worker without resetting the patience.
fn back(first: u32, worker: &FuncType) -> Defined {
    let mut code: Vec<_> = worker
        .params
        .iter()
        .map(|ty| {
            if *ty == ValType::I32 {
                Instruction::LocalGet(0)
            } else {
                zero(*ty)
            }
        })
        .collect();
    code.push(Instruction::Call(first));
    code.extend(worker.results.iter().map(|_| Instruction::Drop));
    code.extend([
        Instruction::LocalGet(0),
        Instruction::I32Const(3),
        Instruction::I32Xor,
        Instruction::End,
    ]);
    Defined {
        ty: FuncType::new([ValType::I32], [ValType::I32]),
        locals: Vec::new(),
        code,
    }
}

struct Exports {
    runners: u32,
    count: u32,
    back: Option<u32>,
    start: Option<u32>,
}

fn write(
    context: &mut Context,
    imported: &[FuncType],
    defined: &[Defined],
    exports: &Exports,
    dice: &mut Dice<'_>,
) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for func in defined {
        functions.function(context.intern(func.ty.clone()));
        let mut body = Function::new_with_locals_types(func.locals.iter().map(|ty| encode(*ty)));
        for instruction in &func.code {
            body.instruction(instruction);
        }
        code.function(&body);
    }
    let mut imports = ImportSection::new();
    for (name, ty) in ["mix", "back"].iter().zip(imported) {
        imports.import("env", name, EntityType::Function(context.intern(ty.clone())));
    }
    let mut types = TypeSection::new();
    for ty in &context.types {
        types.ty().function(
            ty.params.iter().map(|ty| encode(*ty)),
            ty.results.iter().map(|ty| encode(*ty)),
        );
    }
    let mut tables = TableSection::new();
    let slots = context.slots.len() as u64;
    tables.table(table_type(slots, Some(slots)));
    tables.table(table_type(TABLE_ELEMENTS as u64, Some(2000)));
    let mut memories = MemorySection::new();
    for index in 0..context.memories {
        // The second memory has pages of one byte.
        let page_size_log2 = (index == 1).then_some(0);
        let pages = 1 << (16 - page_size_log2.unwrap_or(16));
        let ty = MemoryType {
            minimum: pages,
            maximum: Some(6 * pages),
            memory64: false,
            shared: false,
            page_size_log2,
        };
        memories.memory(ty);
    }
    let mut globals = GlobalSection::new();
    let mutable = |ty| GlobalType {
        val_type: encode(ty),
        mutable: true,
        shared: false,
    };
    for ty in &context.globals {
        globals.global(mutable(*ty), &constant(zero(*ty)));
    }
    globals.global(mutable(ValType::I32), &ConstExpr::i32_const(0));
    let mut export = ExportSection::new();
    for index in 0..exports.count {
        export.export(&format!("run{index}"), ExportKind::Func, exports.runners + index);
    }
    if let Some(back) = exports.back {
        export.export("back", ExportKind::Func, back);
    }
    for index in 0..context.memories {
        export.export(&format!("memory{index}"), ExportKind::Memory, index);
    }
    for index in 0..context.globals.len() as u32 {
        export.export(&format!("global{index}"), ExportKind::Global, index);
    }
    let mut elements = ElementSection::new();
    let slots: Vec<u32> = context.slots.clone();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(slots.into()));
    let mut data = DataSection::new();
    data.passive((0..PASSIVE_BYTES).map(|i| i as u8));
    let active = dice.range(0, 300);
    data.active(0, &ConstExpr::i32_const(1000), (0..active).map(|i| (i * 7) as u8));

    let mut module = Module::new();
    module.section(&types);
    if !imported.is_empty() {
        module.section(&imports);
    }
    module
        .section(&functions)
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&export);
    if let Some(function_index) = exports.start {
        module.section(&StartSection { function_index });
    }
    module
        .section(&elements)
        .section(&DataCountSection { count: 2 })
        .section(&code)
        .section(&data);
    module.finish()
}

fn table_type(minimum: u64, maximum: Option<u64>) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum,
        maximum,
        shared: false,
    }
}

fn constant(instruction: Instruction<'static>) -> ConstExpr {
    match instruction {
        Instruction::I32Const(value) => ConstExpr::i32_const(value),
        Instruction::I64Const(value) => ConstExpr::i64_const(value),
        Instruction::F64Const(value) => ConstExpr::f64_const(value),
        other => unreachable!("no global is initialized with {other:?}"),
    }
}
