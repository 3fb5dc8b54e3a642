//! Works around bugs in wasmi 2.0.0, whatever the size of the values. Where that would cost too much, the module is refused.
//!
//! Its translator keeps operands in different kinds of cells (a register, a slot of the frame, a local that has not
//! been copied, a constant) and moves them where control flow branches or merges. A cell that is read before it is
//! written holds what another call, or the host, left there: that is a leak even where the result is right. So all
//! operators that move several values were reviewed, in the translator (`engine/translator/func`) and in the executor
//! (`engine/executor/handler`):
//!
//! | operator | finding |
//! | --- | --- |
//! | `br_table` with values | copied only where the targets' heights differ; else assumed to be in the right cells, which they are not above other operands: [`rewrite_br_table`](BodyRewriter::rewrite_br_table) |
//! | `block`, `loop`, `if` with parameters | a local below the parameters is left uncopied for each parameter that is not a local; a loop copies parameters into registers before it saves locals that live in them; an `else` does not restore registers: [`before_params`](BodyRewriter::before_params), for every frame with parameters |
//! | `loop` without a branch to it | emitted as a block here, where its parameters stay constants: kept as a loop if one is ([`control`](super::control)) |
//! | `select` after a comparison with zero | fused with it, also across operators that emit nothing, and then reads the condition from the wrong cell: separated ([`operator`](super::operator)) |
//! | stores of integers at large offsets | no instruction with address and value in one register: the value is passed through a local ([`operator`](super::operator)) |
//! | `br`, `br_if` with values, on both edges | right: copied in ascending order, and never over an unread cell |
//! | `return`, a branch out of the function | right: as `br` |
//! | `else`, `end` with results | right |
//! | `call`, `call_indirect` with many parameters and results | right: parameters are at the top already, and the index above them |
//! | `return_call`, `return_call_indirect` | right: moved as one range, then the locals that are not parameters are zeroed |
//! | `select` without a comparison | right |
//! | `local.set`, `local.tee` of a local that is still on the stack | right: it is copied before |
//! | operands of two cells (vectors) | right: both cells move |
//!
//! `tests/sandbox/moves.rs` compares random programs that do all of this with the oracle, also after another function
//! that left a pattern in every cell; `tests/sandbox/wasmi_workarounds.rs` has a test for each finding that fails
//! when wasmi has been fixed.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit, arity::carried};
use crate::{
    error::{ModuleError, Refused},
    rewrite::binary::{i64_const, indexed, op, unsigned, val_type},
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::BrTable;

impl BodyRewriter {
    /// Replaces a `br_table` that carries values by one without values, whose targets are blocks after which a plain
    /// `br` carries them: wasmi 2.0.0 would read them from cells that were never written.
    ///
    /// Each value is pushed once for each distinct label, and all of that is [counted](BodyRewriter::count_carried).
    pub(super) fn rewrite_br_table(
        &mut self,
        context: &Context<'_>,
        targets: &BrTable<'_>,
        at: Range<usize>,
    ) -> Result<(), Refused> {
        let Some(frame) = self.stacks.label(targets.default()) else {
            return Ok(());
        };
        let values = carried(context, frame);
        if values.len() as u64 > CARRIED_FREE {
            let feature =
                "a `br_table` that carries more than 16 values; branch by `br_if`, or carry fewer values";
            return Err(ModuleError::Unsupported { feature }.into());
        }
        let labels: Result<Vec<u32>, _> = targets.targets().chain([Ok(targets.default())]).collect();
        let labels = labels?;
        let mut distinct: Vec<u32> = labels.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let types: Option<Vec<u8>> = values.iter().map(|ty| val_type(*ty)).collect();
        let Some(types) = types else {
            let feature =
                "a `br_table` that carries a value which is not a number, a vector or a plain reference";
            return Err(ModuleError::Unsupported { feature }.into());
        };
        self.count_carried(context, distinct.len() as u64 * types.len() as u64)?;
        let mut locals = Vec::new();
        for (i, ty) in types.iter().chain([&op::I32]).enumerate() {
            let before = types.iter().take(i).filter(|other| *other == ty).count();
            locals.push(self.nth_hidden_local(*ty, before));
        }
        self.insert(at.start, |out| {
            for local in locals.iter().rev() {
                indexed(out, op::LOCAL_SET, *local);
            }
            for _ in &distinct {
                out.extend([op::BLOCK, op::EMPTY]);
            }
            let (index, values) = locals.split_last().unwrap_or((&0, &[]));
            indexed(out, op::LOCAL_GET, *index);
            out.push(op::BR_TABLE);
            unsigned(out, labels.len() as u64 - 1);
            for label in &labels {
                let block = distinct.binary_search(label).unwrap_or_default();
                unsigned(out, block as u64);
            }
            for (i, label) in distinct.iter().enumerate() {
                out.push(op::END);
                for local in values {
                    indexed(out, op::LOCAL_GET, *local);
                }
                indexed(out, op::BR, label + (distinct.len() - 1 - i) as u32);
            }
        });
        let to = self.offset(at.end);
        self.edit(at.start, Edit::Skip { to });
        Ok(())
    }

    /// Makes the interpreter copy operands before a frame with parameters, by an empty `block`.
    ///
    /// At the entry of a frame the interpreter copies the operands below the parameters that it only represents as "the local
    /// of this index". wasmi 2.0.0 misses one of these for each parameter that is not a local itself, and copies it later, on a
    /// path that may not always run. At the entry of a frame without parameters it copies all.
    pub(super) fn before_params(&mut self, offset: usize) {
        self.insert(offset, |out| out.extend([op::BLOCK, op::EMPTY, op::END]));
    }

    /// Calls the host before a memory grows ([`host::define_growth`](crate::host::define_growth)).
    pub(super) fn before_memory_growth(&mut self, context: &Context<'_>, offset: usize) {
        self.needs.growth = true;
        self.insert(offset, |out| {
            i64_const(out, 0);
            i64_const(out, 0);
            call_growth(out, context);
        });
    }

    /// Calls the host before a table grows, with the number of new elements, which is on top of the operand stack, and the
    /// number that fits.
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
    let (ty, table) = context.host;
    out.extend([op::I32_CONST, 0]);
    indexed(out, op::CALL_INDIRECT, ty);
    unsigned(out, table.into());
}
