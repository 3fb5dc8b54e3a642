//! Which operands are vectors: they count twice in a frame. Only validation knows the types of operands.

use super::{BodyRewriter, Context};
use crate::{
    error::ModuleError,
    rewrite::{
        binary::op,
        literals::{Literal, Literals},
    },
};
use wasmparser::{
    FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValType, ValidatorResources,
};

/// The vectors on the operand stack of a function, and the validation that runs along to tell them.
pub(super) struct Vectors {
    validator: FuncValidator<ValidatorResources>,
    at: Literals,
}

impl Vectors {
    /// Begins with a function.
    pub(super) fn new(
        mut validator: FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<Vectors, ModuleError> {
        validator.read_locals(&mut body.get_binary_reader())?;
        Ok(Vectors {
            validator,
            at: Literals::default(),
        })
    }

    /// Validates an operator that takes operands from `low` up. Gives what vectors count beyond other operands, in
    /// bytes.
    fn step(&mut self, operator: &Operator<'_>, low: u32, offset: usize) -> Result<u64, ModuleError> {
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

    /// Ends the validation of a body whose code ends at `offset`.
    pub(super) fn finish(mut self, offset: usize) -> Result<FuncValidatorAllocations, ModuleError> {
        self.validator.finish(offset)?;
        Ok(self.validator.into_allocations())
    }
}

impl BodyRewriter {
    /// Validates the operator, and notes what the vectors on the operand stack behind it count beyond other operands.
    pub(super) fn step_vectors(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        offset: usize,
    ) -> Result<(), ModuleError> {
        let (taken, _) = self.arity(context, operator);
        let low = self.stacks.height.saturating_sub(taken);
        if let Some(vectors) = &mut self.vectors {
            self.vector_bytes = vectors.step(operator, low, offset)?;
        }
        Ok(())
    }
}
