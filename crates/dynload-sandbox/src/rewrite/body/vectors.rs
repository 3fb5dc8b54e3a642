//! Tracks which operands are vectors, since these take twice the space in a frame. Only validation determines the types of
//! operands, so this is done for functions in which a vector occurs, and for no other.

use super::{BodyRewriter, Context, Parsed};
use crate::{
    error::Refused,
    rewrite::{
        binary::op,
        literals::{Literal, Literals},
    },
};
use wasmparser::{
    BlockType, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValType,
    ValidatorResources,
};

/// The vectors on the operand stack of a function, and the validator that identifies them.
pub(super) struct Vectors {
    validator: FuncValidator<ValidatorResources>,
    at: Literals,
}

impl Vectors {
    /// Starts a function.
    pub(super) fn new(
        mut validator: FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<Vectors, Refused> {
        validator.read_locals(&mut body.get_binary_reader())?;
        Ok(Vectors {
            validator,
            at: Literals::default(),
        })
    }

    /// Validates an operator that pops the operands from `low` up. Returns the bytes that vectors take beyond those of other
    /// operands.
    fn step(&mut self, operator: &Operator<'_>, low: u32, offset: usize) -> Result<u64, Refused> {
        self.validator.op(offset, operator)?;
        let height = self.validator.operand_stack_height();
        let low = low.min(height);
        self.at.truncate(low);
        for at in low..height {
            let ty = self.validator.get_operand_type((height - 1 - at) as usize);
            if ty == Some(Some(ValType::V128)) {
                self.at.push(at, Literal::Other(op::V128));
            }
        }
        Ok(self.at.len() as u64 * 8)
    }

    /// Completes the validation of a body whose code ends at `offset`.
    pub(super) fn finish(mut self, offset: usize) -> Result<FuncValidatorAllocations, Refused> {
        self.validator.finish(offset)?;
        Ok(self.validator.into_allocations())
    }
}

impl BodyRewriter {
    /// The first pass, with all vectors tracked.
    pub(super) fn parse_with_vectors(
        &mut self,
        context: &Context<'_>,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<Parsed, Refused> {
        let ty = function.ty;
        let validator = function.into_validator(core::mem::take(&mut self.allocations));
        self.vectors = Some(Vectors::new(validator, body)?);
        let parsed = self.parse(context, ty, body);
        let vectors = self.vectors.take();
        let parsed = parsed?;
        if let Some(vectors) = vectors {
            self.allocations = vectors.finish(parsed.code.end)?;
        }
        self.needs.vectors = true;
        Ok(parsed)
    }

    /// Records that a value of this type was met.
    pub(super) fn meet(&mut self, ty: ValType) {
        self.missed_vector |= ty == ValType::V128 && self.vectors.is_none();
    }

    /// Records a vector that a control operator or a `select` introduces: in unreachable code, their types alone do.
    pub(super) fn meet_in(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block {
                blockty: BlockType::Type(ty),
            }
            | Operator::Loop {
                blockty: BlockType::Type(ty),
            }
            | Operator::If {
                blockty: BlockType::Type(ty),
            }
            | Operator::TypedSelect { ty } => self.meet(*ty),
            _ => {}
        }
    }

    /// Validates the operator, and records the bytes that vectors on the operand stack after it take beyond those of other
    /// operands.
    pub(super) fn step_vectors(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        offset: usize,
    ) -> Result<(), Refused> {
        if self.vectors.is_none() {
            return Ok(());
        }
        let (popped, _) = self.arity(context, operator);
        let low = self.stacks.height.saturating_sub(popped);
        if let Some(vectors) = &mut self.vectors {
            self.vector_bytes = vectors.step(operator, low, offset)?;
        }
        Ok(())
    }
}
