//! Goes round what wasmi 2.0.0 does wrong, whatever its size; where that would cost too much, the module is refused.
//!
//! Its translator keeps operands in places of their own (a register, a slot of the frame, a local that has not been copied, a
//! constant) and moves them where control parts or comes together. A cell that is read before anybody wrote it holds what
//! another call, or the host, left there: that is a leak even where the result is right. So all operators that move several
//! values were walked through, in the translator (`engine/translator/func`) and in the executor (`engine/executor/handler`):
//!
//! | what moves values | finding |
//! | --- | --- |
//! | `br_table` with values | copied only where the targets' heights differ; else taken to be in place, which they are not above other operands: [`carry`](BodyRewriter::carry) |
//! | `block`, `loop`, `if` with parameters | a local below the parameters is left uncopied for each parameter that is no local; a loop copies parameters into registers before locals that live in them are saved; an `else` does not restore what was in registers: [`before_params`](BodyRewriter::before_params), for every frame with parameters |
//! | `loop` that nobody branches to | written as a block here; its parameters stay constants then: kept a loop where one is ([`control`](super::control)) |
//! | `select` behind a comparison with zero | joined with it, also over what writes nothing, and then looks for the condition where it is not: kept apart ([`operator`](super::operator)) |
//! | stores of integers far away | no instruction with address and value in one register: the value is sent through a local ([`operator`](super::operator)) |
//! | `br`, `br_if` with values, both ways | right: copied in ascending order, never onto what is still to be read |
//! | `return`, a branch out of the function | right: as `br` |
//! | `else`, `end` with results | right |
//! | `call`, `call_indirect` with many parameters and results | right: parameters lie at the top already, the index above them |
//! | `return_call`, `return_call_indirect` | right: moved as one piece, then the locals that are not parameters are zeroed |
//! | `select` without a comparison | right |
//! | `local.set`, `local.tee` of a local that is still on the stack | right: it is copied before |
//! | operands of two cells (vectors) | right: both cells move |
//!
//! `tests/moves.rs` holds random programs that do all of this against the oracle, also behind another function that left a
//! pattern in every place; `tests/engine_gaps.rs` has a test for each finding that fails when the interpreter has been repaired.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit, arity::carried};
use crate::{
    error::ModuleError,
    rewrite::binary::{i64_const, indexed, op, unsigned, val_type},
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::BrTable;

impl BodyRewriter {
    /// Lets a `br_table` that takes values along branch without them, to places from where they are taken along by a
    /// plain `br`: wasmi 2.0.0 reads them from where nobody wrote them otherwise.
    ///
    /// Each value is written once for each place, and all of that is [counted](BodyRewriter::count_carried).
    pub(super) fn carry(
        &mut self,
        context: &Context<'_>,
        targets: &BrTable<'_>,
        at: Range<usize>,
    ) -> Result<(), ModuleError> {
        let Some(frame) = self.stacks.label(targets.default()) else {
            return Ok(());
        };
        let values = carried(context, frame);
        if values.len() as u64 > CARRIED_FREE {
            let feature =
                "a `br_table` that takes more than 16 values along; branch by `br_if`, or take fewer";
            return Err(ModuleError::Unsupported { feature });
        }
        let labels: Result<Vec<u32>, _> = targets.targets().chain([Ok(targets.default())]).collect();
        let labels = labels?;
        let mut places: Vec<u32> = labels.clone();
        places.sort_unstable();
        places.dedup();
        let types: Option<Vec<u8>> = values.iter().map(|ty| val_type(*ty)).collect();
        let Some(types) = types else {
            let feature = "a `br_table` that takes a value of a type along that is not numbers, vectors or plain references";
            return Err(ModuleError::Unsupported { feature });
        };
        self.count_carried(context, places.len() as u64 * types.len() as u64)?;
        let mut locals = Vec::new();
        for (i, ty) in types.iter().chain([&op::I32]).enumerate() {
            let before = types.iter().take(i).filter(|other| *other == ty).count();
            locals.push(self.nth_hidden_local(*ty, before));
        }
        self.insert(at.start, |out| {
            for local in locals.iter().rev() {
                indexed(out, op::LOCAL_SET, *local);
            }
            for _ in &places {
                out.extend([op::BLOCK, op::EMPTY]);
            }
            let (index, values) = locals.split_last().unwrap_or((&0, &[]));
            indexed(out, op::LOCAL_GET, *index);
            out.push(op::BR_TABLE);
            unsigned(out, labels.len() as u64 - 1);
            for label in &labels {
                let place = places.binary_search(label).unwrap_or_default();
                unsigned(out, place as u64);
            }
            for (i, label) in places.iter().enumerate() {
                out.push(op::END);
                for local in values {
                    indexed(out, op::LOCAL_GET, *local);
                }
                indexed(out, op::BR, label + (places.len() - 1 - i) as u32);
            }
        });
        let to = self.offset(at.end);
        self.edit(at.start, Edit::Skip { to });
        Ok(())
    }

    /// Puts the operands where a frame that takes parameters finds them.
    ///
    /// At the entry of a frame the interpreter copies what it has only noted as "the local of that index", on the operand
    /// stack below the parameters, to where it stays. wasmi 2.0.0 leaves one of these out for each parameter that is no local
    /// itself, and copies it later, where perhaps not every way leads. At the entry of a frame without parameters it copies
    /// all.
    pub(super) fn before_params(&mut self, offset: usize) {
        self.insert(offset, |out| out.extend([op::BLOCK, op::EMPTY, op::END]));
    }

    /// Lets the host see to what a growth needs before it happens ([`host::define_growth`](crate::host::define_growth)).
    pub(super) fn before_memory_growth(&mut self, context: &Context<'_>, offset: usize) {
        self.needs.growth = true;
        self.insert(offset, |out| {
            i64_const(out, 0);
            i64_const(out, 0);
            call_growth(out, context);
        });
    }

    /// As [`before_memory_growth`](BodyRewriter::before_memory_growth), with the number of elements, which is on top of
    /// the operand stack, and how many there may be.
    pub(super) fn before_table_growth(&mut self, context: &Context<'_>, index: u32, offset: usize) {
        let Some(table) = context.spaces.tables.get(index as usize) else {
            return;
        };
        self.needs.growth = true;
        let local = self.hidden_local(if table.table64 { op::I64 } else { op::I32 });
        let maximum = table.maximum.unwrap_or(u64::MAX);
        self.insert(offset, |out| {
            let extend = |out: &mut Vec<u8>| {
                if !table.table64 {
                    out.push(op::I64_EXTEND_I32_U);
                }
            };
            indexed(out, op::LOCAL_TEE, local);
            extend(out);
            i64_const(out, maximum.min(i64::MAX as u64) as i64);
            out.extend(op::TABLE_SIZE);
            unsigned(out, index.into());
            extend(out);
            out.push(op::I64_SUB);
            call_growth(out, context);
            indexed(out, op::LOCAL_GET, local);
        });
    }
}

/// Calls the host function that is called before a growth.
fn call_growth(out: &mut Vec<u8>, context: &Context<'_>) {
    let (growth_type, growth_table) = context.growth;
    out.extend([op::I32_CONST, 0]);
    indexed(out, op::CALL_INDIRECT, growth_type);
    unsigned(out, growth_table.into());
}
