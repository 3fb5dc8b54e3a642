//! A function's body: its operators, where each block ends, and how large its frame is.

use wasmparser::{BlockType, FuncValidator, FunctionBody, Operator, WasmModuleResources};

use crate::error::Error;
use crate::value::{FuncType, ValType};

/// Where a `block`, `loop` or `if` continues.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// Position of the `else`, if any.
    pub(crate) otherwise: Option<usize>,
    /// Position of the `end`.
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) struct Code<'a> {
    pub(crate) ty: FuncType,
    /// Types of the declared locals, without the parameters.
    pub(crate) locals: Vec<ValType>,
    /// All operators, including the final `end`.
    pub(crate) operators: Vec<Operator<'a>>,
    /// For each operator that opens a block, its extent. An `else` has the extent of its `if`.
    pub(crate) extents: Vec<Extent>,
    /// Bytes of the frame: parameters, declared locals, highest operand stack.
    pub(crate) frame_bytes: u64,
    /// Bytes of the highest operand stack alone.
    pub(crate) operand_bytes: u64,
}

impl<'a> Code<'a> {
    pub(crate) fn read(
        ty: FuncType,
        mut validator: FuncValidator<impl WasmModuleResources>,
        body: &FunctionBody<'a>,
    ) -> Result<Self, Error> {
        let mut locals = Vec::new();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            // Before the vector is built, so that the validator's bound on locals applies first.
            validator.define_locals(body.range().start, count, ty)?;
            locals.extend(std::iter::repeat_n(ValType::decode(ty)?, count as usize));
        }
        let mut operators = Vec::new();
        let mut operand_bytes = 0;
        for item in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = item?;
            validator.op(offset, &operator)?;
            operators.push(operator);
            if reachable(&validator) {
                operand_bytes = operand_bytes.max(operand_height(&validator));
            }
        }
        let named: u64 = ty.params.iter().chain(&locals).map(|ty| ty.stack_bytes()).sum();
        let extents = extents(&operators);
        Ok(Self {
            ty,
            locals,
            operators,
            extents,
            frame_bytes: named + operand_bytes,
            operand_bytes,
        })
    }

    /// 8-byte slots of the declared locals.
    pub(crate) fn declared_slots(&self) -> u64 {
        self.locals.iter().map(|ty| ty.slots()).sum()
    }
}

/// Returns whether the point after the last operator is reachable according to the validation algorithm of the
/// specification's appendix: no control frame that is open here has been marked `unreachable`. (A frame opened in dead code
/// is not itself marked; the frame around it is.)
fn reachable(validator: &FuncValidator<impl WasmModuleResources>) -> bool {
    let open = validator.control_stack_height() as usize;
    (0..open).all(|depth| {
        validator
            .get_control_frame(depth)
            .is_some_and(|frame| !frame.unreachable)
    })
}

fn operand_height(validator: &FuncValidator<impl WasmModuleResources>) -> u64 {
    let operands = 0..validator.operand_stack_height() as usize;
    operands
        .map(|depth| match validator.get_operand_type(depth) {
            Some(Some(wasmparser::ValType::V128)) => ValType::V128.stack_bytes(),
            // `ref.func` pushes a more precise type than funcref; every reference counts the same.
            Some(Some(_)) => 8,
            other => panic!("operand {depth} in reachable code has the type {other:?}"),
        })
        .sum()
}

fn extents(operators: &[Operator<'_>]) -> Vec<Extent> {
    let mut extents = vec![Extent::default(); operators.len()];
    // Positions of the open blocks; the function body itself has no position.
    let mut open: Vec<Option<usize>> = vec![None];
    for (position, operator) in operators.iter().enumerate() {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => open.push(Some(position)),
            Operator::Else => {
                if let Some(Some(start)) = open.last() {
                    extents[*start].otherwise = Some(position);
                }
            }
            Operator::End => {
                if let Some(Some(start)) = open.pop() {
                    extents[start].end = position;
                    if let Some(otherwise) = extents[start].otherwise {
                        extents[otherwise].end = position;
                    }
                }
            }
            _ => {}
        }
    }
    extents
}

/// Returns the number of parameters and results of a block.
pub(crate) fn block_arity(block: BlockType, types: &[FuncType]) -> (usize, usize) {
    match block {
        BlockType::Empty => (0, 0),
        BlockType::Type(_) => (0, 1),
        BlockType::FuncType(idx) => {
            let ty = &types[idx as usize];
            (ty.params.len(), ty.results.len())
        }
    }
}
