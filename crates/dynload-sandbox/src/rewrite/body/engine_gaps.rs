//! Goes round what wasmi 2.0.0 does wrong.

use super::{BodyRewriter, Context, Edit};
use crate::rewrite::binary::{i64_const, indexed, op, unsigned, val_type};
use alloc::vec::Vec;
use wasmparser::{BrTable, FuncValidator, ValType, ValidatorResources};

impl BodyRewriter {
    /// Lets a `br_table` that takes values along branch without them, to places from where they are taken along by a
    /// plain `br`: wasmi 2.0.0 loses some of them otherwise.
    pub(super) fn carry(
        &mut self,
        targets: &BrTable<'_>,
        values: u32,
        at: core::ops::Range<usize>,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        /// What is written for the largest table, in `local.get`s. A larger one is left as it is: compilers write none
        /// that takes values along, and a hostile one must not grow.
        const MAX: usize = 1024;
        let labels: Vec<u32> = targets.targets().flatten().chain([targets.default()]).collect();
        let mut places: Vec<u32> = labels.clone();
        places.sort_unstable();
        places.dedup();
        if places.len() * values as usize > MAX {
            return;
        }
        let mut types = Vec::new();
        for depth in (1..=values as usize).rev() {
            let ty = validator.get_operand_type(depth).flatten().and_then(val_type);
            let Some(ty) = ty else { return };
            types.push(ty);
        }
        let mut locals = Vec::new();
        for (i, ty) in types.iter().chain([&op::I32]).enumerate() {
            let before = types.iter().take(i).filter(|other| *other == ty).count();
            locals.push(self.nth_hidden_local(*ty, before, validator));
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
        self.edits.push((at.start, Edit::Skip { to: at.end }));
    }

    /// Lets the host see to what a growth needs before it happens ([`host::define_growth`](crate::host::define_growth)).
    pub(super) fn before_growth(
        &mut self,
        context: &Context<'_>,
        table: Option<u32>,
        offset: usize,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        let Some(ty @ (ValType::I32 | ValType::I64)) = validator.get_operand_type(0).flatten() else {
            return;
        };
        let Some(byte) = val_type(ty) else { return };
        self.needs.growth = true;
        let (growth_type, growth_table) = context.growth;
        let call = |out: &mut Vec<u8>| {
            out.extend([op::I32_CONST, 0]);
            indexed(out, op::CALL_INDIRECT, growth_type);
            unsigned(out, growth_table.into());
        };
        let Some(table) = table else {
            self.insert(offset, |out| {
                i64_const(out, 0);
                i64_const(out, 0);
                call(out);
            });
            return;
        };
        let local = self.hidden_local(byte, validator);
        let maximum = context
            .table_maximums
            .get(table as usize)
            .copied()
            .unwrap_or_default();
        self.insert(offset, |out| {
            let extend = |out: &mut Vec<u8>| {
                if ty == ValType::I32 {
                    out.push(op::I64_EXTEND_I32_U);
                }
            };
            indexed(out, op::LOCAL_TEE, local);
            extend(out);
            i64_const(out, maximum.min(i64::MAX as u64) as i64);
            out.extend(op::TABLE_SIZE);
            unsigned(out, table.into());
            extend(out);
            out.push(op::I64_SUB);
            call(out);
            indexed(out, op::LOCAL_GET, local);
        });
    }
}
